"""Intervals of shares near 0 or 1, where the patients hold a few of what is rare and resamples of them fewer kinds.

Percentiles of resampled patients hold the truth far too seldom there (79 times in 100 where a few patients of fifty
hold all that is missed).  Clopper and Pearson's interval (Biometrika 26, 1934) for as many independent slices as the
patients are worth holds it: Korn and Graubard, Survey Methodology 24, 1998.  benchmarks/coverage.py shows both.
"""

MOST_OF_ONE = 3.0  # independent slices that a patient counts as at most
FEW = 5.0  # patients: what is rarer than so many of them is rare
_NONE = 1e-24  # a variance that only rounding tells from 0


def worth(value: float, variance: float, effective: float, freedom: int) -> float:
    """How many independent slices a share of this variance is worth.

    effective: patients of equal weight behind it; where all are alike each counts as one, else as three at most.
    freedom: degrees of freedom of the variance, which is an estimate itself.
    """
    if variance < _NONE:
        return effective
    from scipy.stats import t

    wider = float(t.ppf(0.975, freedom)) / 1.959963984540054
    return min(value * (1 - value) / variance, MOST_OF_ONE * effective) / wider**2


def clopper_pearson(value: float, slices: float) -> tuple[float, float]:
    """The ends of the 95 % interval of a share of so many independent slices; these need not be whole."""
    from scipy.stats import beta

    hits, misses = value * slices, (1 - value) * slices
    low = float(beta.ppf(0.025, hits, misses + 1)) if value > 0 else 0.0
    high = float(beta.ppf(0.975, hits + 1, misses)) if value < 1 else 1.0
    return low, high


def is_rare(value: float, effective: float) -> bool:
    """Whether a share, or what is missing from it to 1, is worth fewer than five of the patients."""
    return min(value, 1 - value) * effective < FEW
