"""How often a 95 % interval by patient holds the truth, of every kind of figure that a report prints one of.

    python benchmarks/coverage.py [--repeats 200] [--resamples 300] [--abnormal 3 5 7 10 15 20 21 25 35 50]
                                  [--kinds slices metrics shares pixels pretext] [--signals 0 1 3]
                                  [--layouts 0 1 2 3 4 5 6 7 8] [--patients 50] [--seed 0]

Patients with effects of their own on all of their slices: as many abnormal ones as asked and, of fifty or --patients,
the others normal (at least five).  "own" abnormal patients have abnormal slices only; in "mixed" ones four slices of
ten are abnormal.  Where "all" patients have as many abnormal slices of as many, there are only those asked as
abnormal, and the second score has no effect of patients, at the same quality.  signal: by how many standard deviations
of a slice abnormal ones score higher.  The truth is 0.5, or no difference, where there is no signal; else it is the
figure of 20,000 patients weighted as in the small samples.

Prints, by layout, signal and figure, the share of repeats with an interval, how many of these hold the truth and how
wide they are on average, and the same of the plain percentiles.  Repeats have the seeds from --seed on.  Ends with
status 1 where an interval holds the truth less often than 92 times in 100, three standard errors allowed for.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import numpy.typing as npt

from anomae.statistics.delong import delong_test
from anomae.statistics.intervals import Estimate, Interval, PatientBootstrap, difference_estimate
from anomae.statistics.jackknife import jackknifed_aurocs, mean_jackknife
from anomae.statistics.lesions import LesionCounts, aupro, aupro_estimate, figures_at_threshold
from anomae.statistics.metric_specs import METRICS
from anomae.statistics.metrics import Ranked, area_under_precision, area_under_roc
from anomae.statistics.pixels import PixelCounts, best_dice, count_pixels, float16_levels, pixel_figures, pixel_levels
from anomae.statistics.ratios import mean_of_ratios, ratio
from anomae.statistics.resampled_ranks import ResampledRanks

MANY, PIXEL_BATCHES, LEAST = 20_000, 20, 0.92
Floats = npt.NDArray[np.float64]
Found = tuple[str, Estimate | Interval, float]


@dataclass(frozen=True)
class Layout:
    """Slices a patient (about), whether these vary, whether patients hold both classes, the patients' own effect.

    equal: every patient has so many abnormal slices, and there are no others; 0: not so.  patients: how many there are,
    if five of them at least are normal.
    """

    name: str
    slices: int
    varied: bool = False
    mixed: bool = False
    effect: float = 1.0
    equal: int = 0
    patients: int = 50


LAYOUTS = (
    Layout("one slice a patient", 1),
    Layout("own, 2 slices", 2),
    Layout("own, 8 slices, strong effect", 8, effect=3.0),
    Layout("own, unbalanced", 5, varied=True),
    Layout("mixed, 8 slices", 8, mixed=True),
    Layout("mixed, unbalanced", 6, varied=True, mixed=True, effect=2.0),
    Layout("all 1 of 2, strong effect", 2, equal=1, effect=14.0),
    Layout("all 4 of 10, strong effect", 10, equal=4, effect=7.0),
    Layout("all 4 of 10", 10, equal=4, effect=2.0),
)


@dataclass(frozen=True)
class Drawn:
    """Slices of made-up patients, the first `abnormal` of them ill: patient (n,), labels (n,), scores by name."""

    patient: npt.NDArray[np.int64]
    labels: npt.NDArray[np.bool_]
    scores: dict[str, Floats]


def people(layout: Layout, abnormal: int) -> int:
    """How many patients there are where so many are abnormal: those of the layout, or more so that five are normal."""
    return abnormal if layout.equal else max(layout.patients, abnormal + 5)


def draw(layout: Layout, ill: int, patients: int, signal: float, rng: np.random.Generator) -> Drawn:
    """Two scores of one quality each, that share half of what a patient adds to them."""
    sizes = np.full(patients, layout.slices)
    if layout.varied:
        sizes = np.ceil(np.exp(rng.normal(np.log(layout.slices) - 0.5, 1.0, patients))).astype(np.int64)
    patient = np.repeat(np.arange(patients), sizes)
    labels = patient < ill
    if layout.mixed:
        labels &= rng.random(len(patient)) < 0.4
    if layout.equal:
        labels &= np.arange(len(patient)) % layout.slices < layout.equal
    shared = layout.effect * rng.normal(size=patients)[patient]
    spread = np.hypot(1.0, np.sqrt(2) * layout.effect)  # of one slice, so that a signal means as much in all layouts
    own = {
        name: shared + layout.effect * rng.normal(size=patients)[patient] + rng.normal(size=len(patient))
        for name in ("a", "b")
    }
    if layout.equal:
        own["b"] = spread * rng.normal(size=len(patient))
    return Drawn(patient, labels, {name: scores + signal * spread * labels for name, scores in own.items()})


@cache
def truths(layout: Layout, abnormal: int, signal: float) -> dict[str, float]:
    """Every metric of very many patients, of whom as large a part counts as abnormal as in the small samples."""
    drawn = draw(layout, MANY if layout.equal else MANY // 2, MANY, signal, np.random.default_rng(1))
    share = abnormal / people(layout, abnormal)
    times = np.where(np.arange(MANY) < MANY // 2, share, 1 - share)[None]
    counts = ResampledRanks(Ranked(drawn.labels, drawn.scores["a"]), drawn.patient, MANY).counts(times)
    found = {name: float(spec.function(*counts)[0]) for name, spec in METRICS.items()}
    return found | ({"auroc": 0.5} if signal == 0 else {})


def of_slices(layout: Layout, abnormal: int, signal: float, resamples: int, seed: int) -> Iterator[Found]:
    """AUROC, the difference of two scores by bootstrap and by DeLong, AUROC within bands."""
    rng = np.random.default_rng([seed, abnormal, int(10 * signal), *layout.name.encode()])
    drawn = draw(layout, abnormal, people(layout, abnormal), signal, rng)
    labels, patient, truth = drawn.labels, drawn.patient, truths(layout, abnormal, signal)
    if labels.sum() in (0, len(labels)):
        return
    bootstrap = PatientBootstrap(patient, resamples, seed)
    found = bootstrap.aurocs(labels, drawn.scores)
    yield "AUROC", found["a"], truth["auroc"]
    yield "difference", difference_estimate(found["a"], found["b"]), 0.0
    yield "DeLong", delong_test(labels, drawn.scores["a"], drawn.scores["b"], patient).interval, 0.0
    bands = rng.integers(0, 3, len(labels))
    if np.isin(bands[labels], bands[~labels]).any():
        yield "matched", bootstrap.aurocs(labels, {"a": drawn.scores["a"]}, bands=bands)["a"], truth["auroc"]


def of_metrics(layout: Layout, abnormal: int, signal: float, resamples: int, seed: int) -> Iterator[Found]:
    """Every other metric."""
    rng = np.random.default_rng([seed, abnormal, int(10 * signal), *layout.name.encode()])
    drawn = draw(layout, abnormal, people(layout, abnormal), signal, rng)
    if drawn.labels.sum() in (0, len(drawn.labels)):
        return
    truth, metrics = truths(layout, abnormal, signal), {name: METRICS[name] for name in METRICS if name != "auroc"}
    bootstrap = PatientBootstrap(drawn.patient, resamples, seed)
    for name, estimate in bootstrap.metrics(drawn.labels, {"": drawn.scores["a"]}, metrics)[""].items():
        yield name, estimate, truth[name]


def flagged(layout: Layout, patients: int, odds: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Slices flagged and slices of each patient (p,), whose log odds vary as much as the patients' effect."""
    sizes = np.full(patients, layout.slices)
    if layout.varied:
        sizes = np.ceil(np.exp(rng.normal(np.log(layout.slices) - 0.5, 1.0, patients))).astype(np.int64)
    chance = 1 / (1 + np.exp(-odds - layout.effect * rng.normal(size=patients)))
    return rng.binomial(sizes, chance).astype(np.float64), sizes.astype(np.float64)


