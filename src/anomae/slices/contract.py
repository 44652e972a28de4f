"""What must hold of a store, whatever its cohort, shown on slices that say themselves whose they are.

Paths, tables and headers can mislead a cohort, so the truth stands in the pixels: a check reads it back from the
prepared images and needs to know nothing of the layout.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.cohorts.case import HEALTHY
from anomae.slices.store import SliceStore

MARKED_SIDE = 16
MOST_MARKED = 11  # patients, and slices of one, that can be told apart
# Grey values of the four quarters: all marked slices have the first, no lesion mask and no plain picture has.
_BORDER, _FIRST, _STEP, _WELL, _LESION = 250, 20, 18, 60, 200
_TOLERANCE = 7  # JPEG, half floats


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """What a marked slice says: whose it is, which slice of his, both 0 to 10, and whether it holds a lesion."""

    patient: int
    number: int
    lesion: bool


@dataclass(frozen=True, slots=True)
class MarkedRow:
    """A row of a store: what its picture says, and what index.csv says of it."""

    mark: Mark
    patient: str
    split: str
    label: int


def marked_slice(mark: Mark) -> npt.NDArray[np.uint8]:
    """A picture (16, 16) that says its `mark`; the quarter below right is the lesion."""
    picture = np.full((MARKED_SIDE, MARKED_SIDE), _BORDER, dtype=np.uint8)
    half = MARKED_SIDE // 2
    picture[:half, half:] = _FIRST + _STEP * mark.patient
    picture[half:, :half] = _FIRST + _STEP * mark.number
    picture[half:, half:] = _LESION if mark.lesion else _WELL
    picture[1::4, 1::4] += 3  # no flat surface, as no scan has one
    return picture


def marked_scan(patient: int, depth: int = 3, lesions: Collection[int] = ()) -> npt.NDArray[np.uint8]:
    """A scan (depth, 16, 16) whose slices say that they are the patient's, and which of them hold a lesion."""
    return np.stack([marked_slice(Mark(patient, number, number in lesions)) for number in range(depth)])


def marked_lesions(depth: int = 3, lesions: Collection[int] = ()) -> npt.NDArray[np.uint8]:
    """The lesion mask (depth, 16, 16) of `marked_scan`, 0 and 1."""
    mask = np.zeros((depth, MARKED_SIDE, MARKED_SIDE), dtype=np.uint8)
    mask[sorted(lesions), MARKED_SIDE // 2 :, MARKED_SIDE // 2 :] = 1
    return mask


def read_mark(picture: npt.NDArray[Any]) -> Mark | None:
    """What a picture (16, 16) says of itself; None where it is no marked slice."""
    half = MARKED_SIDE // 2
    border, patient, number, lesion = (
        float(np.median(quarter))
        for quarter in (picture[:half, :half], picture[:half, half:], picture[half:, :half], picture[half:, half:])
    )
    found = [round((grey - _FIRST) / _STEP) for grey in (patient, number)]
    exact = [_BORDER, *(_FIRST + _STEP * index for index in found), _LESION if lesion > 130 else _WELL]
    apart = max(abs(one - other) for one, other in zip(exact, (border, patient, number, lesion), strict=True))
    if apart > _TOLERANCE or not all(0 <= index < MOST_MARKED for index in found):
        return None
    return Mark(found[0], found[1], lesion > 130)


def check_marked_store(folder: Path, *, patients_known: bool = True) -> list[MarkedRow]:
    """Try what must hold of a store of marked slices, prepared at 16 x 16 pixels with intensity "none".

    Every row is a slice, no mask or stray picture; no slice with a lesion is in the training split or called healthy;
    no patient is in two splits, whatever the index calls him.  patients_known: False where the layout cannot tell of
    two files that they are of one patient.  Gives the rows, in order.  Raises AssertionError for the first that fails.
    """
    store = SliceStore(folder)
    rows: list[MarkedRow] = []
    splits: dict[int, set[str]] = {}
    for row, image in enumerate(store.images):
        mark, split, label = (
            read_mark(np.asarray(image[0], dtype=np.float32)),
            str(store.index.split[row]),
            int(store.index.label[row]),
        )
        what = f"{store.index.case[row]}, slice {store.index.slice[row]}"
        if mark is None:
            raise AssertionError(f"{what}: this row is no slice of a patient but another file.")
        if mark.lesion and split == "train":
            raise AssertionError(f"{what}: a slice with a lesion is in the training split.")
        if mark.lesion and label == HEALTHY:
            raise AssertionError(f"{what}: a slice with a lesion is called healthy.")
        if split == "train" and label != HEALTHY:
            raise AssertionError(f"{what}: a slice of label {label} is in the training split.")
        splits.setdefault(mark.patient, set()).add(split)
        rows.append(MarkedRow(mark, str(store.index.patient[row]), split, label))
    torn = {patient: sorted(found) for patient, found in splits.items() if len(found) > 1}
    if torn and patients_known:
        raise AssertionError(f"patients are in several splits: {torn}.")
    return rows
