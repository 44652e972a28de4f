"""What few patients mean is said: none for an interval, a wider one, and resamples without a class."""

import numpy as np

from anomae.reports.few_patients import few_patients_notes
from anomae.statistics.holders import Holders
from anomae.statistics.intervals import Estimate

MANY = Holders("normal slices", 40, 35.0)


def noted(abnormal: int, resampled: tuple[float, ...] = (0.5, 0.6, 0.7)) -> list[str]:
    groups = (Holders("abnormal slices", abnormal, float(abnormal)), MANY)
    return few_patients_notes(Estimate(0.6, np.array(resampled), groups))


def test_too_few_is_said_and_nothing_else():
    assert noted(3, (0.5, np.nan)) == [
        "Too few patients with abnormal slices (3): no interval, and no verdict of better or worse."
    ]


def test_few_widen():
    (said,) = noted(8)
    assert "8 with abnormal slices and 40 with normal slices" in said
    assert "widened" in said


def test_enough_need_no_word_but_resamples_left_out_are_counted():
    assert noted(60) == []
    (said,) = noted(60, (0.5, np.nan, 0.7))
    assert said.startswith("1 of 3 resamples")
