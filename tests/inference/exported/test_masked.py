"""What the runner of the paper's method does in numpy is what torch does."""

import numpy as np
import torch

from anomae.inference.exported.errors import error_scores
from anomae.inference.exported.masked import patchify, unpatchify
from anomae.models import reconstruction_errors
from anomae.models.transformer import masked_autoencoder


def test_errors_are_those_of_torch() -> None:
    generator = np.random.default_rng(0)
    images, rebuilt = generator.random((2, 5, 3, 16, 24), dtype=np.float32)
    found = error_scores(images, rebuilt, 2.0)
    wanted = reconstruction_errors.error_scores(torch.from_numpy(images), torch.from_numpy(rebuilt), 2.0).numpy()
    assert tuple(found) == reconstruction_errors.ERRORS
    for column, name in enumerate(found):
        np.testing.assert_allclose(found[name], wanted[:, column], rtol=1e-6)


def test_patches_are_those_of_torch_and_become_the_image_again() -> None:
    images = np.random.default_rng(1).random((4, 2, 12, 8), dtype=np.float32)
    patches = patchify(images, 4)
    assert np.array_equal(patches, masked_autoencoder.patchify(torch.from_numpy(images), 4).numpy())
    assert np.array_equal(unpatchify(patches, images.shape, 4), images)
