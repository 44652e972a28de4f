"""The operating point in the report: thresholds from normals only, and what they achieve on the tested slices."""

import numpy as np
import numpy.typing as npt

from anomae.reports.schema_operating import (
    CalibrationSet,
    GroupFigures,
    OperatingPoint,
    PatientThreshold,
    SliceThreshold,
)
from anomae.reports.schema_values import Share
from anomae.statistics.intervals import Interval, PatientBootstrap
from anomae.statistics.operating_point import (
    PATIENT_BOUND,
    SLICE_BOUND,
    Calibration,
    Threshold,
    patient_threshold,
    slice_threshold,
    threshold_sentence,
)
from anomae.statistics.ratios import mean_of_ratios, ratio
from anomae.statistics.scored import ScoredSlices
from anomae.statistics.strata import MOST_SITES

Flags = npt.NDArray[np.bool_]


def operating_point(
    slices: ScoredSlices,
    scores: npt.NDArray[np.float64],
    calibration: Calibration | None,
    why_none: str,
    bootstrap: PatientBootstrap,
    bounds: tuple[float, float] = (SLICE_BOUND, PATIENT_BOUND),
    unit: str = "patient",
) -> OperatingPoint:
    """Thresholds from `calibration` and their figures on the test slices (n,) with scores (n,).

    why_none: a sentence, shown where there is no calibration.  bounds: on the false-positive rate per slice and per
    patient.  bootstrap: over the patients of `slices`.  unit: what these are called, "patient" or "case".
    """
    if calibration is None or not len(calibration.scores):
        return OperatingPoint(calibration=None, sentence=why_none, doubts=[], slice=None, patient=None)
    by_slice = slice_threshold(calibration.scores, calibration.patient, bounds[0])
    by_patient = patient_threshold(calibration.scores, calibration.patient, bounds[1])
    of_slices = _by_slice(slices, by_slice, scores > by_slice.value, bootstrap, unit)
    of_patients = _by_patient(slices, by_patient, scores > by_patient.value, bootstrap, unit)
    doubts = [
        *calibration.doubts,
        f"The bounds hold on average over calibration sets, for new {unit}s like those of the calibration. They do not "
        "cover another site, scanner or selection.",
    ]
    with_lesion = np.unique(slices.patient[slices.label == 1])
    if len(with_lesion) and len(np.setdiff1d(slices.patient, with_lesion)) == 0:
        doubts.append(
            f"Every {unit} that is tested has an abnormal slice: false positives are counted on their normal slices."
        )
    for level, row in (("slice", of_slices), (unit, of_patients)):
        rate = row.false_positive_rate
        if rate and rate.low is not None and rate.low > row.bound:
            doubts.append(
                f"The bound per {level} did not hold on the tested slices: {100 * rate.value:.1f} % were flagged, and "
                f"the bound is {100 * row.bound:.3g} %."
            )
    return OperatingPoint(
        calibration=CalibrationSet(
            source=calibration.source,
            patients=len(np.unique(calibration.patient)),
            slices=len(calibration.scores),
        ),
        sentence=f"Thresholds from {calibration.source}, chosen without any abnormal image.",
        doubts=doubts,
        slice=of_slices,
        patient=of_patients,
    )


def _threshold(threshold: Threshold, what: str, patients: str) -> dict[str, float | bool | str]:
    return {
        "threshold": threshold.value,
        "bound_asked": threshold.asked,
        "bound": threshold.bound,
        "reachable": threshold.reachable,
        "calibration_patients_needed": threshold.needed,
        "sentence": threshold_sentence(threshold, what, patients),
    }


def _by_slice(
    slices: ScoredSlices, threshold: Threshold, flagged: Flags, bootstrap: PatientBootstrap, unit: str
) -> SliceThreshold:
    abnormal = slices.label == 1
    normals = _counted(~abnormal, bootstrap)
    flagged_normals = _counted(flagged & ~abnormal, bootstrap)
    share = np.divide(flagged_normals, normals, out=np.zeros(len(normals)), where=normals > 0)
    specificity, sensitivity = _rates(slices, flagged, bootstrap)
    return SliceThreshold.model_validate(
        {
            **_threshold(threshold, f"slice of a new healthy {unit}", f"{unit}s"),
            **_figures(ratio(share, (normals > 0).astype(np.float64)), specificity, sensitivity),
            "groups": _by_group(slices, flagged, bootstrap),
        }
    )


def _by_patient(
    slices: ScoredSlices, threshold: Threshold, flagged: Flags, bootstrap: PatientBootstrap, unit: str
) -> PatientThreshold:
    abnormal = slices.label == 1

    def any_of(which: Flags) -> npt.NDArray[np.float64]:
        return (_counted(which, bootstrap) > 0).astype(np.float64)

    ill, alarmed = any_of(abnormal), any_of(flagged)
    false_positive_rate = ratio(any_of(flagged & ~abnormal), any_of(~abnormal))
    specificity = ratio((1 - ill) * (1 - alarmed), 1 - ill)
    sensitivity = ratio(ill * alarmed, ill)
    in_an_abnormal_slice = ratio(any_of(flagged & abnormal), ill)
    return PatientThreshold.model_validate(
        {
            **_threshold(threshold, f"{unit} whose slices are all normal", f"{unit}s"),
            **_figures(false_positive_rate, specificity, sensitivity),
            "flagged_in_an_abnormal_slice": Share.of_known(in_an_abnormal_slice),
        }
    )


def _by_group(slices: ScoredSlices, flagged: Flags, bootstrap: PatientBootstrap) -> list[GroupFigures]:
    rows = []
    for kind, column in slices.groups().items():
        names, counts = np.unique(column[column != ""], return_counts=True)
        for name in names[np.argsort(-counts, kind="stable")][:MOST_SITES]:
            indices = np.flatnonzero(column == name)
            group = slices.take(indices)
            own = bootstrap.of(group.patient)
            specificity, sensitivity = (Share.of_known(rate) for rate in _rates(group, flagged[indices], own))
            rows.append(
                GroupFigures.model_validate(
                    {
                        "kind": kind,
                        "name": str(name),
                        "slices": len(group),
                        "patients": own.patients,
                        "specificity": specificity,
                        "sensitivity": sensitivity,
                    }
                )
            )
    return rows


def _rates(
    slices: ScoredSlices, flagged: Flags, bootstrap: PatientBootstrap
) -> tuple[Interval | None, Interval | None]:
    """Specificity and sensitivity over slices."""
    abnormal = slices.label == 1
    true_negatives, true_positives = (
        _counted(~flagged & ~abnormal, bootstrap),
        _counted(flagged & abnormal, bootstrap),
    )
    return (
        ratio(true_negatives, _counted(~abnormal, bootstrap)),
        ratio(true_positives, _counted(abnormal, bootstrap)),
    )


def _counted(which: Flags, bootstrap: PatientBootstrap) -> npt.NDArray[np.float64]:
    """Slices of each patient, (p,)."""
    return np.bincount(bootstrap.patient[which], minlength=bootstrap.patients).astype(np.float64)


def _figures(
    false_positive_rate: Interval | None, specificity: Interval | None, sensitivity: Interval | None
) -> dict[str, Share | None]:
    return {
        "false_positive_rate": Share.of_known(false_positive_rate),
        "specificity": Share.of_known(specificity),
        "sensitivity": Share.of_known(sensitivity),
        "balanced_accuracy": Share.of_known(mean_of_ratios(specificity, sensitivity)),
    }
