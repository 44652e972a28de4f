"""Means of counts, such as false findings per scan, with intervals by patient."""

import numpy as np
import numpy.typing as npt

from anomae.statistics.holders import Holders, holders, why_no_interval
from anomae.statistics.intervals import Interval


def rate(
    counts: npt.NDArray[np.float64], scans: npt.NDArray[np.float64], groups: tuple[Holders, ...] = ()
) -> Interval | None:
    """sum(counts) / sum(scans) over patients, (p,) each; None where `scans` is all 0.

    groups: patients that must be enough beside those with a scan.  The interval is Fay and Feuer's for a weighted sum
    of Poisson counts (Statistics in Medicine 16, 1997), with the variance from how much the patients differ, for scans
    of one patient, and findings of one scan, come together; never narrower than of independent counts, and with room
    for one count more in a patient, so that none at all in few patients does not pass for certainty.
    """
    if not scans.sum() > 0:
        return None
    value, held = float(counts.sum() / scans.sum()), holders("scans", scans)
    if why := why_no_interval((held, *groups)):
        return Interval(value, why=why)
    from scipy.stats import chi2, t

    apart = ((counts - value * scans) / scans.sum())[scans > 0]
    wider = float(t.ppf(0.975, held.patients - 1)) / 1.959963984540054
    variance = held.patients / (held.patients - 1) * float(np.square(apart).sum()) * wider**2
    variance = max(variance, value / float(scans.sum()))
    one = max(1 / held.effective, variance / value if value > 0 else 0.0)  # what one more cluster of them would add
    more, spread = value + one, variance + one**2
    high = spread / (2 * more) * float(chi2.ppf(0.975, 2 * more**2 / spread))
    low = variance / (2 * value) * float(chi2.ppf(0.025, 2 * value**2 / variance)) if value > 0 else 0.0
    return Interval(value, low, high)
