"""Who goes to train, validation and test: by patient from a seed, by LUNA16's subsets; and the check for leaks."""

import math
import re
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from anomae.cohorts.case import ABNORMAL, SPLITS, Case
from anomae.errors import LeakySplit, UserError
from anomae.seeds import generator

_SUBSETS = re.compile(r"(train|validation|test)=(\d(?:-\d)?(?:\+\d(?:-\d)?)*)")


def split_patients(cases: Sequence[Case], seed: int, test: float = 0.4, validation: float = 0.2) -> dict[str, str]:
    """Patient -> split, from a seed, or as the data set fixes it where every case has one.

    test: share of the patients; validation: share of the rest (paper, section 4.1: 369 scans into 176, 45 and 148).
    Patients all of whose cases are abnormal as a whole are of no use for training; validation and test share them in
    the same proportion as the others.  Depends on the names of the patients and the seed, not on the order of cases.
    Raises UserError where there are too few patients, or only some cases have a fixed split, and LeakySplit where the
    fixed splits put a patient in several splits.
    """
    fixed = sum(bool(case.split) for case in cases)
    if fixed == len(cases) > 0:
        refuse_leaks([case.patient for case in cases], [case.split for case in cases])
        return {case.patient: case.split for case in cases}
    if fixed:
        raise UserError(f"{fixed} of {len(cases)} cases have a split fixed by the data set, the others have none.")
    useful = {case.patient for case in cases if case.label != ABNORMAL}
    return split_names(useful, {case.patient for case in cases} - useful, seed, test, validation)


def split_slices(
    patients: Sequence[str] | npt.NDArray[np.str_],
    labels: npt.NDArray[np.int8],
    seed: int,
    test: float = 0.4,
    validation: float = 0.2,
) -> npt.NDArray[np.str_]:
    """The split of each of n slices, by patient (n,) and label (n,), as `split_patients` would; (n,).

    For cohorts whose cases hold slices of several patients.
    """
    names = np.asarray(patients, dtype=np.str_)
    useful = set(names[labels != ABNORMAL].tolist())
    splits = split_names(useful, set(names.tolist()) - useful, seed, test, validation)
    return np.array([splits[name] for name in names.tolist()], dtype=np.str_)


def split_names(
    useful: Iterable[str], only_abnormal: Iterable[str], seed: int, test: float = 0.4, validation: float = 0.2
) -> dict[str, str]:
    """Name -> split: `useful` to all three splits, `only_abnormal` to validation and test; see `split_patients`."""
    if not 0 < test < 1 or not 0 <= validation < 1:
        raise UserError(f"The shares must be 0 < test < 1 and 0 <= validation < 1, not {test} and {validation}.")
    healthy, abnormal = _shuffled(useful, seed, "split"), _shuffled(only_abnormal, seed, "split abnormal")
    if len(healthy) < 2:
        raise UserError(
            f"{len(healthy)} patient(s) with healthy slices are too few for one split to train on and one to test on."
        )
    # Rounded up, as the paper's own counts are; but never so far that nothing is left to train on.
    n_test = min(_rounded_up(test * len(healthy)), len(healthy) - 1)
    n_validation = min(_rounded_up(validation * (len(healthy) - n_test)), len(healthy) - n_test - 1)
    if len(healthy) >= 3 and validation > 0 and n_validation == 0:
        n_test, n_validation = n_test - 1, 1
    share = (1 - test) * validation / ((1 - test) * validation + test)
    n_abnormal = round(share * len(abnormal))
    if validation > 0 and len(abnormal) >= 2:
        n_abnormal = min(max(n_abnormal, 1), len(abnormal) - 1)
    splits = dict.fromkeys(healthy, "train")
    splits.update(dict.fromkeys(healthy[:n_test], "test"))
    splits.update(dict.fromkeys(healthy[n_test : n_test + n_validation], "validation"))
    splits.update(dict.fromkeys(abnormal, "test"))
    splits.update(dict.fromkeys(abnormal[:n_abnormal], "validation"))
    return splits


def parse_subsets(text: str) -> dict[int, str]:
    """Subset (0..9) -> split, from "train=0-5,validation=6,test=7-9" ("train=0-3+5" for 0 to 3 and 5).

    Raises UserError where the text is none such, a range runs backwards, or a subset is given twice.
    """
    splits: dict[int, str] = {}
    for piece in text.replace(" ", "").split(","):
        match = _SUBSETS.fullmatch(piece)
        if not match:
            raise UserError(f"subsets is {text!r}; write it like train=0-5,validation=6,test=7-9.")
        for ends in match[2].split("+"):
            if ends[0] > ends[-1]:
                raise UserError(f"subsets has {ends}; write the smaller subset first, {ends[-1]}-{ends[0]}.")
            for subset in range(int(ends[0]), int(ends[-1]) + 1):
                if subset in splits:
                    raise UserError(f"subsets gives subset {subset} to two splits.")
                splits[subset] = match[1]
    return splits


def refuse_leaks(
    patients: Sequence[str] | npt.NDArray[np.str_],
    splits: Sequence[str] | npt.NDArray[np.str_],
    allow_leak: bool = False,
) -> int:
    """How many patients are in more than one split; patients (n,), splits (n,), "" where a slice is in none.

    Raises LeakySplit where that is not 0, unless `allow_leak`.
    """
    names, assigned = np.asarray(patients, dtype=np.str_), np.asarray(splits, dtype=np.str_)
    used = assigned != ""
    pairs = set(zip(names[used].tolist(), assigned[used].tolist(), strict=True))
    splits_of: dict[str, set[str]] = {}
    for name, split in pairs:
        splits_of.setdefault(name, set()).add(split)
    leaking = [found for found in splits_of.values() if len(found) > 1]
    if leaking and not allow_leak:
        meeting = [split for split in SPLITS if any(split in found for found in leaking)]
        raise LeakySplit(
            f"{len(leaking)} of {len(splits_of)} patients are in more than one split "
            f"({', '.join(meeting)}), so what is measured on it would be too good. Split by patient; or, where the "
            "leak is wanted, as in the paper's own LUNA16 split by candidate, say --allow-leak; the report will tell."
        )
    return len(leaking)


def _shuffled(names: Iterable[str], seed: int, purpose: str) -> list[str]:
    ordered = sorted(set(names))
    return [ordered[index] for index in generator(seed, purpose).permutation(len(ordered))]


def _rounded_up(count: float) -> int:
    return math.ceil(count - 1e-9)
