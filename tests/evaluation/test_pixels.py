"""Pixel figures equal scikit-learn's on all pixels at once, while only counts are held."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from anomae.errors import UserError
from anomae.evaluation.intervals import PatientBootstrap
from anomae.evaluation.pixels import count_pixels, float16_levels, pixel_figures


def made_up(count: int = 12):
    rng = np.random.default_rng(0)
    lesions = np.zeros((count, 16, 20), dtype=np.bool_)
    lesions[::2, 4:9, 5:12] = True
    maps = (rng.normal(size=lesions.shape) + lesions).astype(np.float16)
    return maps, lesions, np.arange(count) // 2


def counted(maps, lesions, patient, size=5):
    batches = ((maps[k : k + size], lesions[k : k + size]) for k in range(0, len(maps), size))
    return count_pixels(batches, patient)


def test_equal_to_scikit_learn_on_all_pixels():
    maps, lesions, patient = made_up()
    found = pixel_figures(counted(maps, lesions, patient), PatientBootstrap(patient, 200))
    truth, values = lesions.ravel(), maps.ravel().astype(np.float64)
    assert found["auroc"].value == pytest.approx(roc_auc_score(truth, values), abs=1e-12)
    assert found["average_precision"].value == pytest.approx(average_precision_score(truth, values), abs=1e-9)
    dice = max(2 * (truth & (values >= t)).sum() / (truth.sum() + (values >= t).sum()) for t in np.unique(values))
    assert found["best_dice"].value == pytest.approx(dice)
    interval = found["auroc"].interval()
    assert interval.low < interval.value < interval.high


def test_the_batches_do_not_matter():
    maps, lesions, patient = made_up()
    one, other = counted(maps, lesions, patient, 1), counted(maps, lesions, patient, 12)
    np.testing.assert_array_equal(one.exact, other.exact)
    np.testing.assert_array_equal(one.coarse, other.coarse)
    assert one.exact.sum() == one.coarse.sum() == maps.size
    assert one.exact[1].sum() == lesions.sum()


def test_memory_is_bounded_by_patients_not_slices():
    maps, lesions, _ = made_up()
    crowd = np.arange(12) + 19_988
    found = count_pixels([(maps, lesions)], crowd)
    assert found.coarse.size <= 1 << 24


@settings(deadline=None, derandomize=True)
@given(st.lists(st.floats(-60000, 60000, width=16), min_size=2, max_size=30))
def test_levels_keep_the_order(values):
    stored = np.array(values, dtype=np.float16)
    levels = float16_levels(stored)
    for one in range(len(stored)):
        np.testing.assert_array_equal(levels < levels[one], stored < stored[one])
        np.testing.assert_array_equal(levels == levels[one], stored == stored[one])


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e6])
def test_values_beyond_float16_are_refused(bad):
    with pytest.raises(UserError, match="not finite"):
        float16_levels(np.array([0.0, bad]))


def test_nothing_to_find_is_refused():
    maps, lesions, patient = made_up()
    with pytest.raises(UserError, match="No lesion"):
        pixel_figures(counted(maps, lesions & False, patient), PatientBootstrap(patient, 10))
