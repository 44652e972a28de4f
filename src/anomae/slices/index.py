"""The index of a store: a line of index.csv for each slice, read into arrays."""

import csv
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.errors import UserError
from anomae.volumes.identity import NOT_KNOWN

COLUMNS = (
    "row",
    "case",
    "patient",
    "slice",
    "position_mm",
    "split",
    "label",
    "empty",
    "body_fraction",
    "filled",
    "lesion_fraction",
    "site",
    "file_slice",
    "sop_instance_uid",
    "instance_number",
)
BLOCK_LINES = 4096
LONGEST = 2_000  # letters of a field; numpy holds a block of a column at the width of its longest


@dataclass(frozen=True, slots=True)
class SliceIndex:
    """The columns of index.csv, each (n,).

    position_mm: NaN where unknown.  split: "train", "validation" or "test".  label: 0 healthy, 1 abnormal, -1 unknown
    (an empty field in the file).  empty: the slice has no content (constant).  body_fraction and lesion_fraction: share
    of the prepared image, 0..1; NaN (an empty field) where no mask is known.  filled: share of the slice as read that
    is above 0.08 of its scan's maximum, whatever the preparation.  file_slice: index along the slice axis of the scan's
    own file, sop_instance_uid and instance_number: of the DICOM instance that holds the slice (see
    anomae.volumes.identity.SliceIdentity); -1 and "" (empty fields) where there is none.
    """

    case: npt.NDArray[np.str_]
    patient: npt.NDArray[np.str_]
    slice: npt.NDArray[np.int64]
    position_mm: npt.NDArray[np.float64]
    split: npt.NDArray[np.str_]
    label: npt.NDArray[np.int8]
    empty: npt.NDArray[np.bool_]
    body_fraction: npt.NDArray[np.float64]
    filled: npt.NDArray[np.float64]
    lesion_fraction: npt.NDArray[np.float64]
    site: npt.NDArray[np.str_]
    file_slice: npt.NDArray[np.int64]
    sop_instance_uid: npt.NDArray[np.str_]
    instance_number: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.case)

    @property
    def part(self) -> npt.NDArray[np.str_]:
        """`split`, under the name that it had in early versions: scripts that were written for them go on."""
        return self.split


def read_index(path: Path) -> SliceIndex:
    """Read an index.csv.  Raises UserError where columns are missing or a field is not of its type."""
    blocks: list[dict[str, npt.NDArray[Any]]] = []
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            lines = csv.reader(handle)
            header = next(lines, [])
            missing = [name for name in COLUMNS if name not in header]
            if missing:
                raise UserError(f"{path} lacks the column(s) {', '.join(missing)}.")
            # Lines are texts of some hundred bytes each; only a block of them is held at a time.
            while block := list(islice(lines, BLOCK_LINES)):
                table = list(zip(*block, strict=True))
                known = {name: table[header.index(name)] for name in COLUMNS}
                blocks.append(_typed(known, path))
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing.") from error
    except (ValueError, IndexError, csv.Error) as error:
        raise UserError(f"{path} is not a whole index ({error}); prepare the store again.") from error
    blocks = blocks or [_typed(dict.fromkeys(COLUMNS, ()), path)]
    return SliceIndex(**{name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]})


def _typed(columns: dict[str, tuple[str, ...]], path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        return {
            "case": _texts(columns["case"]),
            "patient": _texts(columns["patient"]),
            "slice": np.array(columns["slice"], dtype=np.int64),
            "position_mm": _floats(columns["position_mm"]),
            "split": _texts(columns["split"]),
            "label": np.array([entry or "-1" for entry in columns["label"]], dtype=np.int8),
            "empty": np.array(columns["empty"], dtype=np.int8).astype(np.bool_),
            "body_fraction": _floats(columns["body_fraction"]),
            "filled": _floats(columns["filled"]),
            "lesion_fraction": _floats(columns["lesion_fraction"]),
            "site": _texts(columns["site"]),
            "file_slice": _numbers(columns["file_slice"]),
            "sop_instance_uid": _texts(columns["sop_instance_uid"]),
            "instance_number": _numbers(columns["instance_number"]),
        }
    except ValueError as error:
        raise UserError(f"{path} has a field that is not of its type ({error}).") from error


def _texts(fields: tuple[str, ...]) -> npt.NDArray[np.str_]:
    longest = max(map(len, fields), default=0)
    if longest > LONGEST:
        raise ValueError(f"one of {longest:,} letters")
    return np.array(fields, dtype=np.str_)


def _numbers(fields: tuple[str, ...]) -> npt.NDArray[np.int64]:
    return np.array([entry or str(NOT_KNOWN) for entry in fields], dtype=np.int64)


def _floats(fields: tuple[str, ...]) -> npt.NDArray[np.float64]:
    return np.array([entry or "nan" for entry in fields], dtype=np.float64)