@cache
def true_share(layout: Layout, odds: float) -> float:
    """Of very many patients."""
    hit, of = flagged(layout, 50 * MANY, odds, np.random.default_rng(1))
    return float(hit.sum() / of.sum())


def of_shares(layout: Layout, abnormal: int, signal: float, resamples: int, seed: int) -> Iterator[Found]:
    """Sensitivity of the abnormal patients' slices, specificity of the others', their mean; rare as signal grows."""
    rng = np.random.default_rng([seed, abnormal, int(10 * signal), *layout.name.encode()])
    patients, odds = people(layout, abnormal), 1.5 * signal
    ill = np.arange(patients) < abnormal
    hit, of = flagged(layout, patients, odds, rng)
    truth = true_share(layout, odds)
    sensitivity = ratio(hit * ill, of * ill)
    specificity = ratio(hit * ~ill, of * ~ill)
    for name, interval in (
        ("sensitivity", sensitivity),
        ("specificity", specificity),
        ("balanced accuracy", mean_of_ratios(specificity, sensitivity)),
    ):
        if interval is not None:
            yield name, interval, truth


def maps_of(
    layout: Layout, ill: int, patients: int, signal: float, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float16], npt.NDArray[np.bool_]]:
    """Patient (n,) of slices, maps and lesion masks (n, 10, 10): squares of 2 to 5 pixels in the ill ones' slices."""
    drawn = draw(layout, ill, patients, 0.0, rng)
    masks = np.zeros((len(drawn.patient), 10, 10), dtype=np.bool_)
    for row in np.flatnonzero(drawn.labels):
        side, (top, left) = rng.integers(2, 6), rng.integers(0, 5, 2)
        masks[row, top : top + side, left : left + side] = True
    within = layout.effect * rng.normal(size=patients)[drawn.patient]  # how a patient's lesions differ from others'
    maps = drawn.scores["a"][:, None, None] + rng.normal(size=masks.shape) + masks * within[:, None, None]
    return drawn.patient, (maps + signal * masks * np.hypot(1, layout.effect)).astype(np.float16), masks


