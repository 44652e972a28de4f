"""What the files of a store's scans say of how they were made, beside their pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.files import read_json
from anomae.slices.scan_notes import without_numbers
from anomae.volumes.orientation import axial_view
from anomae.volumes.pictures import SUFFIXES, picture_size
from anomae.volumes.series import folder_and_series
from anomae.volumes.volume import Grid

NUMBERS = ("slices", "pixels in a row or column", "pixel size (mm)", "slice distance (mm)")
NAMES = ("modality", "body_part", "sequence")
OF_LESIONS = "lesion"  # notes on their masks: healthy scans have none


def scan_facts(
    store: Path, cases: Sequence[str]
) -> tuple[dict[str, npt.NDArray[np.float64]], dict[str, list[set[str]]]]:
    """Numbers, (n,) with NaN where unknown, and names of these n cases of a store; both by what they are.

    Of a volume its voxels and their size, of a picture its longer side; names: the kind of file, what DICOM headers
    name, and what was noted while it was read and prepared (skull-stripped, inverted and so on).
    """
    path = store / "cases.json"
    known: Mapping[str, Any] = read_json(path) if path.exists() else {}
    entries = [known.get(case) or {} for case in cases]
    numbers = np.array([_numbers(entry) for entry in entries], dtype=np.float64).reshape(len(entries), len(NUMBERS))
    names = {name.replace("_", " "): [_named(entry.get(name)) for entry in entries] for name in NAMES}
    names["kind of file"] = [_kind(entry) for entry in entries]
    names["note"] = [
        {without_numbers(note).rstrip(".") for note in entry.get("notes", ()) if OF_LESIONS not in note}
        for entry in entries
    ]
    return dict(zip(NUMBERS, numbers.T, strict=True)), names


def _numbers(entry: Mapping[str, Any]) -> tuple[float, ...]:
    unknown = (float("nan"),) * len(NUMBERS)
    if entry.get("grid"):
        grid = Grid.from_json(entry["grid"])
        view = axial_view(grid)
        slices, *plane = (grid.shape[axis] for axis in view.axes)
        return (slices, max(plane), float(np.mean(view.pixel_spacing_mm(grid))), grid.spacing_mm[view.axes[0]])
    source = str(entry.get("source", ""))
    size = picture_size(Path(source)) if source.lower().endswith(SUFFIXES) else None
    return unknown if size is None else (float("nan"), float(max(size)), *unknown[2:])


def _named(text: object) -> set[str]:
    return {text} if isinstance(text, str) and text else set()


def _kind(entry: Mapping[str, Any]) -> set[str]:
    """The suffix of the file, or that it is a folder."""
    source = str(entry.get("source", ""))
    if not source:
        return set()
    path = folder_and_series(Path(source))[0]
    if path.is_dir():
        return {"folder"}
    double = "".join(path.suffixes[-2:]).lower()
    return {double if double.endswith(".gz") else path.suffix.lower()} - {""}
