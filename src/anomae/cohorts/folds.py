"""Cross-validation by patient: which fold tests a patient, and who trains and validates there."""

import math
from collections.abc import Collection, Mapping

from anomae.errors import UserError
from anomae.seeds import generator

FEWEST_PER_FOLD = 2
VALIDATION = 1 / 6  # of the patients that a fold does not test


def fold_of_patients(patients: Collection[str], ill: Collection[str], folds: int, seed: int) -> dict[str, int]:
    """Patient -> the fold that tests them, 0..folds - 1, from names and seed alone.

    ill: those of `patients` who have an abnormal slice; they and the others are dealt out evenly, so the folds differ
    by one patient at most in each.  Raises UserError for fewer than two folds, or fewer patients than two a fold.
    """
    if folds < 2:
        raise UserError(f"Cross-validation needs 2 folds or more, not {folds}.")
    names = set(patients)
    if len(names) < FEWEST_PER_FOLD * folds:
        raise UserError(
            f"{len(names)} patients are too few for {folds} folds: {FEWEST_PER_FOLD * folds} are needed, "
            f"{FEWEST_PER_FOLD} a fold; ask for fewer folds."
        )
    groups = {"ill": sorted(names & set(ill)), "others": sorted(names - set(ill))}
    dealt = [
        group[index]
        for purpose, group in groups.items()
        for index in generator(seed, "folds", purpose).permutation(len(group))
    ]
    return {name: index % folds for index, name in enumerate(dealt)}


def splits_in_fold(
    fold_of: Mapping[str, int], with_healthy: Collection[str], fold: int, seed: int, validation: float = VALIDATION
) -> dict[str, str]:
    """Patient -> split in this fold: its own patients are tested, of the others some validate and the rest train.

    with_healthy: patients with a healthy slice; one who has none can neither teach nor give a threshold, and is in no
    split ("") where they are not tested.  validation: share of the usable others, rounded up, one at least.
    Raises UserError where fewer than two usable patients are left, one to train on and one to validate on.
    """
    useful = set(with_healthy)
    others = sorted(name for name, own in fold_of.items() if own != fold and name in useful)
    if len(others) < 2:
        raise UserError(f"Fold {fold + 1} leaves {len(others)} patient(s) with healthy slices; ask for other folds.")
    count = min(math.ceil(validation * len(others) - 1e-9), len(others) - 1)
    drawn = [others[index] for index in generator(seed, "validation of fold", fold).permutation(len(others))]
    splits = {name: "test" if own == fold else "" for name, own in fold_of.items()}
    splits.update(dict.fromkeys(others, "train"))
    splits.update(dict.fromkeys(drawn[: max(count, 1)], "validation"))
    return splits
