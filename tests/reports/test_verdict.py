"""The sentence at the top never says more than the figures do."""

from itertools import product

import pytest

from anomae.reports.verdict import Beside, BestBaseline, one_class_verdict, tone, verdict
from anomae.statistics.intervals import Interval

SCORE = Interval(0.83, 0.79, 0.87)
POSITION = Interval(0.82, 0.8, 0.84)


def test_a_gain_that_may_be_none():
    said = verdict(
        SCORE,
        BestBaseline("slice position", POSITION, Interval(0.01, -0.02, 0.04)),
        Beside(matched=Interval(0.63, 0.6, 0.66)),
    )
    assert said == (
        "AUROC 0.830 [0.790, 0.870]; the best trivial baseline, slice position, gives 0.820: the gain is "
        "0.010 [-0.020, 0.040], not distinguishable from zero; position-matched AUROC 0.630 [0.600, 0.660]."
    )


def test_a_gain():
    said = verdict(SCORE, BestBaseline("mean intensity", Interval(0.6), Interval(0.23, 0.1, 0.3)))
    assert said.endswith("the gain is 0.230 [0.100, 0.300], more than that baseline explains.")


def test_a_loss():
    said = verdict(SCORE, BestBaseline("mean intensity", Interval(0.9), Interval(-0.07, -0.1, -0.04)))
    assert said.endswith("the gain is -0.070 [-0.100, -0.040], so the baseline is better.")


def test_no_interval_no_claim():
    why = "too few patients with abnormal slices (3): no interval"
    said = verdict(Interval(0.9, why=why), BestBaseline("mean intensity", Interval(0.6), Interval(0.3, why=why)))
    assert said.count(f"({why})") == 2
    assert "chance" not in said
    assert "zero" not in said
    assert "more than" not in said


@pytest.mark.parametrize(
    ("auroc", "words"),
    [
        (Interval(0.55, 0.45, 0.65), "not distinguishable from chance"),
        (Interval(0.4, 0.3, 0.45), "worse than chance"),
    ],
)
def test_beside_chance(auroc, words):
    assert words in verdict(auroc)
    assert "chance" not in verdict(SCORE)


def test_no_baseline_is_said():
    assert "no trivial baseline could be computed" in verdict(SCORE)


def test_a_reversed_baseline_and_the_best_among_matched():
    baseline = BestBaseline("slice position", POSITION, Interval(0.01, -0.02, 0.04))
    said = verdict(
        SCORE, baseline, Beside(("mean intensity", 0.91), Interval(0.63, 0.6, 0.66), ("brightest 9x9 spot", 0.81))
    )
    assert "; mean intensity with its direction reversed gives 0.910; " in said
    assert said.endswith("position-matched AUROC 0.630 [0.600, 0.660], where brightest 9x9 spot gives 0.810.")


def test_one_class():
    assert (
        one_class_verdict(12, 0)
        == "The tested slices hold no abnormal one (all 12 are normal), so no AUROC can be given."
    )
    assert "no normal one" in one_class_verdict(0, 3)
    assert "No test slice has a known label" in one_class_verdict(0, 0)


def test_tone():
    assert tone(SCORE, Interval(0.1, 0.05, 0.2)) == "above"
    assert tone(SCORE, Interval(0.1, -0.05, 0.2)) == "level"
    assert tone(SCORE, Interval(-0.1, -0.2, -0.05)) == "below"
    assert tone(Interval(0.55, 0.45, 0.65), Interval(0.1, 0.05, 0.2)) == "level"
    assert tone(Interval(0.4, 0.3, 0.45), Interval(0.1, 0.05, 0.2)) == "below"
    assert tone(Interval(0.9), None) == "level"


GAIN = BestBaseline("mean intensity", Interval(0.6), Interval(0.23, 0.1, 0.3))
MATCHED = Interval(0.7, 0.6, 0.8)


@pytest.mark.parametrize(
    ("auroc", "beside", "words"),
    [
        (SCORE, Beside(matched=Interval(0.55, 0.45, 0.65)), "slices of the same position are not told apart"),
        (SCORE, Beside(matched=Interval(0.7)), "too few patients to say so among slices of the same"),
        (SCORE, Beside(matched=MATCHED, matched_gain=Interval(0.1, -0.1, 0.2)), "no gain is shown among slices"),
        (SCORE, Beside(mirrored=("darkest spot", 0.85)), "darkest spot with its direction reversed reaches as much"),
        (SCORE, Beside(labelled=("slice position, learned", 0.84)), "learned from labelled patients, reaches as much"),
        (Interval(0.4, 0.3, 0.45), Beside(), "the score is not above chance"),
        (Interval(0.55, 0.45, 0.6), Beside(), "the score is not above chance"),
    ],
)
def test_what_speaks_against_a_gain_is_said(auroc, beside, words):
    said = verdict(auroc, GAIN, beside)
    assert words in said
    assert "more than that baseline explains" not in said
    assert tone(auroc, GAIN.gain, beside) != "above"


def test_a_gain_that_nothing_speaks_against():
    beside = Beside(("darkest spot", 0.7), MATCHED, ("tissue area", 0.6), Interval(0.1, 0.01, 0.2), ("position", 0.7))
    assert "more than that baseline explains" in verdict(SCORE, GAIN, beside)
    assert tone(SCORE, GAIN.gain, beside) == "above"


def test_a_matched_interval_below_chance_is_said_in_words():
    said = verdict(SCORE, GAIN, Beside(matched=Interval(0.4, 0.3, 0.45)))
    assert "below chance: at the same position abnormal slices score lower than normal ones" in said


ENDS = (Interval(0.7), Interval(0.7, 0.6, 0.8), Interval(0.7, 0.45, 0.8), Interval(0.4, 0.3, 0.45), None)
GAINS = (Interval(0.2), Interval(0.2, 0.1, 0.3), Interval(0.2, -0.1, 0.3), Interval(-0.2, -0.3, -0.1))
NAMED = (None, ("a baseline", 0.6), ("a baseline", 0.95))


@pytest.mark.parametrize("auroc", ENDS[:4])
@pytest.mark.parametrize("gain", GAINS)
def test_more_than_a_baseline_explains_is_said_only_where_nothing_speaks_against_it(auroc, gain):
    for mirrored, labelled, matched, matched_gain in product(NAMED, NAMED, ENDS, (*GAINS, None)):
        beside = Beside(mirrored, matched, None, matched_gain, labelled)
        said = verdict(auroc, BestBaseline("mean intensity", Interval(0.5), gain), beside)
        holds = (
            all(figure.low is not None and figure.low > 0.5 for figure in (auroc, matched) if figure)
            and all(figure.low is not None and figure.low > 0 for figure in (gain, matched_gain) if figure)
            and all(other[1] < auroc.value for other in (mirrored, labelled) if other)
        )
        assert ("more than that baseline explains" in said) == holds
        assert (tone(auroc, gain, beside) == "above") == holds
        assert not ("worse than chance" in said and "more than" in said)
        assert ("worse than chance" in said) == (auroc.high is not None and auroc.high < 0.5)
        below = matched is not None and matched.high is not None and matched.high < 0.5
        assert ("below chance: at the same position" in said) == below
        assert ("so the baseline is better" in said) == (gain.high is not None and gain.high < 0)
        assert ("a baseline with its direction reversed gives" in said) == (mirrored is not None)
