"""All figures of a report from plain arrays: scores, trivial baselines, strata, matched groups, patients."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.errors import UserError
from anomae.reports.verdict import BestBaseline, one_class_verdict, tone, verdict
from anomae.statistics.intervals import Estimate, Interval, PatientBootstrap, paired_difference
from anomae.statistics.metrics import SLICE_METRICS
from anomae.statistics.scored import ScoredSlices
from anomae.statistics.strata import matching_bands, strata
from anomae.statistics.trivial_baselines import TRIVIAL_BASELINES
from anomae.statistics.wholes import banded_figures, whole_figures

Columns = Mapping[str, npt.NDArray[np.float64]]
FEW_PATIENTS = 20


def assess(
    slices: ScoredSlices, scores: Columns, trivial_baselines: Columns, *, resamples: int = 2000, seed: int = 0
) -> dict[str, Any]:
    """Every figure that scores and labels give, ready for report.json (see `definitions`).

    scores: the score columns (n,), `score` among them, higher is more anomalous.  trivial_baselines:
    (n,), named as in TRIVIAL_BASELINES.  Where one class is missing the figures are null and the verdict says why.
    """
    for name, column in scores.items():
        if not np.isfinite(column).all():
            raise UserError(f"{np.count_nonzero(~np.isfinite(column))} values of {name} are not finite numbers.")
    content: dict[str, Any] = {"best_trivial_baseline": None, "gain": None, "blank": _blank(slices, scores["score"])}
    if not slices.both_classes:
        abnormal = int(np.count_nonzero(slices.label))
        nothing = dict.fromkeys(SLICE_METRICS)
        return {
            **content,
            "verdict": one_class_verdict(len(slices) - abnormal, abnormal),
            "tone": "level",
            "slice": nothing,
            "scores": dict.fromkeys(scores),
            "trivial_baselines": {},
            "strata": {},
            "matched": {},
            "bands": {},
            "patient": None,
            "volume": None,
            "notes": [],
        }
    bootstrap = PatientBootstrap(slices.patient, resamples, seed)
    whole_test = bootstrap.aurocs(slices.label, {**scores, **trivial_baselines})
    figures = bootstrap.metrics(slices.label, scores)
    best = _best(whole_test, trivial_baselines)
    for name in scores:
        row: dict[str, Any] = {metric: _json(estimate) for metric, estimate in figures[name].items()}
        row["gain"] = paired_difference(whole_test[name], whole_test[best]).to_json() if best else None
        content.setdefault("scores", {})[name] = row
    matched = _matched(slices, scores, trivial_baselines, bootstrap)
    content |= {
        "slice": {metric: content["scores"]["score"][metric] for metric in SLICE_METRICS},
        "best_trivial_baseline": best,
        "gain": content["scores"]["score"]["gain"],
        "trivial_baselines": {
            name: {
                **whole_test[name].interval().to_json(),
                "title": TRIVIAL_BASELINES[name].title,
                "direction": TRIVIAL_BASELINES[name].direction,
                "uses_labels": TRIVIAL_BASELINES[name].uses_labels,
            }
            for name in sorted(trivial_baselines, key=lambda name: -whole_test[name].value)
        },
        "strata": _strata(slices, scores, trivial_baselines, bootstrap),
        "matched": matched,
        "bands": banded_figures(slices, scores["score"], trivial_baselines[best] if best else None, bootstrap),
        "patient": whole_figures(slices, "patient", scores["score"], resamples, seed),
        "volume": whole_figures(slices, "case", scores["score"], resamples, seed),
        "notes": _notes(slices, content["blank"]),
    }
    content["verdict"] = _verdict(
        whole_test, best, [name for name in trivial_baselines if not TRIVIAL_BASELINES[name].uses_labels], matched
    )
    gain = Interval(**content["gain"]) if content["gain"] else None
    content["tone"] = tone(whole_test["score"].interval(), gain)
    return content


def _verdict(
    whole_test: Mapping[str, Estimate], best: str | None, label_free: list[str], matched: Mapping[str, Any]
) -> str:
    baseline, mirrored = None, None
    if best is not None:
        gain = paired_difference(whole_test["score"], whole_test[best])
        baseline = BestBaseline(TRIVIAL_BASELINES[best].title, whole_test[best].interval(), gain)
        lowest = min(label_free, key=lambda name: whole_test[name].value)
        if 1 - whole_test[lowest].value > whole_test[best].value:
            mirrored = (TRIVIAL_BASELINES[lowest].title, 1 - whole_test[lowest].value)
    within = matched.get("position")
    if within is None:
        return verdict(whole_test["score"].interval(), baseline, mirrored)
    other = within["best_trivial_baseline"]
    beside = (TRIVIAL_BASELINES[other].title, within["trivial_baselines"][other]["value"]) if other else None
    matched_auroc = Interval(**within["scores"]["score"])
    return verdict(whole_test["score"].interval(), baseline, mirrored, matched_auroc, beside)


def _strata(
    slices: ScoredSlices, scores: Columns, trivial_baselines: Columns, bootstrap: PatientBootstrap
) -> dict[str, Any]:
    found = {}
    for name, places in strata(slices).items():
        part = slices.take(places)
        abnormal = int(np.count_nonzero(part.label))
        found[name] = {
            "slices": len(part),
            "abnormal": abnormal,
            "normal": len(part) - abnormal,
            "patients": len(np.unique(part.patient)),
            "scores": dict.fromkeys(scores),
            "trivial_baselines": dict.fromkeys(trivial_baselines),
            "best_trivial_baseline": None,
            "gain": None,
        }
        if not part.both_classes:
            continue
        found[name] |= _beside_baselines(
            bootstrap.aurocs(slices.label, {**scores, **trivial_baselines}, rows=places), scores, trivial_baselines
        )
    return found


def _matched(
    slices: ScoredSlices, scores: Columns, trivial_baselines: Columns, bootstrap: PatientBootstrap
) -> dict[str, Any]:
    found = {}
    for name, bands in matching_bands(slices).items():
        shared = np.intersect1d(bands[(slices.label == 1) & (bands >= 0)], bands[slices.label == 0])
        if len(shared) == 0:
            continue
        judged = bootstrap.aurocs(slices.label, {**scores, **trivial_baselines}, bands=bands)
        found[name] = {"bands": len(shared), **_beside_baselines(judged, scores, trivial_baselines)}
    return found


def _beside_baselines(judged: Mapping[str, Estimate], scores: Columns, trivial_baselines: Columns) -> dict[str, Any]:
    """AUROC of each score and baseline, the best baseline that has seen no label, and the score's gain over it."""
    best = _best(judged, trivial_baselines)
    return {
        "scores": {column: _json(judged[column]) for column in scores},
        "trivial_baselines": {column: _json(judged[column]) for column in trivial_baselines},
        "best_trivial_baseline": best,
        "gain": paired_difference(judged["score"], judged[best]).to_json() if best else None,
    }


