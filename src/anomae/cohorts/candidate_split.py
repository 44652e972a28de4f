"""The paper's LUNA16 split drawn anew: at random by candidate, for those who lack the released lists."""

import numpy as np
import numpy.typing as npt

from anomae.cohorts.case import ABNORMAL, HEALTHY
from anomae.cohorts.released_lists import LISTS, ReleasedLists
from anomae.seeds import generator

# List -> how many candidates the paper has of it (section 4.1).
PAPER_COUNTS = {
    "normal_training_samples": 50_000,
    "normal_val_samples": 3_000,
    "abnormal_val_samples": 351,
    "normal_test_samples": 10_000,
    "abnormal_test_samples": 1_000,
}


def draw_candidates(rows: npt.NDArray[np.int64], labels: npt.NDArray[np.int8], seed: int) -> ReleasedLists:
    """The paper's five lists, drawn from these rows (n,) of the candidate table and their labels (n,), 0 or 1.

    Each class is drawn without return; where it has fewer candidates than the paper took, all are shared out in the
    paper's proportion.  Depends on the set of rows and the seed alone.
    """
    names, keys, lists = list(LISTS), [], []
    order = np.argsort(rows, kind="stable")
    for label in (HEALTHY, ABNORMAL):
        own = rows[order][labels[order] == label]
        shuffled = own[generator(seed, "split by candidate", label).permutation(len(own))]
        wanted = [name for name in names if LISTS[name][1] == label]
        ends = _shares([PAPER_COUNTS[name] for name in wanted], len(own)).cumsum()
        for name, first, last in zip(wanted, [0, *ends[:-1]], ends, strict=True):
            keys.append(shuffled[first:last])
            lists.append(np.full(last - first, names.index(name), dtype=np.int8))
    every, of = np.concatenate(keys), np.concatenate(lists)
    rising = np.argsort(every, kind="stable")
    return ReleasedLists("luna16", every[rising].astype(np.int64), of[rising])


def candidates_sentence(lists: ReleasedLists, seed: int) -> str:
    """How such a split was made, for prepare.json and the report."""
    counts = lists.counts()
    train, validation, ill_validation, test, ill_test = (counts[name] for name in PAPER_COUNTS)
    return (
        f"candidates drawn at random from seed {seed}, after the paper's LUNA16 split and not its released lists "
        f"(train {train}, validation {validation} + {ill_validation} nodules, test {test} + {ill_test} nodules): "
        "the same scans stand in train and test"
    )


def _shares(wanted: list[int], count: int) -> npt.NDArray[np.int64]:
    """`wanted`, or where there are fewer in all, `count` in the same proportion, none empty if that can be."""
    total = sum(wanted)
    if count >= total:
        return np.array(wanted, dtype=np.int64)
    small = [max(round(count * part / total), int(count >= len(wanted))) for part in wanted]
    largest = small.index(max(small))
    small[largest] += count - sum(small)
    return np.array(small, dtype=np.int64)
