"""Findings against lesions: which lesions are found, how many findings are false, and the FROC curve of both.

A finding is a connected region of a map above a threshold, a lesion one of the lesion mask, both with 26 neighbours
(8 in a single slice).  A finding is true where at least a tenth of its voxels are lesion; a lesion is found where a
true finding overlaps it.  The tenth is what an overlap (intersection over union) of 0.1, usual for lesions in three
dimensions, asks of a finding: without it one finding that floods the scan would find everything and never be false.
Nothing is asked of the lesion's share: a finding on the core of a large lesion sends a reader to the right place.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.statistics.holders import holders
from anomae.statistics.intervals import Estimate, PatientBootstrap
from anomae.statistics.pixels import MOST_CELLS

TRUE_SHARE = 0.1  # of the voxels of a true finding that are lesion, at least
RATES = {"1/8": 0.125, "1/4": 0.25, "1/2": 0.5, "1": 1.0, "2": 2.0, "4": 4.0, "8": 8.0}  # false findings per scan
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Matched:
    """The f findings and l lesions of one scan.

    scores: (f,), the highest value of each finding.  true: (f,) bool.  voxels: (l,), of each lesion.  found_at: (l,),
    the highest score of a true finding that overlaps it; -inf where there is none.
    """

    scores: Floats
    true: npt.NDArray[np.bool_]
    voxels: npt.NDArray[np.int64]
    found_at: Floats


def match(heat: npt.NDArray[Any], lesions: npt.NDArray[np.bool_], threshold: float) -> Matched:
    """The findings of a map (z, y, x) above `threshold` against the lesion mask of the same shape."""
    from scipy.ndimage import label

    around = np.ones((3, 3, 3), dtype=np.int8)
    above = heat > threshold
    found, findings = label(above, structure=around)
    marked, count = label(lesions, structure=around)
    which, values = found[above] - 1, heat[above].astype(np.float64)
    scores = np.full(findings, -np.inf)
    np.maximum.at(scores, which, values)
    size = np.bincount(which, minlength=findings)
    inside = np.bincount(which, weights=lesions[above], minlength=findings)
    true = (inside > 0) & (inside >= TRUE_SHARE * size - 1e-9)
    found_at = np.full(count, -np.inf)
    both = above & lesions
    pointing, pointed = found[both] - 1, marked[both] - 1
    right = true[pointing]
    np.maximum.at(found_at, pointed[right], scores[pointing[right]])
    return Matched(scores, true, np.bincount(marked[lesions] - 1, minlength=count), found_at)


def stacked(number: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where each slice of a scan stands along z, (k,), so that slices touch only where their numbers do.

    number: (k,), each once, in any order.  A gap, however wide, is one slice that stays empty.
    """
    order = np.argsort(number, kind="stable")
    z = np.empty(len(number), dtype=np.int64)
    z[order] = np.concatenate([[0], np.cumsum(np.where(np.diff(number[order]) > 1, 2, 1))])
    return z


@dataclass(slots=True)
class FindingCounts:
    """Fed a scan at a time; holds a few numbers a finding, a lesion and a scan.

    Each list has an array a scan: of the findings their `scores` and whether they are `true`, of the lesions their
    `voxels` and `found_at`; `patient`: 0..p-1, whose scan it is.
    """

    patient: list[int] = field(default_factory=list)
    matched: list[Matched] = field(default_factory=list)

    def add(self, matched: Matched, patient: int) -> None:
        """A scan of that patient."""
        self.patient.append(patient)
        self.matched.append(matched)

    def column(self, name: str) -> npt.NDArray[Any]:
        """Of all findings or lesions (n,): `scores`, `true`, `voxels` or `found_at`."""
        parts = [getattr(one, name) for one in self.matched]
        return np.concatenate(parts) if parts else np.empty(0)

    def patients_of(self, name: str) -> npt.NDArray[np.int64]:
        """The patient of each finding or lesion (n,), as `column` has them."""
        return np.repeat(np.array(self.patient, dtype=np.int64), [len(getattr(one, name)) for one in self.matched])

    @property
    def healthy(self) -> npt.NDArray[np.bool_]:
        """Whether each scan (s,) is without a lesion."""
        return np.array([not len(one.voxels) for one in self.matched], dtype=np.bool_)

    def scans(self, chosen: npt.NDArray[np.bool_] | None = None) -> Floats:
        """How many scans each patient has, (p,), of those that are `chosen` (s,)."""
        patient = np.array(self.patient, dtype=np.int64)
        own = patient if chosen is None else patient[chosen]
        return np.bincount(own, minlength=int(patient.max(initial=-1)) + 1).astype(np.float64)

    def false(self, chosen: npt.NDArray[np.bool_] | None = None) -> Floats:
        """How many false findings each patient has, (p,), in the scans that are `chosen` (s,)."""
        patient = np.array(self.patient, dtype=np.int64)
        number = np.array([np.count_nonzero(~one.true) for one in self.matched], dtype=np.float64)
        weight = number if chosen is None else number * chosen
        return np.bincount(patient, weights=weight, minlength=int(patient.max(initial=-1)) + 1).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Froc:
    """The curve: from no finding at all to every one above the base threshold, by falling score.

    score: (u,), findings of this score or a higher one count.  false_per_scan, recall: (u,) each, never falling.
    sensitivity: by the rates of `RATES`, the highest recall with at most so many false findings per scan.
    """

    score: Floats
    false_per_scan: Floats
    recall: Floats
    sensitivity: dict[str, Estimate]


