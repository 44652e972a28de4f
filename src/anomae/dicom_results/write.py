"""DICOM results of one study: the files that were asked for, each with a fixed ending."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anomae.dicom_results.pm import write_map
from anomae.dicom_results.sc import write_picture_of_highest
from anomae.dicom_results.seg import write_findings, write_fractions
from anomae.dicom_results.source import Source, read_source
from anomae.dicom_results.sr import write_report
from anomae.dicom_results.uids import UUID_ROOT, Uids, uids_of
from anomae.errors import UserError
from anomae.extras import require
from anomae.inference.study import Study

KINDS = {
    "seg": "a segmentation, a segment a finding",
    "segf": "a fractional segmentation, the whole map",
    "sr": "a structured report",
    "pm": "a parametric map",
    "sc": "a secondary capture, the highest slices as a picture",
}
Map = npt.NDArray[np.float32]
_OF_THE_MAP: dict[str, Callable[[Path, Study, Source, Uids, Map], None]] = {
    "segf": write_fractions,
    "pm": write_map,
    "sc": write_picture_of_highest,
}


@dataclass(frozen=True, slots=True)
class DicomResults:
    """What was written.  notes: what was asked for and is not among the files, and why, a sentence each."""

    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()


def checked_kinds(text: str) -> tuple[str, ...]:
    """`--dicom` as it was given, such as "seg,sr".  Raises UserError for a kind that there is not."""
    if not isinstance(text, str):
        raise UserError(f'Kinds of DICOM results are one text, such as "seg,sr", not {text!r}.')
    kinds = tuple(dict.fromkeys(kind.strip().lower() for kind in text.split(",") if kind.strip()))
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        offered = "; ".join(f"{kind} ({what})" for kind, what in KINDS.items())
        raise UserError(f"--dicom is {text!r}; give one or several of these, joined by commas: {offered}.")
    return kinds


def write_dicom(
    study: Study, kinds: Sequence[str], folder: Path, name: str, *, uid_root: str = UUID_ROOT
) -> DicomResults:
    """Write results of a study into `folder` as <name>-seg.dcm, <name>-sr.dcm and so on.

    kinds: of KINDS.  A segmentation needs a finding, and what shows the map needs one; where there is none, nothing is
    written for that kind, said in the notes and in the report, and a file that an earlier run left there is removed.
    UIDs depend on what is written, on `uid_root` and on nothing else; only the date of a file is that of its writing.
    Raises UserError where the scan is not DICOM or names no position (but for "sr" and "sc"), MissingExtra where
    highdicom is not installed, and UnreadableScan where files of the scan are gone or were changed.
    """
    require("highdicom", "dicom")
    source = read_source(study.volume)
    uids = uids_of(study, source, uid_root)
    reasons = {kind: why for kind in kinds if (why := _why_not(kind, study, source))}
    paths = {kind: folder / f"{name}-{kind}.dcm" for kind in KINDS if kind in kinds}
    notes = tuple(f"No {paths[kind].name}: {why}." for kind, why in reasons.items())
    # The report is de-identified as the scan is: the name of its folder has no place there, nor in the report's UID.
    told = tuple(f"No {KINDS[kind].partition(',')[0].partition(' ')[2]}: {why}." for kind, why in reasons.items())
    for kind, path in paths.items():
        if kind in reasons:
            path.unlink(missing_ok=True)
        elif kind == "sr":
            write_report(path, study, source, uids, segmented="seg" in kinds and "seg" not in reasons, notes=told)
        elif kind == "seg" and study.regions is not None:
            write_findings(path, study, source, uids, study.regions)
        elif study.result.map is not None:
            _OF_THE_MAP[kind](path, study, source, uids, study.result.map)
    return DicomResults(tuple(path for kind, path in paths.items() if kind not in reasons), notes)


def _why_not(kind: str, study: Study, source: Source) -> str:
    """Why there is no result of this kind, a phrase; "" where there is one."""
    if kind == "sr":
        return ""
    if study.result.map is None:
        return "this detector draws no map"
    if kind in ("seg", "segf", "pm") and source.unplaced:
        return f"{source.unplaced}, and this kind refers to it"
    if kind == "seg" and study.regions is None:
        reason = study.decision.unflagged if study.decision.rules.finding.threshold is not None else ""
        return f"there are no findings ({(reason or study.decision.rules.finding.sentence).rstrip('.')})"
    if kind == "seg" and study.regions is not None and not study.regions.findings:
        return "there is no finding, and a segmentation of nothing is no valid one"
    if kind == "segf" and not (study.result.map > 0).any():
        return "the map is nowhere above 0"
    return ""
