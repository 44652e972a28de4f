"""The fast ways to the AUROC of a resample give, to the last pair, what counting every pair of drawn slices gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomae.errors import UserError
from anomae.progress import Silent
from anomae.statistics.metrics import Ranked
from anomae.statistics.pairs import PatientPairs
from anomae.statistics.patient_draws import PatientDraws
from anomae.statistics.resampled_aurocs import by_patient_pairs, by_ranks
from anomae.statistics.resampled_ranks import ResampledRanks

LARGEST = np.finfo(np.float64).max


@st.composite
def tables(draw):
    """Labels, scores with ties and extremes, patients of 6, bands -1..2; an abnormal and a normal slice in band 0."""
    size = draw(st.integers(0, 25))
    score = st.sampled_from([-LARGEST, -1.0, 0.0, 5e-324, 0.5, 0.5 + 2**-53, 1e308, LARGEST])
    row = st.tuples(st.integers(0, 1), st.integers(-1, 2))
    rows = [(1, 0), (0, 0), *draw(st.lists(row, min_size=size, max_size=size))]
    scores = draw(st.lists(score, min_size=len(rows), max_size=len(rows)))
    patient = draw(st.lists(st.integers(0, 5), min_size=len(rows), max_size=len(rows)))
    label, band = np.array(rows).T
    return label.astype(np.bool_), np.array(scores), np.array(patient), band


def plainly(label, scores, patient, band, times, own=True):
    """AUROC of one resample, pair by pair; own: with the pairs of each draw with itself."""
    won = possible = 0.0
    for one in np.flatnonzero(label & (band >= 0)):
        here = band == band[one]
        fewest = min(len(np.unique(patient[here & which])) for which in (label, ~label))
        for other in np.flatnonzero(~label & here):
            pairs = float(times[patient[one]]) * float(times[patient[other]])
            if not own and patient[one] == patient[other]:
                pairs -= min(1, (fewest - 1) / 4) * float(times[patient[one]])
            possible += pairs
            won += pairs * (0.5 if scores[one] == scores[other] else float(scores[one] > scores[other]))
    return won / possible if possible else np.nan


@settings(max_examples=60)
@given(tables())
def test_both_ways_are_the_plain_one(made):
    draws = PatientDraws(6, 12, 1)
    times = np.concatenate(list(draws.batches(5)))
    expected = [plainly(*made, drawn, own=False) for drawn in times]
    for way in (by_patient_pairs, by_ranks):
        found = way(draws, *made, Silent())
        assert found.value == pytest.approx(plainly(*made, np.ones(6)), rel=1e-14, abs=0)
        assert found.centre == pytest.approx(plainly(*made, np.ones(6), own=False), abs=1e-13)
        np.testing.assert_allclose(found.resampled, expected, rtol=0, atol=1e-13)


def test_many_slices_in_blocks_and_in_every_kind_of_number():
    """More levels than one block, more abnormal slices than one table, and counts past 16 and past 24 bits."""
    rng = np.random.default_rng(0)
    label, patient = rng.random(4000) < 0.3, rng.integers(0, 900, 4000)
    for scores in (rng.normal(size=4000), rng.integers(0, 3, 4000).astype(np.float64)):
        ranked = Ranked(label, scores)
        table, pairs = ResampledRanks(ranked, patient, 900), PatientPairs(label, scores, patient)
        for factor in (1, 300, 60_000):
            times = (rng.poisson(1, (3, 900)).clip(max=1) * factor).astype(np.uint16)
            won, possible = table.pairs(times)
            tp, fp = ranked.counts(times[:, patient].astype(np.float64))
            before = np.concatenate([np.zeros((3, 1)), tp[:, :-1]], axis=1)
            np.testing.assert_array_equal(won, ((before + tp) * np.diff(fp, axis=1, prepend=0.0)).sum(axis=1))
            np.testing.assert_array_equal(possible, tp[:, -1] * fp[:, -1])
            np.testing.assert_array_equal(pairs.auroc(times.astype(np.float64)), won / (2 * possible))


def test_nothing_to_compare_is_refused():
    made = np.array([True, True, False]), np.zeros(3), np.arange(3), np.array([0, 0, 1])
    for way in (by_patient_pairs, by_ranks):
        with pytest.raises(UserError, match="No abnormal and normal slice"):
            way(PatientDraws(5, 3, 0), *made, Silent())
