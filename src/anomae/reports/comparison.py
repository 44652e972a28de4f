"""Several detectors on the same images: paired differences, spread over seeds, and all of them merged."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from anomae.reports.assessment import best_baseline, gain_over
from anomae.reports.comparison_schema import ComparedRun, Comparison, DeLongFigures, Pair, SeedSpread, Spread
from anomae.reports.few_patients import few_patients_notes
from anomae.reports.schema import ComparedBaseline
from anomae.reports.schema_values import Difference, Share
from anomae.reports.verdict import beside_chance
from anomae.statistics.delong import delong_test, holm
from anomae.statistics.holders import why_no_interval
from anomae.statistics.intervals import Interval, PatientBootstrap, paired_difference
from anomae.statistics.metric_specs import METRICS
from anomae.statistics.scored import ScoredSlices
from anomae.statistics.strata import matching_bands
from anomae.statistics.trivial_baselines import TRIVIAL_BASELINES

Columns = Mapping[str, npt.NDArray[np.float64]]
MERGED = "merged"
CLUSTERED = (
    "DeLong's own test takes images as independent; here a patient has several, so it is computed with the images of "
    "one patient taken together. It stands beside the difference from resamples of whole patients for comparison."
)


def mean_rank(columns: Sequence[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """The mean over scores (n,) of the share of the images each image ranks above or level with, ties halved; (n,).

    Ranks, not values: scores of unlike detectors have no common scale.  They are taken among these images, so the
    merged score of one image depends on the others: it is for evaluation, not for use.
    """
    from scipy.stats import rankdata

    ranks = np.stack([rankdata(column) / len(column) for column in columns])
    return np.asarray(ranks.mean(axis=0), dtype=np.float64)


def compare_scores(
    slices: ScoredSlices,
    scores: Columns,
    trivial_baselines: Columns,
    groups: Mapping[str, Sequence[str]],
    bootstrap: PatientBootstrap,
) -> Comparison:
    """All figures of a comparison; scores: run -> (n,), trivial_baselines: name -> (n,), on the same slices.

    groups: name -> runs that differ by seed alone; of those with two runs or more the spread is given.  bootstrap: over
    the patients of `slices`.
    """
    columns = {_of_run(name): score for name, score in scores.items()}
    if len(scores) > 1:
        columns[MERGED] = mean_rank(list(scores.values()))
    metrics = bootstrap.metrics(slices.label, columns)
    aurocs = bootstrap.aurocs(slices.label, {**columns, **trivial_baselines})
    best = best_baseline(aurocs, trivial_baselines)
    bands = matching_bands(slices).get("position")
    within = None
    if bands is not None and len(np.intersect1d(bands[(slices.label == 1) & (bands >= 0)], bands[slices.label == 0])):
        within = bootstrap.aurocs(slices.label, columns, bands=bands)
    rows = {
        name: ComparedRun.of(
            metrics[name],
            gain=gain_over(aurocs, name, best),
            position_matched_auroc=Share.of(within[name]) if within else None,
        )
        for name in columns
    }
    tests = {
        pair: delong_test(slices.label, scores[pair[0]], scores[pair[1]], bootstrap.patient)
        for pair in combinations(scores, 2)
    }
    tested = {pair: test.p for pair, test in tests.items() if test.p is not None}
    adjusted = dict(zip(tested, holm(list(tested.values())), strict=True))
    runs = {name: rows[_of_run(name)] for name in scores}
    pairs = [
        Pair(
            one=one,
            other=other,
            difference=Difference.of(paired_difference(aurocs[_of_run(one)], aurocs[_of_run(other)])),
            delong=DeLongFigures.model_validate({**test.to_json(), "p_holm": adjusted.get((one, other))}),
        )
        for (one, other), test in tests.items()
    ]
    seeds = {name: _spread(runs, members) for name, members in groups.items() if len(members) > 1}
    compared = {
        name: ComparedBaseline.of(
            aurocs[name], title=TRIVIAL_BASELINES[name].title, uses_labels=TRIVIAL_BASELINES[name].uses_labels
        )
        for name in sorted(trivial_baselines, key=lambda name: -aurocs[name].value)
    }
    why = why_no_interval(aurocs[_of_run(next(iter(scores)))].groups)
    return Comparison(
        verdict=_verdict(runs, pairs, seeds, compared[best] if best else None, why),
        runs=runs,
        merged=rows.get(MERGED),
        pairs=pairs,
        seeds=seeds,
        trivial_baselines=compared,
        best_trivial_baseline=best,
    )


def comparison_notes(slices: ScoredSlices, score: npt.NDArray[np.float64], bootstrap: PatientBootstrap) -> list[str]:
    """What few patients, or several images of one, mean for a comparison on these slices; score: of any run, (n,)."""
    return [
        *few_patients_notes(bootstrap.aurocs(slices.label, {"score": score})["score"]),
        *([CLUSTERED] if bootstrap.patients < len(slices) else []),
    ]


def _of_run(name: str) -> str:
    """The column of a run beside MERGED and the trivial baselines, whose names a run's folder may have too."""
    return f"run {name}"


def _value(run: ComparedRun, metric: str) -> float:
    share = run[metric]
    return float("nan") if share is None else share.value


def _spread(runs: Mapping[str, ComparedRun], members: Sequence[str]) -> SeedSpread:
    """Mean, standard deviation (n - 1), least and most of every metric over runs that differ by seed alone."""
    spreads = {}
    for metric in METRICS:
        values = np.array([_value(runs[name], metric) for name in members])
        spreads[metric] = Spread(
            mean=float(values.mean()), sd=float(values.std(ddof=1)), min=float(values.min()), max=float(values.max())
        )
    return SeedSpread(runs=list(members), metrics=spreads)


def _verdict(
    runs: Mapping[str, ComparedRun],
    pairs: Sequence[Pair],
    seeds: Mapping[str, SeedSpread],
    baseline: ComparedBaseline | None,
    why_none: str,
) -> str:
    order = sorted(runs, key=lambda name: -_value(runs[name], "auroc"))
    first, auroc = runs[order[0]], runs[order[0]]["auroc"]
    said = [f"{'Highest' if why_none else 'Best'}: {order[0]}, AUROC {auroc.interval if auroc else ''}"]
    if auroc and not why_none:
        said[0] += beside_chance(auroc.interval)
    if len(order) > 1:
        pair = next(pair for pair in pairs if {pair.one, pair.other} == set(order[:2]))
        gap = pair.difference.interval if pair.one == order[0] else _reversed(pair.difference)
        if gap.low is None:
            words = why_none or "too few patients for an interval"
        else:
            words = "more than chance" if gap.low > 0 else "not distinguishable from zero"
        said.append(f"{gap} above {order[1]}, {words}")
    for name, seed in seeds.items():
        spread = seed.metrics["auroc"]
        said.append(
            f"over {len(seed.runs)} seeds of {name} mean AUROC {spread.mean:.3f} with a standard deviation of "
            f"{spread.sd:.3f} ({spread.min:.3f} to {spread.max:.3f})"
        )
    if baseline and first.gain:
        said.append(
            f"the best trivial baseline, {baseline.title}, gives {baseline.value:.3f}: the gain of the best run is "
            f"{first.gain.interval}"
        )
    else:
        said.append("no trivial baseline could be computed beside them")
    return "; ".join(said) + "."


def _reversed(difference: Difference) -> Interval:
    low, high = difference.low, difference.high
    return Interval(-difference.value, None if high is None else -high, None if low is None else -low)
