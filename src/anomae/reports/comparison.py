"""Several detectors on the same images: paired differences, spread over seeds, and all of them merged."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.statistics.delong import delong_test, holm
from anomae.statistics.intervals import Interval, PatientBootstrap, paired_difference
from anomae.statistics.metrics import SLICE_METRICS
from anomae.statistics.scored import ScoredSlices
from anomae.statistics.strata import matching_bands
from anomae.statistics.trivial_baselines import TRIVIAL_BASELINES

Columns = Mapping[str, npt.NDArray[np.float64]]
MERGED = "merged"


def mean_rank(columns: Sequence[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """The mean over scores (n,) of the share of the images each image ranks above or level with, ties halved; (n,).

    Ranks, not values: scores of unlike detectors have no common scale.  They are taken among these very images, so the
    merged score of one image depends on the others: it is for judging, not for use.
    """
    from scipy.stats import rankdata

    ranks = np.stack([rankdata(column) / len(column) for column in columns])
    return np.asarray(ranks.mean(axis=0), dtype=np.float64)


def compare_scores(
    slices: ScoredSlices,
    scores: Columns,
    trivial_baselines: Columns,
    groups: Mapping[str, Sequence[str]],
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """All figures of a comparison; scores: run -> (n,), trivial_baselines: name -> (n,), on the same slices.

    groups: name -> runs that differ by seed alone; of those with two runs or more the spread is given.
    """
    columns = {**scores, MERGED: mean_rank(list(scores.values()))} if len(scores) > 1 else dict(scores)
    bootstrap = PatientBootstrap(slices.patient, resamples, seed)
    figures = bootstrap.metrics(slices.label, columns)
    judged = bootstrap.aurocs(slices.label, {**columns, **trivial_baselines})
    free = [name for name in trivial_baselines if not TRIVIAL_BASELINES[name].uses_labels]
    best = max(free, key=lambda name: judged[name].value, default=None)
    bands = matching_bands(slices).get("position")
    within = None
    if bands is not None and len(np.intersect1d(bands[(slices.label == 1) & (bands >= 0)], bands[slices.label == 0])):
        within = bootstrap.aurocs(slices.label, columns, bands=bands)
    rows = {
        name: {
            **{metric: estimate.interval().to_json() for metric, estimate in figures[name].items()},
            "gain": paired_difference(judged[name], judged[best]).to_json() if best else None,
            "position_matched_auroc": within[name].interval().to_json() if within else None,
        }
        for name in columns
    }
    pairs: list[dict[str, Any]] = []
    for one, other in combinations(scores, 2):
        pairs.append(
            {
                "one": one,
                "other": other,
                "difference": paired_difference(judged[one], judged[other]).to_json(),
                "delong": delong_test(slices.label, scores[one], scores[other]).to_json(),
            }
        )
    for pair, adjusted in zip(pairs, holm([pair["delong"]["p"] for pair in pairs]), strict=True):
        pair["delong"]["p_holm"] = adjusted
    content = {
        "runs": {name: rows[name] for name in scores},
        "merged": rows.get(MERGED),
        "pairs": pairs,
        "seeds": {name: _spread(rows, members) for name, members in groups.items() if len(members) > 1},
        "trivial_baselines": {
            name: {
                **judged[name].interval().to_json(),
                "title": TRIVIAL_BASELINES[name].title,
                "uses_labels": TRIVIAL_BASELINES[name].uses_labels,
            }
            for name in sorted(trivial_baselines, key=lambda name: -judged[name].value)
        },
        "best_trivial_baseline": best,
    }
    return {"verdict": _verdict(content), **content}


def _spread(rows: Mapping[str, Any], members: Sequence[str]) -> dict[str, Any]:
    """Mean, standard deviation (n - 1), least and most of every metric over runs that differ by seed alone."""
    found: dict[str, Any] = {"runs": list(members)}
    for metric in SLICE_METRICS:
        values = np.array([rows[name][metric]["value"] for name in members])
        found[metric] = {
            "mean": float(values.mean()),
            "sd": float(values.std(ddof=1)),
            "min": float(values.min()),
            "max": float(values.max()),
        }
    return found


def _verdict(content: Mapping[str, Any]) -> str:
    runs = content["runs"]
    order = sorted(runs, key=lambda name: -runs[name]["auroc"]["value"])
    said = [f"Best: {order[0]}, AUROC {Interval(**runs[order[0]]['auroc'])}"]
    if len(order) > 1:
        pair = next(pair for pair in content["pairs"] if {pair["one"], pair["other"]} == set(order[:2]))
        sign = 1 if pair["one"] == order[0] else -1
        value, low, high = (pair["difference"][side] for side in ("value", "low", "high"))
        gap = Interval(value, low, high) if sign > 0 else _turned(value, low, high)
        sure = gap.low is not None and gap.low > 0
        said.append(f"ahead of {order[1]} by {gap}, {'more than chance' if sure else 'not distinguishable from none'}")
    for name, spread in content["seeds"].items():
        auroc = spread["auroc"]
        said.append(
            f"over {len(spread['runs'])} seeds of {name} AUROC {auroc['mean']:.3f} with a standard deviation of "
            f"{auroc['sd']:.3f} ({auroc['min']:.3f} to {auroc['max']:.3f})"
        )
    if content["best_trivial_baseline"]:
        trivial_baseline, gain = content["trivial_baselines"][content["best_trivial_baseline"]], runs[order[0]]["gain"]
        said.append(
            f"the best trivial baseline, {trivial_baseline['title']}, gives {trivial_baseline['value']:.3f}: "
            f"the best run gains "
            f"{Interval(**gain)} over it"
        )
    else:
        said.append("no trivial baseline could be computed beside them")
    return "; ".join(said) + "."


def _turned(value: float, low: float | None, high: float | None) -> Interval:
    return Interval(-value, None if high is None else -high, None if low is None else -low)
