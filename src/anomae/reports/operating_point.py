"""The operating point in the report: thresholds from normals only, and what they achieve on the test split."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.statistics.intervals import Estimate, PatientBootstrap
from anomae.statistics.operating_point import Threshold, patient_threshold, slice_threshold, threshold_sentence
from anomae.statistics.ratios import ratio_estimate
from anomae.statistics.scored import ScoredSlices
from anomae.statistics.strata import MOST_SITES

SLICE_BOUND, PATIENT_BOUND = 0.05, 0.10
Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Normal slices of held-out patients: scores (m,) and patient (m,); where they come from; what weakens the bound.

    doubts: sentences such as that the checkpoint was chosen on these patients.
    """

    scores: npt.NDArray[np.float64]
    patient: npt.NDArray[np.str_]
    source: str
    doubts: list[str] = field(default_factory=list)


def operating_point(
    slices: ScoredSlices,
    scores: npt.NDArray[np.float64],
    calibration: Calibration | None,
    why_none: str,
    bootstrap: PatientBootstrap,
    bounds: tuple[float, float] = (SLICE_BOUND, PATIENT_BOUND),
    unit: str = "patient",
) -> Figures:
    """Thresholds from `calibration` and their figures on the test slices (n,) with scores (n,).

    why_none: a sentence, shown where there is no calibration.  bounds: on false alarms per slice and per patient.
    bootstrap: over the patients of `slices`.
    """
    if calibration is None or not len(calibration.scores):
        return {"calibration": None, "sentence": why_none, "doubts": [], "slice": None, "patient": None}
    by_slice = slice_threshold(calibration.scores, calibration.patient, bounds[0])
    by_patient = patient_threshold(calibration.scores, calibration.patient, bounds[1])
    doubts = [
        *calibration.doubts,
        f"The bounds hold on average over calibration sets, for new {unit}s like those of the calibration: another "
        "site, scanner or selection is not covered.",
    ]
    with_lesion = np.unique(slices.patient[slices.label == 1])
    if len(with_lesion) and len(np.setdiff1d(slices.patient, with_lesion)) == 0:
        doubts.append(
            f"Every {unit} of the test split has an abnormal slice: false alarms are counted on their normal slices."
        )
    figures = {
        "slice": {
            **_promised(by_slice, f"slice of a new healthy {unit}", f"{unit}s"),
            **_by_slice(slices, scores > by_slice.value, bootstrap),
            "groups": _by_group(slices, scores > by_slice.value, bootstrap),
        },
        "patient": {
            **_promised(by_patient, f"{unit} whose slices are all normal", f"{unit}s"),
            **_by_patient(slices, scores > by_patient.value, bootstrap),
        },
    }
    for level, row in figures.items():
        seen = row["false_positive_rate"]
        if seen and seen["low"] is not None and seen["low"] > row["bound"]:
            doubts.append(
                f"The bound per {level if level == 'slice' else unit} was not kept on this test split: "
                f"{100 * seen['value']:.1f} % were flagged where {100 * row['bound']:.3g} % was promised."
            )
    return {
        "calibration": {
            "source": calibration.source,
            "patients": len(np.unique(calibration.patient)),
            "slices": len(calibration.scores),
        },
        "sentence": f"Thresholds from {calibration.source}, chosen without any abnormal image.",
        "doubts": doubts,
        **figures,
    }


def _promised(threshold: Threshold, unit: str, patients: str) -> Figures:
    return {
        "threshold": threshold.value,
        "bound_asked": threshold.asked,
        "bound": threshold.bound,
        "reachable": threshold.reachable,
        "calibration_patients_needed": threshold.needed,
        "sentence": threshold_sentence(threshold, unit, patients),
    }


def _by_slice(slices: ScoredSlices, flagged: npt.NDArray[np.bool_], bootstrap: PatientBootstrap) -> Figures:
    abnormal = slices.label == 1

    def count(which: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        return np.bincount(bootstrap.patient[which], minlength=bootstrap.patients).astype(np.float64)

    normals = count(~abnormal)
    share = np.divide(count(flagged & ~abnormal), normals, out=np.zeros(len(normals)), where=normals > 0)
    specificity = ratio_estimate(bootstrap, count(~flagged & ~abnormal), normals)
    sensitivity = ratio_estimate(bootstrap, count(flagged & abnormal), count(abnormal))
    return {
        "false_positive_rate": _json(ratio_estimate(bootstrap, share, (normals > 0).astype(np.float64))),
        "specificity": _json(specificity),
        "sensitivity": _json(sensitivity),
        "balanced_accuracy": _json(_mean(specificity, sensitivity)),
    }


def _by_patient(slices: ScoredSlices, flagged: npt.NDArray[np.bool_], bootstrap: PatientBootstrap) -> Figures:
    abnormal = slices.label == 1

    def any_of(which: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        return (np.bincount(bootstrap.patient[which], minlength=bootstrap.patients) > 0).astype(np.float64)

    ill, alarmed = any_of(abnormal), any_of(flagged)
    specificity = ratio_estimate(bootstrap, (1 - ill) * (1 - alarmed), 1 - ill)
    sensitivity = ratio_estimate(bootstrap, ill * alarmed, ill)
    return {
        "false_positive_rate": _json(ratio_estimate(bootstrap, any_of(flagged & ~abnormal), any_of(~abnormal))),
        "specificity": _json(specificity),
        "sensitivity": _json(sensitivity),
        "found_in_an_abnormal_slice": _json(ratio_estimate(bootstrap, any_of(flagged & abnormal), ill)),
        "balanced_accuracy": _json(_mean(specificity, sensitivity)),
    }


def _by_group(slices: ScoredSlices, flagged: npt.NDArray[np.bool_], bootstrap: PatientBootstrap) -> list[Figures]:
    rows = []
    for kind, column in slices.groups().items():
        names, counts = np.unique(column[column != ""], return_counts=True)
        for name in names[np.argsort(-counts, kind="stable")][:MOST_SITES]:
            indices = np.flatnonzero(column == name)
            split = slices.take(indices)
            own = PatientBootstrap(split.patient, bootstrap.resamples, bootstrap.seed)
            figures = _by_slice(split, flagged[indices], own)
            rows.append(
                {
                    "kind": kind,
                    "name": str(name),
                    "slices": len(split),
                    "patients": own.patients,
                    "specificity": figures["specificity"],
                    "sensitivity": figures["sensitivity"],
                }
            )
    return rows


def _mean(one: Estimate | None, other: Estimate | None) -> Estimate | None:
    if one is None or other is None:
        return None
    return Estimate((one.value + other.value) / 2, (one.resampled + other.resampled) / 2)


def _json(estimate: Estimate | None) -> Mapping[str, float | None] | None:
    return estimate.interval().to_json() if estimate else None
