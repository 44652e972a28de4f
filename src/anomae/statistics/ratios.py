"""Shares of slices, pixels or lesions, with intervals by patient, from one count a patient."""

import numpy as np
import numpy.typing as npt

from anomae.statistics.holders import Holders, holders
from anomae.statistics.intervals import Estimate, Interval, PatientBootstrap


def ratio_estimate(
    bootstrap: PatientBootstrap,
    over: npt.NDArray[np.float64],
    under: npt.NDArray[np.float64],
    groups: tuple[Holders, ...] = (),
) -> Estimate | None:
    """sum(over) / sum(under) over patients, (p,) each in the order of the bootstrap; None where `under` is all 0.

    groups: patients that must be enough beside those with anything in `under`.
    """
    if not under.sum() > 0:
        return None
    samples = []
    for times in bootstrap.draws(1):
        below = times @ under
        out = np.full(len(below), np.nan)
        np.divide(times @ over, below, out=out, where=below > 0)
        samples.append(out)
    counted = (holders("anything to count", under), *groups)
    resampled = np.concatenate(samples) if samples else np.empty(0)
    return Estimate(float(over.sum() / under.sum()), resampled, counted, always_counts=True)


def ratio(
    bootstrap: PatientBootstrap,
    over: npt.NDArray[np.float64],
    under: npt.NDArray[np.float64],
    groups: tuple[Holders, ...] = (),
) -> Interval | None:
    """The interval of `ratio_estimate`."""
    estimate = ratio_estimate(bootstrap, over, under, groups)
    return estimate.interval() if estimate else None
