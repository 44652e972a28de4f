"""Draws are the same in whatever portions they are asked for, kept or not, and each resample has as many patients."""

import numpy as np

from anomae.statistics import patient_draws
from anomae.statistics.patient_draws import PatientDraws


def test_neither_portions_nor_keeping_change_a_draw(monkeypatch):
    drawn = [np.concatenate(list(PatientDraws(30, 70, 4).batches(size))) for size in (1, 7, 64, 1000)]
    monkeypatch.setattr(patient_draws, "MOST_KEPT", 0)
    drawn += [np.concatenate(list(PatientDraws(30, 70, 4).batches(size))) for size in (1, 7, 1000)]
    for other in drawn[1:]:
        np.testing.assert_array_equal(drawn[0], other)
    assert drawn[0].shape == (70, 30)
    assert (drawn[0].sum(axis=1) == 30).all()
    assert len(np.unique(drawn[0], axis=0)) == 70
    assert (np.concatenate(list(PatientDraws(30, 70, 5).batches(64))) != drawn[0]).any()


def test_asked_twice_it_answers_twice_and_no_resample_is_none():
    draws = PatientDraws(6, 10, 0)
    first, again = (np.concatenate(list(draws.batches(4))) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert list(PatientDraws(6, 0, 0).batches(4)) == []
