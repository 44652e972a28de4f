"""Counting by patient gives what counting slice by slice gives, and hardly less where scores share a level."""

import numpy as np
import pytest

from anomae.statistics import resampled_ranks
from anomae.statistics.metrics import Ranked, area_under_precision, area_under_roc
from anomae.statistics.resampled_ranks import ResampledRanks


def made_up(count=3000, patients=40, places=2):
    rng = np.random.default_rng(0)
    labels = rng.random(count) < 0.3
    scores = np.round(rng.normal(size=count) + labels, places)
    return Ranked(labels, scores), rng.integers(0, patients, count), rng.poisson(1, (25, patients)).astype(np.float64)


@pytest.mark.parametrize("places", [1, 2, 12])
def test_it_is_the_count_of_every_slice_as_often_as_its_patient_was_drawn(places):
    ranked, patient, times = made_up(places=places)
    for one, other in zip(
        ranked.counts(times[:, patient]), ResampledRanks(ranked, patient, 40).counts(times), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_shared_levels_hardly_move_a_figure(monkeypatch):
    ranked, patient, times = made_up(places=12)
    monkeypatch.setattr(resampled_ranks, "MOST_LEVELS", 256)
    table = ResampledRanks(ranked, patient, 40)
    assert table.levels == 256
    exact, coarse = ranked.counts(times[:, patient]), table.counts(times)
    for metric in (area_under_roc, area_under_precision):
        np.testing.assert_allclose(metric(*coarse), metric(*exact), atol=0.01)
    np.testing.assert_allclose(area_under_roc(*coarse), area_under_roc(*exact), atol=2e-4)
    np.testing.assert_array_equal(coarse[0][:, -1], exact[0][:, -1])