LEVEL = int(float16_levels(np.float16([1.5]))[0])


def count(
    patient: npt.NDArray[np.int64], maps: npt.NDArray[np.float16], masks: npt.NDArray[np.bool_]
) -> tuple[PixelCounts, LesionCounts]:
    """Counts of pixels and of lesions, as a report takes them."""
    patients = int(patient.max()) + 1
    levels = pixel_levels([(maps, masks)], patients)
    lesions = LesionCounts(patients, levels, LEVEL)
    lesions.add(maps, masks, None, patient)
    return count_pixels([(maps, masks)], patient, levels), lesions


@cache
def true_pixels(layout: Layout, abnormal: int, signal: float) -> dict[str, float]:
    """The figures of 6,000 patients of each class, weighted as in `truths`."""
    rng, share, many = np.random.default_rng(1), abnormal / people(layout, abnormal), 300  # at once, for memory
    exact, overlap, number, flags, lesion = np.zeros((2, 1 << 16)), np.zeros(1 << 16), 0.0, np.zeros(4), 0.0
    for ill, weight in ((many, share), (0, 1 - share)) * PIXEL_BATCHES:
        pixels, lesions = count(*maps_of(layout, ill, many, signal, rng))
        exact, overlap = exact + weight * pixels.levels.exact, overlap + weight * lesions.overlap
        number, flags = number + weight * lesions.number.sum(), flags + weight * lesions.flags.sum(axis=0)
        lesion += weight * lesions.lesion_pixels.sum()
    fp, tp = (np.cumsum(row[::-1])[None] for row in exact)
    return {
        "pixel auroc": float(area_under_roc(tp, fp)[0]),
        "pixel average_precision": float(area_under_precision(tp, fp)[0]),
        "pixel best_dice": float(best_dice(tp, fp)[0]),
        "aupro": float(aupro(exact[:1], overlap[None], np.array([number]))[0]),
        "dice": float(2 * flags[0] / (flags[0] + flags[1] + lesion)),
        "healthy flagged": float(flags[2] / flags[3]),
    }


def of_pixels(layout: Layout, abnormal: int, signal: float, resamples: int, seed: int) -> Iterator[Found]:
    """Pixel AUROC, average precision, best Dice, AUPRO, and Dice and healthy tissue flagged at a threshold."""
    rng = np.random.default_rng([seed, abnormal, int(10 * signal), *layout.name.encode()])
    patient, maps, masks = maps_of(layout, abnormal, people(layout, abnormal), signal, rng)
    if not masks.any():
        return
    truth, bootstrap = true_pixels(layout, abnormal, signal), PatientBootstrap(patient, resamples, seed)
    pixels, lesions = count(patient, maps, masks)
    for name, estimate in pixel_figures(pixels, bootstrap).items():
        yield f"pixel {name}", estimate, truth[f"pixel {name}"]
    yield "aupro", aupro_estimate(pixels, lesions, bootstrap), truth["aupro"]
    at = figures_at_threshold(lesions)
    if at.dice and at.healthy_tissue_flagged:
        yield "dice", at.dice, truth["dice"]
        yield "healthy flagged", at.healthy_tissue_flagged, truth["healthy flagged"]


def pretext_columns(
    layout: Layout, patients: int, signal: float, rng: np.random.Generator
) -> tuple[Drawn, dict[str, Floats]]:
    """Unaltered slices of healthy patients, and the same ones with pseudo-lesions of three families."""
    drawn = draw(replace(layout, mixed=False), 0, patients, 0.0, rng)
    families = {}
    for family in range(3):
        effect = signal * (1 + 0.7 * rng.normal(size=patients)[drawn.patient])  # a patient's own, in each family
        families[str(family)] = drawn.scores["a"] + effect + 0.5 * rng.normal(size=len(drawn.patient))
    return drawn, families


