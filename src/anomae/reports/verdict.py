"""One sentence that says what a score is worth beside the best trivial baseline."""

from dataclasses import dataclass
from typing import Literal

from anomae.statistics.intervals import Interval


@dataclass(frozen=True, slots=True)
class BestBaseline:
    """A trivial baseline as the verdict names it: `title`, its AUROC, and the score's AUROC minus it (`gain`)."""

    title: str
    auroc: Interval
    gain: Interval


def verdict(
    auroc: Interval,
    baseline: BestBaseline | None = None,
    mirrored: tuple[str, float] | None = None,
    matched: Interval | None = None,
    matched_baseline: tuple[str, float] | None = None,
) -> str:
    """The sentence.

    auroc: of the score.  baseline: the best one whose direction was fixed beforehand.  mirrored: a baseline that does
    better than `baseline` with its direction reversed, and its AUROC then: mentioned, since whoever picks directions by
    the result could have had it.  matched: the score's AUROC among slices of the same tenth of the scan, and
    matched_baseline: the best baseline there.
    """
    parts = [f"AUROC {auroc}{_beside_chance(auroc)}"]
    if baseline is not None:
        parts.append(
            f"the best trivial baseline, {baseline.title}, gives {baseline.auroc.value:.3f}: "
            f"the gain is {baseline.gain}, {_significance(baseline.gain)}"
        )
    else:
        parts.append("no trivial baseline could be computed beside it")
    if mirrored is not None:
        parts.append(f"{mirrored[0]} with its direction reversed gives {mirrored[1]:.3f}")
    if matched is not None:
        beside = f", where {matched_baseline[0]} gives {matched_baseline[1]:.3f}" if matched_baseline else ""
        parts.append(f"position-matched AUROC {matched}{beside}")
    return "; ".join(parts) + "."


def tone(auroc: Interval, gain: Interval | None) -> Literal["above", "level", "below"]:
    """How the verdict may be coloured: "above" the best baseline and chance, "below" one of them, or "level"."""
    if auroc.low is None or auroc.high is None or gain is None or gain.low is None or gain.high is None:
        return "level"
    if auroc.high < 0.5 or gain.high < 0:
        return "below"
    return "above" if auroc.low > 0.5 and gain.low > 0 else "level"


def one_class_verdict(normal: int, abnormal: int) -> str:
    """What is said where there is nothing to separate."""
    if normal + abnormal == 0:
        return "No test slice has a known label, so no AUROC can be given."
    missing, present = (
        ("abnormal", f"all {normal} are normal") if normal else ("normal", f"all {abnormal} are abnormal")
    )
    return f"The test split holds no {missing} slice ({present}), so no AUROC can be given."


def _beside_chance(auroc: Interval) -> str:
    if auroc.low is None or auroc.high is None:
        return " (too few patients for an interval)"
    if auroc.low <= 0.5 <= auroc.high:
        return ", not distinguishable from chance"
    return ", worse than chance" if auroc.high < 0.5 else ""


def _significance(gain: Interval) -> str:
    if gain.low is None or gain.high is None:
        return "with too few patients for an interval"
    if gain.low > 0:
        return "more than that baseline explains"
    return "so the baseline is better" if gain.high < 0 else "not distinguishable from zero"
