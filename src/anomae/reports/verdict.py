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


@dataclass(frozen=True, slots=True)
class Beside:
    """What else a gain must stand up to before it is called more than a trivial baseline explains.

    mirrored: a baseline that does better than the best one with its direction reversed, and its AUROC then: whoever
    picks directions by the result could have had it.  matched: the score's AUROC among slices of the same tenth of the
    scan; matched_baseline: the best baseline there; matched_gain: the score minus it there.  labelled: the position
    baseline that knows the labels of other patients, and its AUROC.
    """

    mirrored: tuple[str, float] | None = None
    matched: Interval | None = None
    matched_baseline: tuple[str, float] | None = None
    matched_gain: Interval | None = None
    labelled: tuple[str, float] | None = None


def verdict(auroc: Interval, baseline: BestBaseline | None = None, beside: Beside | None = None) -> str:
    """The sentence.

    auroc: of the score.  baseline: the best one whose direction was fixed beforehand.
    """
    beside = beside or Beside()
    parts = [f"AUROC {auroc}{beside_chance(auroc)}"]
    if baseline is not None:
        parts.append(
            f"the best trivial baseline, {baseline.title}, gives {baseline.auroc.value:.3f}: "
            f"the gain is {baseline.gain}{_significance(auroc, baseline.gain, beside)}"
        )
    else:
        parts.append("no trivial baseline could be computed beside it")
    if beside.mirrored is not None:
        parts.append(f"{beside.mirrored[0]} with its direction reversed gives {beside.mirrored[1]:.3f}")
    if beside.labelled is not None and beside.labelled[1] >= auroc.value:
        parts.append(f"{beside.labelled[0]} gives {beside.labelled[1]:.3f}")
    if beside.matched is not None:
        other = beside.matched_baseline
        where = f", where {other[0]} gives {other[1]:.3f}" if other else ""
        parts.append(f"position-matched AUROC {beside.matched}{_matched_words(beside.matched)}{where}")
    return "; ".join(parts) + "."


def tone(auroc: Interval, gain: Interval | None, beside: Beside | None = None) -> Literal["above", "level", "below"]:
    """How the verdict may be coloured: "above" the best baseline and chance, "below" one of them, or "level".

    "above" only where the verdict says that the gain is more than that baseline explains.
    """
    if auroc.low is None or auroc.high is None or gain is None or gain.low is None or gain.high is None:
        return "level"
    if auroc.high < 0.5 or gain.high < 0:
        return "below"
    clear = auroc.low > 0.5 and gain.low > 0 and not doubts(auroc, beside or Beside())
    return "above" if clear else "level"


def doubts(auroc: Interval, beside: Beside) -> list[str]:
    """Why a gain above 0 may still be what a trivial baseline explains; empty where nothing speaks for it."""
    found = []
    if auroc.low is None or auroc.low <= 0.5:
        found.append("the score is not above chance")
    if beside.mirrored is not None and beside.mirrored[1] >= auroc.value:
        found.append(f"{beside.mirrored[0]} with its direction reversed reaches as much")
    if beside.labelled is not None and beside.labelled[1] >= auroc.value:
        found.append("slice position alone, learned from labelled patients, reaches as much")
    for figure, least, words in (
        (beside.matched, 0.5, "slices of the same position are not told apart"),
        (beside.matched_gain, 0.0, "no gain is shown among slices of the same position"),
    ):
        if figure is not None and figure.low is None:
            words = "too few patients to say so among slices of the same position"
        if figure is not None and (figure.low is None or figure.low <= least):
            found.append(words)
            break
    return found


def beside_chance(auroc: Interval) -> str:
    """What its interval says of chance, to be put behind the figure; empty where it is above."""
    if auroc.low is None or auroc.high is None:
        return f" ({auroc.why or 'too few patients for an interval'})"
    if auroc.low <= 0.5 <= auroc.high:
        return ", not distinguishable from chance"
    return ", worse than chance" if auroc.high < 0.5 else ""


def one_class_verdict(normal: int, abnormal: int) -> str:
    """What is said where there is nothing to separate: normal and abnormal slices among those tested."""
    if normal + abnormal == 0:
        return "No test slice has a known label, so no AUROC can be given."
    missing, present = (
        ("abnormal", f"all {normal} are normal") if normal else ("normal", f"all {abnormal} are abnormal")
    )
    return f"The tested slices hold no {missing} one ({present}), so no AUROC can be given."


def _matched_words(matched: Interval) -> str:
    if matched.low is None or matched.high is None:
        return f" ({matched.why})" if matched.why else ""
    if matched.high < 0.5:
        return ", below chance: at the same position abnormal slices score lower than normal ones"
    return ", not distinguishable from chance" if matched.low <= 0.5 else ""


def _significance(auroc: Interval, gain: Interval, beside: Beside) -> str:
    if gain.low is None or gain.high is None:
        return f" ({gain.why or 'too few patients for an interval'})"
    if gain.low > 0:
        against = doubts(auroc, beside)
        if not against:
            return ", more than that baseline explains"
        return f", above zero, but {' and '.join(against)}"
    return ", so the baseline is better" if gain.high < 0 else ", not distinguishable from zero"
