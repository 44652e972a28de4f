"""Where in its scan a slice lies, and what that alone says about it."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from anomae.seeds import generator


def seen_extents(case: npt.NDArray[np.str_], number: npt.NDArray[np.int64]) -> dict[str, tuple[int, int]]:
    """First and last slice number of each case among these slices (n,); cases of one slice are left out."""
    names, index = np.unique(case, return_inverse=True)
    first = np.full(len(names), np.iinfo(np.int64).max)
    last = np.full(len(names), np.iinfo(np.int64).min)
    np.minimum.at(first, index, number)
    np.maximum.at(last, index, number)
    return {
        str(name): (int(low), int(high)) for name, low, high in zip(names, first, last, strict=True) if 0 <= low < high
    }


def relative_positions(
    case: npt.NDArray[np.str_], number: npt.NDArray[np.int64], extents: Mapping[str, tuple[int, int]]
) -> npt.NDArray[np.float64]:
    """Position in the scan (n,), 0 at the first slice .. 1 at the last; NaN for cases that `extents` does not name."""
    names, index = np.unique(case, return_inverse=True)
    known = [extents.get(str(name), (0, 0)) for name in names]
    first, last = (
        (np.array(side, dtype=np.float64) for side in zip(*known, strict=True)) if known else (np.empty(0),) * 2
    )
    length = np.where(last > first, last - first, np.nan)
    position: npt.NDArray[np.float64] = (number - first[index]) / length[index]
    return np.where((position >= 0) & (position <= 1), position, np.nan)


def tenth_of_scan(relative: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The tenth of the scan (n,), 0..9, that a relative position lies in; -1 where it is unknown."""
    tenth = np.minimum(np.nan_to_num(relative, nan=-0.1) * 10, 9)
    return np.where(np.isnan(relative), -1, np.floor(tenth)).astype(np.int64)


def position_rarity(
    relative: npt.NDArray[np.float64], training: npt.NDArray[np.float64], depth: int
) -> npt.NDArray[np.float64]:
    """How rare a position in the scan is among the training normals: minus the share of them at it, (n,).

    Of a slice, not of a bin, so that values from training splits of other sizes, as folds have, are on one scale.
    relative: (n,), training: (m,), relative positions without NaN.  depth: slices of a usual scan; positions are told
    apart that finely where there are at least 20 training normals at each on average, else more coarsely.
    """
    fine = max(depth, 5)
    # Whole slices are joined: bins that cut across them would hold now one slice and now two, and count that.
    step = int(np.clip(-(-20 * fine // max(len(training), 1)), 1, fine // 5))
    bins = -(-fine // step)
    counts = np.bincount(_bin(training, fine) // step, minlength=bins)
    joined = np.bincount(np.arange(fine) // step, minlength=bins)  # the last bin may be of fewer slices
    return -(counts / (joined * len(training)))[_bin(relative, fine) // step]


def abnormal_share(
    relative: npt.NDArray[np.float64], known: npt.NDArray[np.float64], labels: npt.NDArray[np.int8]
) -> npt.NDArray[np.float64]:
    """The share of abnormal slices at the same position in labelled scans of other patients, over that at all, (n,).

    known, labels: (m,), relative positions and labels (0, 1) of those scans.  Positions are told apart as finely as
    leaves 50 slices at each on average; one slice of the overall share is added to each.  Shares are over the overall
    one: where those scans hold few abnormal slices, as they do where the tested ones hold many, all would be lower.
    """
    bins = int(np.clip(len(known) // 50, 5, 50))
    return _over_all(_bin(known, bins), labels, bins)[_bin(relative, bins)]


def abnormal_share_across(
    relative: npt.NDArray[np.float64], labels: npt.NDArray[np.int8], patient: npt.NDArray[np.str_]
) -> npt.NDArray[np.float64]:
    """As `abnormal_share`, from these very slices: for each fifth of the patients from the four others, (n,)."""
    names, who = np.unique(patient, return_inverse=True)
    fifth = generator(0, "fifths of the patients").permutation(len(names))[who] % 5
    found = np.zeros(len(labels))
    for one in np.unique(fifth):
        inside = fifth == one
        found[inside] = abnormal_share(relative[inside], relative[~inside], labels[~inside])
    return found


def abnormal_share_of_group(
    group: npt.NDArray[np.str_], labels: npt.NDArray[np.int8], patient: npt.NDArray[np.str_]
) -> npt.NDArray[np.float64]:
    """As `abnormal_share_across` of slices of the same group (n,), whatever their position; (n,)."""
    names, who = np.unique(patient, return_inverse=True)
    _, index = np.unique(group, return_inverse=True)
    fifth = generator(0, "fifths of the patients").permutation(len(names))[who] % 5
    found = np.zeros(len(labels))
    for one in np.unique(fifth):
        inside = fifth == one
        found[inside] = _over_all(index[~inside], labels[~inside], int(index.max()) + 1)[index[inside]]
    return found


def _over_all(group: npt.NDArray[np.int64], labels: npt.NDArray[np.int8], groups: int) -> npt.NDArray[np.float64]:
    """The share of abnormal slices in each group over that of all, one slice of the latter added; (groups,)."""
    overall = float(labels.mean())
    every, abnormal = np.bincount(group, minlength=groups), np.bincount(group, weights=labels, minlength=groups)
    return (abnormal / overall + 1) / (every + 1) if overall > 0 else np.ones(groups)


def _bin(relative: npt.NDArray[np.float64], bins: int) -> npt.NDArray[np.int64]:
    return np.rint(relative * (bins - 1)).astype(np.int64)
