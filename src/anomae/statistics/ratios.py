"""Shares of slices, pixels or lesions, with intervals by patient, from one count a patient."""

import numpy as np
import numpy.typing as npt

from anomae.statistics.holders import Holders, holders, why_no_interval
from anomae.statistics.intervals import Interval
from anomae.statistics.rare import clopper_pearson, worth


def ratio(
    over: npt.NDArray[np.float64], under: npt.NDArray[np.float64], groups: tuple[Holders, ...] = ()
) -> Interval | None:
    """sum(over) / sum(under) over patients, (p,) each, 0 <= over <= under; None where `under` is all 0.

    groups: patients that must be enough beside those with anything in `under`.  The interval is that of a binomial
    share of as many slices as the patients are worth (anomae.statistics.rare), from how much the patients differ.
    """
    if not under.sum() > 0:
        return None
    value, counted = float(min(over.sum() / under.sum(), 1.0)), holders("anything to count", under)
    if why := why_no_interval((counted, *groups)):
        return Interval(value, why=why)
    apart = ((over - value * under) / under.sum())[under > 0]
    variance = counted.patients / (counted.patients - 1) * float(np.square(apart).sum())
    return Interval(value, *clopper_pearson(value, worth(value, variance, counted.effective, counted.patients - 1)))


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
