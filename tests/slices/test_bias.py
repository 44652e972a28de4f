"""A made-up field is taken out again, and nothing else."""

import numpy as np

from anomae.phantoms.phantom import make_head
from anomae.slices.bias import correct_bias


def test_a_made_up_field_is_taken_out():
    voxels = make_head(0, shape=(24, 64, 64), skull=False, modality="t1").voxels.astype(np.float32)
    inside = voxels > 0
    _, y, x = np.meshgrid(*(np.linspace(-1, 1, side) for side in voxels.shape), indexing="ij")
    logarithm = (0.5 * x + 0.3 * y * y).astype(np.float32)
    uneven = voxels * np.exp(logarithm)
    corrected = correct_bias(uneven, inside)
    assert (corrected == correct_bias(uneven, inside)).all()

    def slope(image):
        return abs(np.polyfit(logarithm[inside], np.log(image[inside]), 1)[0])

    assert slope(corrected) < 0.4 * slope(uneven)
    assert np.isclose(np.median(corrected[inside]), np.median(uneven[inside]), rtol=0.15)
    assert (corrected[~inside] == 0).all()


def test_what_is_too_small_stays_as_it_is():
    tiny = np.ones((2, 16, 16), dtype=np.float32)
    assert (correct_bias(tiny, tiny > 0) == tiny).all()
    assert (correct_bias(np.zeros((8, 32, 32), np.float32), np.ones((8, 32, 32), bool)) == 0).all()
