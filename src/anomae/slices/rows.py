"""The rows that one case adds to a store: read, given their splits, prepared, and packed; what a worker does."""

import hashlib
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.cohorts.case import ABNORMAL, HEALTHY, SPLITS, UNKNOWN, Case, CaseSlices, Cohort
from anomae.errors import MissingExtra, UnreadableScan, UserError
from anomae.slices.copies import content_hash
from anomae.slices.preparing import PreparedCase, prepare_case
from anomae.slices.settings import PrepareSettings
from anomae.slices.source_facts import source_facts
from anomae.slices.split_rule import SplitRule
from anomae.volumes.identity import NOT_KNOWN


@dataclass(frozen=True, slots=True)
class CaseRows:
    """Ready to be written.

    images: (k, c, H, W), of the type of the store.  lesions, bodies, ignored: (k, H, ceil(W / 8)) uint8,
    numpy.packbits along the last axis, or None.  entry: what is to be said of the case and its rows, as JSON; see
    `_entry`.
    """

    images: npt.NDArray[Any]
    lesions: npt.NDArray[np.uint8] | None
    bodies: npt.NDArray[np.uint8] | None
    entry: Mapping[str, Any]
    ignored: npt.NDArray[np.uint8] | None = None


def reason_of(case: Case, error: BaseException) -> str:
    """Why a case could not be read, naming its file."""
    reason = str(error) or type(error).__name__
    return reason if str(case.source) in reason else f"{case.source}: {reason}"


def rows_or_reason(case: Case, cohort: Cohort, assigned: SplitRule, settings: PrepareSettings) -> CaseRows | str:
    """The rows of one case, or the reason why there are none: a broken scan is to stop no other.

    Raises MissingExtra: what is not installed would be missing for others too.
    """
    try:
        return read_rows(case, cohort, assigned, settings)
    except MissingExtra:
        raise
    except (UserError, OSError, MemoryError) as error:
        return reason_of(case, error)
    except Exception as error:  # noqa: BLE001  what no reader foresaw is a defect, but of this scan alone; it is listed
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(frame.filename).name}, line {frame.lineno}"
        return f"{case.source}: unforeseen {type(error).__name__} in {where} ({error}); please report it"


def read_rows(case: Case, cohort: Cohort, assigned: SplitRule, settings: PrepareSettings) -> CaseRows:
    """Read one case and prepare those of its slices that stay.

    Slices in no split are dropped, and from the training split, which holds healthy slices only, all others.
    """
    files = source_facts(case, settings.seeks_brain_file)  # as they were before they were read
    read = cohort.read(case)
    split = assigned.of(case, read)
    train = split == "train"
    reasons = {
        "in no split": split == "",
        "abnormal in the training split": train & (read.labels == ABNORMAL),
        "of unknown label in the training split": train & (read.labels == UNKNOWN),
    }
    wanted = ~np.any(list(reasons.values()), axis=0)
    if read.channels != len(cohort.channel_names):
        raise UnreadableScan(f"its slices have {read.channels} channel(s), not {len(cohort.channel_names)}.")
    # A neighbour is of the same split; where a model learns from a slice or takes thresholds from it, healthy as it is.
    aloof = (split != "test") & (read.labels == HEALTHY)
    prepared = prepare_case(read, settings, wanted, group=split, aloof=aloof)
    stays = ~(prepared.empty & train[prepared.kept] & settings.drop_empty_training)
    dropped = {why: int(which.sum()) for why, which in reasons.items()}
    dropped["outside the middle of the scan"] = int(wanted.sum()) - len(prepared.kept)
    dropped["empty in the training split"] = int(np.sum(~stays))

    dropped |= read.left_out
    images = prepared.images[stays].astype(settings.stored_as)
    lesions = None if prepared.lesions is None else np.packbits(prepared.lesions[stays], axis=-1)
    bodies = None if prepared.bodies is None else np.packbits(prepared.bodies[stays], axis=-1)
    ignored = None if prepared.ignored is None else np.packbits(prepared.ignored[stays], axis=-1)
    digest = hashlib.blake2b(images.tobytes(), digest_size=16)
    for packed in (lesions, bodies, ignored):
        digest.update(b"" if packed is None else packed.tobytes())
    entry = _entry(case, read, prepared, stays, split, settings) | {
        "digest": digest.hexdigest(),
        "dropped": {why: count for why, count in dropped.items() if count},
        "files": files,
        "content": content_hash(case.source),
    }
    return CaseRows(images, lesions, bodies, entry, ignored)


def _entry(
    case: Case,
    read: CaseSlices,
    prepared: PreparedCase,
    stays: npt.NDArray[np.bool_],
    split: npt.NDArray[np.str_],
    settings: PrepareSettings,
) -> dict[str, Any]:
    """Facts of the case, and under "columns" an entry a row; shared by all rows: one patient, as a text."""
    kept = prepared.kept[stays]
    patients = None if read.patients is None else read.patients[kept].tolist()
    abnormal = read.labels == ABNORMAL
    ill = [case.patient] * bool(abnormal.any()) if read.patients is None else read.patients[abnormal].tolist()
    return {
        "rows": len(kept),
        "lesions": prepared.lesions is not None,
        **({"ignored": True} if prepared.ignored is not None else {}),
        "abnormal_patients": sorted(set(ill)),
        "spacing_mm": [round(side, 6) for side in prepared.spacing_mm],
        "grid": None if read.grid is None else read.grid.to_json(),
        "notes": list(prepared.notes),
        **{name: value for name in ("modality", "body_part", "sequence") if (value := getattr(read, name))},
        "brain_mask": prepared.body_found if settings.preparation == "brain" else "",
        "columns": {
            "patient": case.patient if patients is None else patients,
            "slice": read.slices[kept].tolist(),
            "position_mm": _numbers(read.positions_mm[kept]),
            "split": [SPLITS.index(name) for name in split[kept]],
            "label": read.labels[kept].tolist(),
            "empty": prepared.empty[stays].astype(int).tolist(),
            "body_fraction": _numbers(prepared.body_fraction[stays]),
            "filled": _numbers(prepared.filled[stays]),
            "lesion_fraction": _numbers(prepared.lesion_fraction[stays]),
            **_identity(read, kept),
        },
    }


def _identity(read: CaseSlices, kept: npt.NDArray[np.int64]) -> dict[str, list[Any] | None]:
    """Where each row lies in its file; None where that is not known, of one row or (for short) of all."""
    columns: dict[str, npt.NDArray[Any] | None] = {
        "file_slice": read.file_slices,
        "sop_instance_uid": read.sop_instance_uids,
        "instance_number": read.instance_numbers,
    }
    return {
        name: None
        if column is None
        else [None if value in (NOT_KNOWN, "") else value for value in column[kept].tolist()]
        for name, column in columns.items()
    }


def _numbers(column: npt.NDArray[np.float64]) -> list[float | None]:
    """With as many digits as are worth keeping; None for what is no finite number."""
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in column.tolist()]
