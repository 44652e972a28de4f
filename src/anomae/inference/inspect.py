"""A scan in, all that a model says about it out: scores and map, flags, findings, and whether it was made for the scan.

Pure: reads and writes no file, prints nothing, keeps nothing between calls.
"""

from dataclasses import dataclass, replace

import numpy as np

from anomae.cohorts.case import CaseSlices
from anomae.cohorts.scan_slices import scan_slices
from anomae.detectors.protocol import FittedDetector, engine_of, own_calibration_of
from anomae.inference.decision import EXPORT_AGAIN, FIT_AGAIN, HealthyScores, Rules, decide, rules_of
from anomae.inference.features import looks_possible
from anomae.inference.finding import FoundRegions, find_regions
from anomae.inference.reference import Reference
from anomae.inference.score_volume import BATCH, VolumeResult, score_slices
from anomae.inference.study import Study
from anomae.inference.suitability import suitability_of
from anomae.runs.model_fingerprint import REFERENCE_FEATURES
from anomae.slices.settings import PrepareSettings
from anomae.statistics.operating_point import PATIENT_BOUND, SLICE_BOUND
from anomae.volumes.volume import Grid, Volume


@dataclass(frozen=True, slots=True)
class Model:
    """A fitted detector and all that is kept beside it.

    settings: how its images were prepared.  healthy: its scores of healthy people, None where it was never calibrated.
    reference: what the scans it learned from are like, None where that is not kept.  fingerprint: of what was fitted,
    whatever lies beside it.
    """

    detector: FittedDetector
    settings: PrepareSettings
    healthy: HealthyScores | None = None
    reference: Reference | None = None
    fingerprint: str = ""

    def rules(
        self,
        bounds: tuple[float, float] = (SLICE_BOUND, PATIENT_BOUND),
        threshold: float | None = None,
        smoothed: bool = False,
    ) -> Rules:
        """By what it flags; see `anomae.inference.decision.rules_of`."""
        advice = FIT_AGAIN if own_calibration_of(self.detector) is None else EXPORT_AGAIN
        return rules_of(self.healthy, bounds=bounds, threshold=threshold, smoothed=smoothed, advice=advice)

    def lacks(self, computed_on: str = "") -> list[str]:
        """What is not kept beside the detector, or does not fit how it is used, and what that costs, a sentence each.

        computed_on: kind of device and precision that scans are scored in.
        """
        advice = "give the command `anomae fit STORE RUN` of its run again, which adds it"
        said = []
        if self.healthy is None and own_calibration_of(self.detector) is not None:
            said.append(
                f"This model ({engine_of(self.detector)}) keeps no scores that it gave to healthy people itself, so it "
                "flags nothing by itself; export it again where the store of its run is at hand."
            )
        elif self.healthy is None:
            said.append(
                f"The model keeps no scores of healthy people, so it flags nothing by itself; {advice} where the store "
                "has healthy slices in its validation split."
            )
        elif computed_on and self.healthy.computed_on not in ("", computed_on):
            said.append(
                f"Thresholds were computed on {self.healthy.computed_on}, and these scans are scored on {computed_on}: "
                "a score next to a threshold may fall on its other side."
            )
        if self.reference is None:
            said.append(f"The model does not say what it was made for, so no scan is refused; {advice}.")
        elif self.reference.lost:
            said.append(
                f"The file {REFERENCE_FEATURES} of this model is missing, so whether a scan looks unlike the training "
                "scans is not checked; copy it from the run's folder fitted, or export the run again."
            )
        elif self.reference.features is not None and not looks_possible():
            said.append("Whether a scan looks unlike the training scans is not checked: that needs torch.")
        return said


def inspect_volume(
    volume: Volume,
    model: Model,
    *,
    name: str = "scan",
    patient: str = "",
    bounds: tuple[float, float] = (SLICE_BOUND, PATIENT_BOUND),
    threshold: float | None = None,
    smoothed: bool = False,
    force: bool = False,
    batch: int = BATCH,
) -> Study:
    """Score a scan and decide about it.

    name: of its outputs.  patient: a pseudonym, "" where unknown.  bounds: on the probability that a healthy slice, and
    a healthy patient's scan, is flagged.  threshold: given by hand, in place of both.  smoothed: see `rules_of`.
    force: flag even where the model was not made for the scan.  batch: how many slices are inspected at a time, which
    changes memory and nothing else.
    Raises UnreadableScan where the scan cannot be prepared, and UserError where it has
    no slice of those that the detector learned from, the detector refuses them, or a bound is none.
    """
    rules = model.rules(bounds, threshold, smoothed)
    study = inspect_slices(scan_slices(volume), model, rules, name=name, patient=patient, force=force, batch=batch)
    return replace(study, volume=volume)


def inspect_slices(
    case: CaseSlices,
    model: Model,
    rules: Rules,
    *,
    name: str = "scan",
    patient: str = "",
    force: bool = False,
    batch: int = BATCH,
) -> Study:
    """The same for slices that were read otherwise, such as a picture in colour, by `rules` (`Model.rules`).

    The study has no volume.  See `inspect_volume`.
    """
    result = score_slices(case, model.detector, model.settings, batch=batch)
    suitability = suitability_of(case, result.images[~result.empty], model.reference)
    result = replace(result, notes=(*result.notes, *suitability.doubts))
    unsuited = "" if force else " ".join(suitability.reasons)
    return Study(
        name=name,
        volume=None,
        result=result,
        decision=decide(result.scores, rules, model.healthy, slices=result.slices, unsuited=unsuited),
        regions=None if unsuited else regions_of(result, rules),
        suitability=suitability,
        detector=model.detector.name,
        model=model.fingerprint[:12],
        patient=patient,
    )


def regions_of(result: VolumeResult, rules: Rules) -> FoundRegions | None:
    """The findings of a map by the rule for findings; None without map or threshold."""
    if result.map is None or rules.finding.threshold is None:
        return None
    grid: Grid | None = result.case.grid
    return find_regions(result.map, rules.finding.threshold, grid, np.asarray(result.case.slices, dtype=np.int64))
