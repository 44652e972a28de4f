"""The split lists that the paper's authors released, read from the user's own copy: they are not shipped."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from anomae.cohorts.case import ABNORMAL, HEALTHY, UNKNOWN
from anomae.cohorts.source_folder import existing_folder
from anomae.errors import UserError

# File -> split and label of what it lists.
LISTS = {
    "normal_training_samples": ("train", HEALTHY),
    "normal_val_samples": ("validation", HEALTHY),
    "abnormal_val_samples": ("validation", ABNORMAL),
    "normal_test_samples": ("test", HEALTHY),
    "abnormal_test_samples": ("test", ABNORMAL),
}
_SPLITS = np.array([split for split, _ in LISTS.values()] + [""], dtype=np.str_)
_LABELS = np.array([label for _, label in LISTS.values()] + [UNKNOWN], dtype=np.int8)


@dataclass(frozen=True, slots=True)
class _Listed:
    """The lists of a cohort: folders they may lie in, how a name is built, and whether it tells volume and slice."""

    folders: tuple[str, ...]
    name: re.Pattern[str]
    by_volume: bool


_BRATS2020 = _Listed(("brats", "brats2020"), re.compile(r"volume_(\d{1,6})_slice_(\d{1,6})\.npy"), True)
_LISTED = {
    "brats2020": _BRATS2020,
    "brats": _BRATS2020,  # the same data under the name of all years; cases of another year are in no list
    "luna16": _Listed(("luna16",), re.compile(r"()(\d{1,9})\.npy"), False),
}
_STEP = 10_000_000  # room for the slice numbers of a volume in one key


@dataclass(frozen=True, slots=True)
class ReleasedLists:
    """Which slice is in which list.

    cohort: "brats2020" or "brats" (slices are named by volume and slice) or "luna16" (by row of candidates.csv).
    keys: (m,) int64, sorted; lists: (m,) int8, the index of each key's list in LISTS.
    """

    cohort: str
    keys: npt.NDArray[np.int64]
    lists: npt.NDArray[np.int8]

    @classmethod
    def read(cls, folder: Path, cohort: str) -> Self:
        """Read the five lists of `cohort` from `folder`, or from the cohort's folder in it.

        Raises UserError where a list is missing, holds a name that is none, or two lists hold the same name.
        """
        if cohort not in _LISTED:
            raise UserError(f"The paper released lists for {' and '.join(_LISTED)}, not for {cohort!r}.")
        expected, usual = ", ".join(f"{name}.txt" for name in LISTS), _LISTED[cohort].folders
        candidates = [existing_folder(folder, expected), *(folder / name for name in usual)]
        own = next((path for path in candidates if (path / f"{next(iter(LISTS))}.txt").is_file()), None)
        if own is None:
            raise UserError(f"{folder} holds no lists for {cohort}; expected {expected}, in it or in {usual[0]}/.")
        found = [_read_list(own / f"{name}.txt", cohort) for name in LISTS]
        keys = np.concatenate(found)
        order = np.argsort(keys, kind="stable")
        twice = int(np.sum(np.diff(keys[order]) == 0))
        if twice:
            raise UserError(
                f"{twice} names stand in the lists of {own} more than once; the copy is not the released one."
            )
        return cls(cohort, keys[order], np.repeat(np.arange(len(found), dtype=np.int8), [len(k) for k in found])[order])

    def counts(self) -> dict[str, int]:
        """List -> how many slices it names."""
        return {name: int(np.sum(self.lists == index)) for index, name in enumerate(LISTS)}

    def slices(self) -> list[tuple[int, int, int]]:
        """Volume (0 for luna16), slice (or row), and the index of its list in LISTS, of everything that is listed."""
        volumes, numbers = np.divmod(self.keys, _STEP)
        return list(zip(volumes.tolist(), numbers.tolist(), self.lists.tolist(), strict=True))

    def rows(self) -> npt.NDArray[np.int64]:
        """All listed rows of candidates.csv, ascending: what `Luna16` needs to cut."""
        if _LISTED[self.cohort].by_volume:
            raise UserError(f"The lists of {self.cohort} name slices, not rows.")
        return self.keys

    def splits_of(
        self, cases: npt.NDArray[np.str_] | str, slices: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.int8]]:
        """Split ("" where not listed) and listed label (UNKNOWN where not listed) of n slices; each (n,).

        cases: the case of each, or of all.  slices: (n,) as CaseSlices has them.
        """
        index, listed = self._find(cases, slices)
        lists = np.where(listed, self.lists[index] if len(self.keys) else 0, len(LISTS))
        return _SPLITS[lists], _LABELS[lists]

    def compare(
        self, cases: npt.NDArray[np.str_], slices: npt.NDArray[np.int64], labels: npt.NDArray[np.int8]
    ) -> tuple[str, ...]:
        """What does not fit between the lists and all n slices of a data set, a sentence each; all arguments (n,).

        Where a label of the data disagrees with the list, the data is right: it has the mask.
        """
        index, listed = self._find(cases, slices)
        absent = len(self.keys) - len(np.unique(index[listed]))
        _, told = self.splits_of(cases, slices)
        against = int(np.sum(listed & (labels != UNKNOWN) & (labels != told)))
        unlisted = int(np.sum(~listed))
        return tuple(
            sentence
            for count, sentence in (
                (absent, f"{absent} of {len(self.keys)} slices that the lists name are not in the data"),
                (
                    against,
                    f"{against} listed slices have another label in the data than in the lists; the data's is kept",
                ),
                (unlisted, f"{unlisted} slices of the data are in no list"),
            )
            if count
        )

    def _find(
        self, cases: npt.NDArray[np.str_] | str, slices: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        wanted = np.asarray(slices, dtype=np.int64)
        if _LISTED[self.cohort].by_volume:
            names, inverse = np.unique(
                np.broadcast_to(np.asarray(cases, dtype=np.str_), wanted.shape), return_inverse=True
            )
            wanted = np.array([_volume(name) for name in names.tolist()], dtype=np.int64)[inverse] * _STEP + wanted
        index = np.minimum(np.searchsorted(self.keys, wanted), max(len(self.keys) - 1, 0))
        return index, (self.keys[index] == wanted if len(self.keys) else np.zeros(len(wanted), dtype=np.bool_))


def _volume(case: str) -> int:
    number = case.removeprefix("volume_")
    return int(number) if number.isdigit() else -1


def _read_list(path: Path, cohort: str) -> npt.NDArray[np.int64]:
    try:
        names = path.read_text(encoding="utf-8-sig").split()
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not readable as text ({error}).") from error
    matches = [_LISTED[cohort].name.fullmatch(name) for name in names]
    if not names or None in matches:
        wrong = repr(names[matches.index(None)][:60]) if names else "nothing"
        raise UserError(f"{path} holds {wrong}, which names no slice of {cohort}.")
    return np.array([int(match[1] or 0) * _STEP + int(match[2]) for match in matches if match], dtype=np.int64)