@cache
def true_pretext(layout: Layout, signal: float) -> float:
    """Of very many patients."""
    drawn, families = pretext_columns(layout, MANY, signal, np.random.default_rng(1))
    labels = np.repeat([0, 1], len(drawn.patient))
    values = [Ranked(labels, np.concatenate([drawn.scores["a"], own])).counts() for own in families.values()]
    return 0.5 if signal == 0 else float(np.mean([area_under_roc(*counts)[0] for counts in values]))


def of_pretext(layout: Layout, abnormal: int, signal: float, resamples: int, seed: int) -> Iterator[Found]:
    """AUROC of a family of pseudo-lesions, and the mean over three; of as many patients as are asked abnormal."""
    rng = np.random.default_rng([seed, abnormal, int(10 * signal), *layout.name.encode()])
    drawn, families = pretext_columns(layout, abnormal, signal, rng)
    labels, truth = np.repeat([0, 1], len(drawn.patient)), true_pretext(layout, signal)
    columns = {name: np.concatenate([drawn.scores["a"], own]) for name, own in families.items()}
    found = jackknifed_aurocs(labels, columns, np.tile(drawn.patient, 2))
    yield "pretext family", found["0"].interval(), truth
    yield "pretext mean", mean_jackknife(list(found.values())).interval(), truth


Kind = Callable[[Layout, int, float, int, int], Iterator[Found]]
KINDS: dict[str, Kind] = {
    "slices": of_slices,
    "metrics": of_metrics,
    "shares": of_shares,
    "pixels": of_pixels,
    "pretext": of_pretext,
}


def held(figure: Estimate | Interval, truth: float) -> tuple[bool, float] | None:
    """Whether the interval holds the truth, and its width; None where there is no interval."""
    interval = figure.interval() if isinstance(figure, Estimate) else figure
    if interval.low is None or interval.high is None:
        return None
    return interval.low - 1e-12 <= truth <= interval.high + 1e-12, interval.high - interval.low


def coverage(
    layout: Layout,
    abnormal: int,
    repeats: int,
    resamples: int,
    kind: str = "slices",
    signal: float = 0.0,
    first_seed: int = 0,
) -> dict[str, Floats]:
    """Figure -> intervals printed, of these holding the truth, their summed widths, and both of percentiles (5,)."""
    counts: dict[str, Floats] = {}
    for seed in range(first_seed, first_seed + repeats):
        for name, figure, truth in KINDS[kind](layout, abnormal, signal, resamples, seed):
            counts.setdefault(name, np.zeros(5))
            found = held(figure, truth)
            if found is None:
                continue
            plain = (
                held(replace(figure, groups=(), leaning=False, skewed=False, centre=None, beside=None), truth)
                if isinstance(figure, Estimate)
                else None
            )
            counts[name] += [1, *found, *(plain or (np.nan, np.nan))]
    return counts


def main() -> int:
    """Print the table."""
    from machine import show_machine  # not where a test loads this file

    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--repeats", type=int, default=200)
    options.add_argument("--resamples", type=int, default=300)
    options.add_argument("--abnormal", type=int, nargs="+", default=[3, 5, 7, 10, 15, 20, 21, 25, 35, 50])
    options.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    options.add_argument("--layouts", type=int, nargs="+", default=list(range(len(LAYOUTS))), help="by their order")
    options.add_argument("--signals", type=float, nargs="+", default=[0.0, 1.0, 3.0])
    options.add_argument("--patients", type=int, default=50, help="in all, abnormal or not")
    options.add_argument("--seed", type=int, default=0, help="of the first repeat; the others follow")
    asked = options.parse_args()
    show_machine()
    failed = False
    cells = [
        (kind, signal, layout, abnormal)
        for kind in asked.kinds
        for signal in asked.signals
        for layout in (replace(LAYOUTS[number], patients=asked.patients) for number in asked.layouts)
        for abnormal in asked.abnormal
    ]
    began = time.monotonic()
    for kind, signal, layout, abnormal in cells:
        counts = coverage(layout, abnormal, asked.repeats, asked.resamples, kind, signal, asked.seed)
        for name, (given, *sums) in counts.items():
            share, width, usual, narrow = np.array(sums) / given if given else np.full(4, np.nan)
            low = given > 0 and share < LEAST - 3 * np.sqrt(LEAST * (1 - LEAST) / given)
            failed |= bool(low)
            print(
                f"{name:30} signal {signal:g}  {layout.name:30} {abnormal:3} abnormal  {int(given):5} intervals  "
                f"hold {share:.3f}  wide {width:.3f}  plain {usual:.3f}  wide {narrow:.3f}"
                f"{'  TOO FEW' if low else ''}",
                flush=True,
            )
    print(f"{len(cells)} cells in {time.monotonic() - began:.0f} s")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
