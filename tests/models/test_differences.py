"""What the classifier sees, against numpy."""

import numpy as np
import pytest
import torch

from anomae.models.differences import difference


def test_differences_equal_numpy(rng: torch.Generator) -> None:
    images, reconstructions = torch.randn(2, 3, 5, 7, generator=rng), torch.randn(2, 3, 5, 7, generator=rng)
    x, y = images.numpy(), reconstructions.numpy()
    assert np.array_equal(difference(images, reconstructions, "l1").numpy(), np.abs(x - y))
    assert np.allclose(difference(images, reconstructions, "l2").numpy(), (x - y) ** 2, rtol=1e-6)
    assert np.array_equal(difference(images, reconstructions, "reconstruction").numpy(), y)


@pytest.mark.parametrize("kind", ["l1", "l2"])
def test_a_difference_has_no_direction_and_is_zero_for_equals(kind: str, rng: torch.Generator) -> None:
    images, reconstructions = torch.randn(2, 3, 5, 7, generator=rng), torch.randn(2, 3, 5, 7, generator=rng)
    there, back = difference(images, reconstructions, kind), difference(reconstructions, images, kind)  # type: ignore[arg-type]
    assert torch.equal(there, back)
    assert (there >= 0).all()
    assert not difference(images, images, kind).any()  # type: ignore[arg-type]
