"""A sound scan has no outliers; one that is spoiled shows the ends of its sound voxels."""

import numpy as np
import pytest

from anomae.phantoms.head import MODALITIES, make_head
from anomae.volumes.outliers import outlier_bounds


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_made_up_heads_have_none(modality, seed):
    assert outlier_bounds(make_head(seed, shape=(24, 64, 64), modality=modality).voxels) is None


def test_noise_tails_padding_and_sparse_scans_are_sound():
    rng = np.random.default_rng(0)
    for kind in (rng.exponential(100, (8, 64, 64)), rng.rayleigh(30, (8, 64, 64)), rng.lognormal(4, 1, (8, 64, 64))):
        assert outlier_bounds(kind) is None
    padded = np.full((8, 64, 64), -3024, np.int16)
    padded[:, 4:60, 4:60] = rng.normal(0, 300, (8, 56, 56))
    assert outlier_bounds(padded) is None
    few = np.zeros((8, 64, 64), np.float32)
    few[3, 10, 10:14] = 1
    assert outlier_bounds(few) is None
    assert outlier_bounds(np.where(few > 0, 255, rng.integers(0, 9, few.shape)).astype(np.uint8)) is None
    assert outlier_bounds(np.array([[[0, 1, 32767]]], np.int16)) is None


def test_it_is_found_between_the_rows_of_a_sample(monkeypatch):
    monkeypatch.setattr("anomae.volumes.outliers._SAMPLE", 2000)
    scan = np.random.default_rng(0).normal(500, 60, (4, 64, 64))
    low, high = scan.min().astype(np.float32), scan.max().astype(np.float32)
    scan[2, 33, 5] = -32768
    assert outlier_bounds(scan) == (low, high)
