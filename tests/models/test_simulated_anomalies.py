"""Simulated anomalies: only where they may be, only in the share asked for, and by the blend that was asked for."""

import pytest
import torch

from anomae.models.simulated_anomalies import anomaly_masks, foreign_textures, simulated_anomalies

COUNT, SIZE = 200, (32, 48)


@pytest.fixture
def images(rng: torch.Generator) -> torch.Tensor:
    return torch.rand(COUNT, *SIZE, generator=rng)


def simulated(images: torch.Tensor, share: float = 0.5, most_seen: float = 0.8) -> tuple[torch.Tensor, torch.Tensor]:
    allowed = images > 0.2
    generator = torch.Generator().manual_seed(0)
    return simulated_anomalies(
        images, images.flip(0), allowed, share=share, most_seen=most_seen, generator=generator
    )  # fmt: skip


def test_nothing_changes_but_under_the_masks_and_masks_lie_where_they_may(images: torch.Tensor) -> None:
    altered, masks = simulated(images)
    assert torch.equal(altered[~masks], images[~masks])
    assert bool((images[masks] > 0.2).all())
    assert float((altered[masks] - images[masks]).abs().mean()) > 0.1
    assert float(altered.min()) >= 0.0
    assert float(altered.max()) <= 1.0


def test_about_the_share_asked_for_gets_one(images: torch.Tensor) -> None:
    hit = {share: float(simulated(images, share)[1].any(dim=2).any(dim=1).float().mean()) for share in (0.0, 0.5, 1.0)}
    assert hit[0.0] == 0.0
    assert hit[0.5] == pytest.approx(hit[1.0] / 2, abs=0.1)
    assert hit[1.0] > 0.6  # some masks are empty, as the original's are


def test_the_image_shines_through_no_more_than_it_may() -> None:
    """A texture made of black images and of nothing else is black or white: beta can be read off."""
    black, grey = torch.zeros(COUNT, *SIZE), torch.full((COUNT, *SIZE), 0.5)
    textures = foreign_textures(black, torch.Generator().manual_seed(1))
    plain = (textures == textures[:, :1, :1]).all(dim=2).all(dim=1)
    assert 0.3 < float(plain.float().mean()) < 0.7  # the rest is Perlin noise
    assert set(textures[plain].unique().tolist()) == {0.0, 1.0}
    altered, masks = simulated_anomalies(
        grey, black, grey > 0, share=1.0, most_seen=0.4, generator=torch.Generator().manual_seed(0)
    )
    away = [float((image - 0.5).abs().max()) for image, mask in zip(altered, masks, strict=True) if mask.any()]
    # |0.5 beta + (1 - beta) t - 0.5| with t = 0 or 1 is (1 - beta) / 2: from 0.3 to 0.5, for about every other image.
    assert 0.35 < sum(one >= 0.3 for one in away) / len(away) < 0.8
    assert max(away) <= 0.5


@pytest.mark.parametrize("size", [(8, 8), (32, 32), (128, 96)])
def test_masks_cover_a_small_part_of_images_of_any_size(size: tuple[int, int]) -> None:
    masks = anomaly_masks(300, size, torch.Generator().manual_seed(0))
    assert masks.shape == (300, *size)
    assert masks.dtype == torch.bool
    assert 0.02 < float(masks.float().mean()) < 0.15


def test_the_generator_decides(images: torch.Tensor) -> None:
    (one, where), (again, there) = simulated(images), simulated(images)
    assert torch.equal(one, again)
    assert torch.equal(where, there)
