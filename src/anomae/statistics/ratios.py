"""Shares of slices, pixels or lesions, with intervals by patient, from one count a patient.

Percentiles of resampled patients hold the truth far too seldom for shares near 0 or 1 (79 times in 100 where a few
patients of fifty hold all that is missed), so these intervals are another kind: Clopper and Pearson's for as many
independent slices as the patients are worth (Korn and Graubard, Survey Methodology 24, 1998).
"""

import numpy as np
import numpy.typing as npt

from anomae.statistics.holders import Holders, holders, why_no_interval
from anomae.statistics.intervals import Interval

MOST_OF_ONE = 3.0  # independent slices that a patient counts as at most; benchmarks/coverage.py shows why


def ratio(
    over: npt.NDArray[np.float64],
    under: npt.NDArray[np.float64],
    groups: tuple[Holders, ...] = (),
    most_of_one: float = MOST_OF_ONE,
) -> Interval | None:
    """sum(over) / sum(under) over patients, (p,) each, 0 <= over <= under; None where `under` is all 0.

    groups: patients that must be enough beside those with anything in `under`.  most_of_one: what a patient counts as
    at most, in independent slices; all of them alike count as one a patient.
    """
    if not under.sum() > 0:
        return None
    from scipy.stats import beta

    held = under > 0
    value = float(min(over.sum() / under.sum(), 1.0))
    counted = holders("anything to count", under)
    if why := why_no_interval((counted, *groups)):
        return Interval(value, why=why)
    worth = _worth(over[held], under[held], value, counted, most_of_one)
    hits, misses = value * worth, (1 - value) * worth
    low = float(beta.ppf(0.025, hits, misses + 1)) if value > 0 else 0.0
    high = float(beta.ppf(0.975, hits + 1, misses)) if value < 1 else 1.0
    return Interval(value, low, high)


def _worth(
    over: npt.NDArray[np.float64], under: npt.NDArray[np.float64], value: float, counted: Holders, most_of_one: float
) -> float:
    """How many independent slices these patients, (k,) counts each, are worth."""
    from scipy.stats import t

    patients = len(over)
    apart = (over - value * under) / under.sum()
    variance = patients / (patients - 1) * float(np.square(apart).sum())
    if variance < 1e-24:
        return counted.effective
    wider = float(t.ppf(0.975, patients - 1)) / 1.959963984540054  # the variance is an estimate itself
    return min(value * (1 - value) / variance, most_of_one * counted.effective) / wider**2


def mean_of_ratios(one: Interval | None, other: Interval | None) -> Interval | None:
    """The mean of two shares, as if of different patients (Zou and Donner, Statistics in Medicine 27, 2008).

    Too wide, not too narrow, where a patient who raises one lowers the other, as sensitivity and specificity do.
    """
    if one is None or other is None:
        return None
    value = (one.value + other.value) / 2
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return Interval(value, why=one.why or other.why)
    down = np.hypot(one.value - one.low, other.value - other.low) / 2
    up = np.hypot(one.high - one.value, other.high - other.value) / 2
    return Interval(value, max(0.0, float(value - down)), min(1.0, float(value + up)))
