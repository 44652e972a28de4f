"""Windows about each pixel, against torch's own pooling."""

import pytest
import torch
import torch.nn.functional as F

from anomae.models.windows import largest_around, mean_around


@pytest.mark.parametrize(("height", "width"), [(17, 40), (1, 9), (3, 3)])
@pytest.mark.parametrize("reach", [0, 1, 2, 3, 6])
def test_they_are_those_of_torch(height: int, width: int, reach: int) -> None:
    images = torch.rand(3, 2, height, width, generator=torch.Generator().manual_seed(reach)) - 0.5
    side = 2 * reach + 1
    assert torch.equal(largest_around(images, reach), F.max_pool2d(images, side, 1, reach))
    assert torch.equal(largest_around(images > 0.4, reach), F.max_pool2d((images > 0.4).float(), side, 1, reach) > 0)
    within = F.avg_pool2d(images, side, 1, reach, count_include_pad=False)
    assert torch.allclose(mean_around(images, reach), within, atol=1e-6)
    assert torch.allclose(mean_around(images, reach, beyond=True), F.avg_pool2d(images, side, 1, reach), atol=1e-6)


def test_a_window_wider_than_the_image_holds_all_of_it() -> None:
    images = torch.rand(2, 5, 7, generator=torch.Generator().manual_seed(0))
    assert torch.equal(largest_around(images, 30), images.amax(dim=(1, 2), keepdim=True).expand_as(images))
    assert torch.allclose(mean_around(images, 30), images.mean(dim=(1, 2), keepdim=True).expand_as(images), atol=1e-6)


def test_no_image_depends_on_the_others_of_its_batch() -> None:
    images = torch.rand(4, 1, 20, 24, generator=torch.Generator().manual_seed(1))
    assert torch.equal(mean_around(images, 3)[2:3], mean_around(images[2:3], 3))
    assert torch.equal(largest_around(images, 3)[2:3], largest_around(images[2:3], 3))
    assert images.equal(torch.rand(4, 1, 20, 24, generator=torch.Generator().manual_seed(1)))
