"""How often a 95 % interval by patient holds the truth where a score knows nothing: 0.5, or no difference.

    python benchmarks/coverage.py [--repeats 1000] [--resamples 400] [--abnormal 3 5 7 10 15 20 21 25 35 45]

Fifty patients, each with an effect of its own on all of its slices.  "own" abnormal patients have abnormal slices only
and the others normal ones; in "mixed" patients four slices of ten are abnormal and the rest normal.  Prints, by layout
and kind of figure, the share of repeats with an interval, how many of these hold the truth, and those of the plain
percentiles.  Ends with status 1 where an interval holds the truth less often than 92 times in 100, three standard
errors allowed for.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from anomae.statistics.intervals import Estimate, PatientBootstrap, paired_difference

PATIENTS, LEAST = 50, 0.92


@dataclass(frozen=True)
class Layout:
    """Slices a patient (about), whether these vary, whether patients hold both classes, the patients' own effect."""

    name: str
    slices: int
    varied: bool = False
    mixed: bool = False
    effect: float = 1.0


LAYOUTS = (
    Layout("one slice a patient", 1),
    Layout("own, 2 slices", 2),
    Layout("own, 8 slices, strong effect", 8, effect=3.0),
    Layout("own, unbalanced", 5, varied=True),
    Layout("mixed, 8 slices", 8, mixed=True),
    Layout("mixed, unbalanced", 6, varied=True, mixed=True, effect=2.0),
)


def intervals(layout: Layout, abnormal: int, repeats: int, resamples: int) -> Iterator[tuple[str, Estimate, float]]:
    """Kind of figure, estimate and truth, of scores without any signal."""
    rng = np.random.default_rng([abnormal, *layout.name.encode()])
    for repeat in range(repeats):
        sizes = np.full(PATIENTS, layout.slices)
        if layout.varied:
            sizes = np.ceil(np.exp(rng.normal(np.log(layout.slices) - 0.5, 1.0, PATIENTS))).astype(np.int64)
        patient = np.repeat(np.arange(PATIENTS), sizes)
        labels = patient < abnormal
        if layout.mixed:
            labels &= rng.random(len(patient)) < 0.4
        if labels.sum() in (0, len(labels)):
            continue
        shared = layout.effect * rng.normal(size=PATIENTS)[patient]
        scores = {
            name: shared + layout.effect * rng.normal(size=PATIENTS)[patient] + rng.normal(size=len(patient))
            for name in ("a", "b")
        }
        bootstrap = PatientBootstrap(patient, resamples, seed=repeat)
        found = bootstrap.aurocs(labels, scores)
        yield "AUROC", found["a"], 0.5
        a, b = found["a"], found["b"]
        groups = (*a.groups, *b.groups)
        yield "difference", Estimate(a.value - b.value, a.resampled - b.resampled, groups, lowest=-1.0), 0.0
        assert (
            paired_difference(a, b).low
            == Estimate(a.value - b.value, a.resampled - b.resampled, groups, lowest=-1.0).interval().low
        )
        bands = rng.integers(0, 3, len(labels))
        if np.isin(bands[labels], bands[~labels]).any():
            yield "matched", bootstrap.aurocs(labels, {"a": scores["a"]}, bands=bands)["a"], 0.5


def held(estimate: Estimate, truth: float) -> bool | None:
    """Whether the interval holds the truth; None where there is no interval."""
    interval = estimate.interval()
    if interval.low is None or interval.high is None:
        return None
    return interval.low - 1e-12 <= truth <= interval.high + 1e-12


def coverage(layout: Layout, abnormal: int, repeats: int, resamples: int) -> dict[str, npt.NDArray[np.float64]]:
    """Kind -> intervals printed, of these holding the truth, and plain percentiles doing so (3,)."""
    counts: dict[str, npt.NDArray[np.float64]] = {}
    for kind, estimate, truth in intervals(layout, abnormal, repeats, resamples):
        hit = held(estimate, truth)
        plain = held(replace(estimate, groups=()), truth)
        counts.setdefault(kind, np.zeros(3))
        counts[kind] += [hit is not None, bool(hit), bool(plain) and hit is not None]
    return counts


def main() -> int:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--repeats", type=int, default=1000)
    options.add_argument("--resamples", type=int, default=400)
    options.add_argument("--abnormal", type=int, nargs="+", default=[3, 5, 7, 10, 15, 20, 21, 25, 35, 45])
    asked = options.parse_args()
    failed = False
    for layout in LAYOUTS:
        for abnormal in asked.abnormal:
            for kind, (given, hits, plain) in coverage(layout, abnormal, asked.repeats, asked.resamples).items():
                share, usual = (hits / given, plain / given) if given else (float("nan"), float("nan"))
                low = given > 0 and share < LEAST - 3 * np.sqrt(LEAST * (1 - LEAST) / given)
                failed |= bool(low)
                print(
                    f"{layout.name:30} {abnormal:3} abnormal  {kind:10} {int(given):5} intervals  hold {share:.3f}  "
                    f"plain {usual:.3f}{'  TOO FEW' if low else ''}",
                    flush=True,
                )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