def _best(judged: Mapping[str, Estimate], trivial_baselines: Columns) -> str | None:
    label_free = [name for name in trivial_baselines if not TRIVIAL_BASELINES[name].uses_labels]
    return max(label_free, key=lambda name: judged[name].value, default=None)


def _blank(slices: ScoredSlices, scores: npt.NDArray[np.float64]) -> dict[str, float | None]:
    """How many slices are empty, and where their scores stand among the normal slices with content."""
    if not slices.empty.any():
        return {"share": 0.0, "normal_below": None}
    normal = scores[(slices.label == 0) & ~slices.empty]
    below = float(np.mean(normal < scores[slices.empty].mean())) if len(normal) else None
    return {"share": float(slices.empty.mean()), "normal_below": below}


def _notes(slices: ScoredSlices, blank: Mapping[str, float | None]) -> list[str]:
    notes = []
    patients = len(np.unique(slices.patient))
    if patients < FEW_PATIENTS:
        notes.append(f"Only {patients} patients (or cases) in the test split: the intervals are rough.")
    with_lesion = np.isin(slices.patient, slices.patient[slices.label == 1])
    mixed = int(np.count_nonzero(with_lesion & (slices.label == 0)))
    normal = int(np.count_nonzero(slices.label == 0))
    if mixed:
        notes.append(
            f"{mixed} of {normal} normal test slices come from patients who also have abnormal slices: normal means "
            "free of marked lesion here, not from a healthy person."
        )
    if slices.empty.any():
        notes.append(
            f"{np.count_nonzero(slices.empty)} of {len(slices)} test slices are empty; the stratum without_empty "
            "leaves them out."
        )
        if blank["normal_below"] is not None:
            notes.append(
                f"An empty slice scores above {100 * blank['normal_below']:.0f} % of the normal slices with content."
            )
    return notes


def _json(estimate: Estimate) -> dict[str, float | None]:
    return estimate.interval().to_json()
