"""Who decides which slice goes to train, validation or test: the seed, the data set, its subsets, or released lists."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from anomae.cohorts.candidate_split import candidates_sentence, draw_candidates
from anomae.cohorts.case import Case, CaseSlices, Cohort
from anomae.cohorts.released_lists import ReleasedLists
from anomae.cohorts.splits import refuse_leaks, split_patients, split_slices
from anomae.errors import LeakySplit, UnreadableScan, UserError
from anomae.progress import progress
from anomae.slices.rows import reason_of
from anomae.slices.split_rule import SplitRule

WHOLE = "whole"  # no split: every slice to the test split
CANDIDATE = "candidate"  # LUNA16's candidates at random, as the paper did: the same scans in train and test
SPLIT_RULES = ("patient", "fixed", "subsets", CANDIDATE, WHOLE)
# LUNA16's ten subsets in nearly the proportions of the paper's split.
SUBSETS = "train=0-4,validation=5,test=6-9"
# More slices than any volume that the released lists name.
_SLICES = 1000


def assign_splits(
    cohort: Cohort,
    cases: Sequence[Case],
    *,
    rule: str | None,
    lists: ReleasedLists | None,
    seed: int,
    allow_leak: bool,
) -> tuple[SplitRule, str]:
    """What decides the split of each slice, and a sentence about it.

    rule: "patient", "fixed", "subsets", "whole" (all to test), or None: fixed where the data set fixes all splits, else
    patient.  lists: the released lists, which then decide alone.  Where the images of one file belong to many patients,
    all files are read once to learn of them.

    Raises UserError where the data set does not fix what it is asked for or not one case can be read, and LeakySplit
    where a patient would be in several splits, `allow_leak` does not allow it, and it shows before anything is read.
    """
    if lists is not None:
        _refuse_listed_leaks(cohort, cases, lists, allow_leak)
        return SplitRule(lists=lists), candidates_sentence(lists, seed) if rule == CANDIDATE else "the released lists"
    if rule == WHOLE:
        return SplitRule(everything="test"), "none: every slice is in the test split"
    if rule != "patient" and all(case.split for case in cases):
        refuse_leaks([case.patient for case in cases], [case.split for case in cases], allow_leak)
        return SplitRule(), "LUNA16's subsets" if rule == "subsets" else "the data set's own splits"
    if rule != "patient" and any(case.split for case in cases):
        split_patients(cases, seed)  # refuses, saying how many cases have no split
    first = _first_readable(cohort, cases)
    if rule != "patient" and first.splits is not None:
        return SplitRule(), "the data set's own splits, slice by slice"
    if rule in ("fixed", "subsets"):
        raise UserError(f"This data set fixes no splits, so --split {rule} cannot be followed; use --split patient.")
    said = f"patients drawn from seed {seed}, 40 % of them to test and 20 % of the rest to validation"
    if first.patients is not None:
        return SplitRule(patients=_split_after_a_look(cohort, cases, seed)), said
    return SplitRule(patients=split_patients([replace(case, split="") for case in cases], seed)), said


def drawn_candidates(cohort: Cohort, seed: int, allow_leak: bool) -> ReleasedLists:
    """The lists of --split candidate.

    Raises UserError where the cohort has no candidates, LeakySplit where `allow_leak` does not say that it is wanted.
    """
    if not hasattr(cohort, "candidates"):
        raise UserError(f"The cohort {cohort.name!r} has no candidates; --split candidate is for luna16.")
    if not allow_leak:
        raise LeakySplit(
            "--split candidate puts the same scans into train and test, as the paper's LUNA16 split does, so what is "
            "measured on it is too good; say --allow-leak if that is wanted, or use --split patient or subsets."
        )
    rows, labels = cohort.candidates()
    return draw_candidates(rows, labels, seed)


def _first_readable(cohort: Cohort, cases: Sequence[Case]) -> CaseSlices:
    """The slices of the first case that can be read; the preparation itself will list those before it."""
    first_reason = ""
    for case in cases:
        found = _read_or_reason(cohort, case)
        if not isinstance(found, str):
            return found
        first_reason = first_reason or found
    raise UserError(f"None of the {len(cases)} scans could be read; the first: {first_reason}")


def _read_or_reason(cohort: Cohort, case: Case) -> CaseSlices | str:
    try:
        return cohort.read(case)
    except (UnreadableScan, OSError, MemoryError) as error:
        return reason_of(case, error)


def _split_after_a_look(cohort: Cohort, cases: Sequence[Case], seed: int) -> dict[str, str]:
    """Patient -> split, of cases that hold slices of several patients each."""
    patients, labels = [], []
    with progress("look for patients", len(cases), "files") as bar:
        for case in cases:
            found = _read_or_reason(cohort, case)
            if not isinstance(found, str):
                unread = np.full(len(found.labels), case.patient)
                patients.append(unread if found.patients is None else found.patients)
                labels.append(found.labels)
            bar.advance()
    names = np.concatenate(patients)
    return dict(zip(names.tolist(), split_slices(names, np.concatenate(labels), seed).tolist(), strict=True))


def _refuse_listed_leaks(cohort: Cohort, cases: Sequence[Case], lists: ReleasedLists, allow_leak: bool) -> None:
    """Said before hours are spent, not after."""
    if hasattr(cohort, "scans_of"):
        rows = lists.rows()
        refuse_leaks(cohort.scans_of(rows), lists.splits_of("", rows)[0], allow_leak)
    else:
        numbers = np.arange(_SLICES)
        pairs = [
            (case.patient, split) for case in cases for split in set(lists.splits_of(case.case, numbers)[0].tolist())
        ]
        refuse_leaks([patient for patient, _ in pairs], [split for _, split in pairs], allow_leak)