def froc(counts: FindingCounts, bootstrap: PatientBootstrap) -> Froc | None:
    """None where no scan has a lesion.  bootstrap: over the patients 0..p-1 of the scans."""
    scans, found_at = counts.scans(), counts.column("found_at")
    lesions = np.bincount(counts.patients_of("found_at"), minlength=len(scans)).astype(np.float64)
    if not lesions.sum():
        return None
    scores, true = counts.column("scores"), counts.column("true").astype(np.bool_)
    levels = np.unique(scores)[::-1]
    false = _by_level(levels, scores[~true], counts.patients_of("scores")[~true], len(scans))
    found = _by_level(levels, found_at, counts.patients_of("found_at"), len(scans))
    per_scan = false.summed() / scans.sum()
    recall = found.summed() / lesions.sum()
    groups = (holders("lesions", lesions), holders("scans", scans))
    rates = np.array(list(RATES.values()))
    samples: list[Floats] = []
    if bootstrap.resamples and len(levels):
        kept = np.unique(np.linspace(0, len(levels) - 1, min(len(levels), MOST_CELLS // len(scans))).astype(int))
        of_false, of_found = false.table(kept), found.table(kept)
        for times in bootstrap.draws(len(kept)):
            with np.errstate(invalid="ignore", divide="ignore"):
                across = (times @ of_false) / (times @ scans)[:, None]
                up = (times @ of_found) / (times @ lesions)[:, None]
            samples.append(np.stack([_at(rates, *one) for one in zip(across, up, strict=True)]))
    resampled = np.concatenate(samples) if samples else np.empty((0, len(rates)))
    if bootstrap.resamples and not len(levels):
        resampled = np.zeros((bootstrap.resamples, len(rates)))
    values = _at(rates, per_scan, recall)
    sensitivity = {
        name: Estimate(float(values[column]), resampled[:, column], groups) for column, name in enumerate(RATES)
    }
    return Froc(levels, per_scan, recall, sensitivity)


@dataclass(frozen=True, slots=True)
class _Levels:
    """Events: at which of u levels each comes in, of which of p patients."""

    level: npt.NDArray[np.int64]
    patient: npt.NDArray[np.int64]
    levels: int
    patients: int

    def summed(self) -> Floats:
        return np.cumsum(np.bincount(self.level, minlength=self.levels)[: self.levels]).astype(np.float64)

    def table(self, kept: npt.NDArray[np.int64]) -> Floats:
        """How many each patient has at the levels `kept` (k,) or before, (p, k)."""
        step = np.searchsorted(kept, self.level)
        inside = step < len(kept)
        cells = self.patient[inside] * len(kept) + step[inside]
        counted = np.bincount(cells, minlength=self.patients * len(kept)).reshape(self.patients, len(kept))
        return np.cumsum(counted, axis=1).astype(np.float64)


def _by_level(levels: Floats, scores: Floats, patient: npt.NDArray[np.int64], patients: int) -> _Levels:
    """levels: falling.  Scores of -inf come in nowhere."""
    come = np.isfinite(scores)
    at = len(levels) - 1 - np.searchsorted(levels[::-1], scores[come])
    return _Levels(at.astype(np.int64), patient[come], len(levels), patients)


def _at(rates: Floats, false_per_scan: Floats, recall: Floats) -> Floats:
    """The recall (r,) where the curve has at most so many false findings per scan; 0 before its first step."""
    if np.isnan(recall).any():
        return np.full(len(rates), np.nan)
    steps = np.searchsorted(false_per_scan, rates + 1e-12, side="right")
    return np.append(0.0, recall)[steps]
