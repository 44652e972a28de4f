"""Simulated anomalies: only where they may be, only in the share asked for, and by the blend that was asked for."""

import pytest
import torch

from anomae.models.simulated_anomalies import anomaly_masks, foreign_textures, simulated_anomalies

COUNT, SIZE = 200, (32, 48)


@pytest.fixture
def images(rng: torch.Generator) -> torch.Tensor:
    return torch.rand(COUNT, 2, *SIZE, generator=rng)


def simulated(images: torch.Tensor, share: float = 0.5, most_seen: float = 0.8) -> tuple[torch.Tensor, torch.Tensor]:
    allowed = images[:, 0] > 0.2
    generator = torch.Generator().manual_seed(0)
    return simulated_anomalies(images, images.flip(0), allowed, share=share, most_seen=most_seen, generator=generator)


def test_nothing_changes_but_under_the_masks_and_masks_lie_where_they_may(images: torch.Tensor) -> None:
    altered, masks = simulated(images)
    for channel in range(2):
        assert torch.equal(altered[:, channel][~masks], images[:, channel][~masks])
        assert float((altered[:, channel][masks] - images[:, channel][masks]).abs().mean()) > 0.1
    assert bool((images[:, 0][masks] > 0.2).all())
    assert float(altered.min()) >= 0.0
    assert float(altered.max()) <= 1.0


def test_about_the_share_asked_for_gets_one(images: torch.Tensor) -> None:
    hit = {share: float(simulated(images, share)[1].any(dim=2).any(dim=1).float().mean()) for share in (0.0, 0.5, 1.0)}
    assert hit[0.0] == 0.0
    assert hit[0.5] == pytest.approx(hit[1.0] / 2, abs=0.1)
    assert hit[1.0] > 0.6  # some masks are empty, as the original's are


def test_the_image_shines_through_no_more_than_it_may(images: torch.Tensor) -> None:
    """Black and white images with the same anomalies differ under them by beta."""
    altered = []
    for image in (torch.zeros_like(images), torch.ones_like(images)):
        generator = torch.Generator().manual_seed(0)
        everywhere = torch.ones_like(images[:, 0], dtype=torch.bool)
        changed, masks = simulated_anomalies(image, images, everywhere, share=1.0, most_seen=0.4, generator=generator)
        altered.append(changed)
    betas = [(white - black)[:, mask] for black, white, mask in zip(*altered, masks, strict=True) if mask.any()]
    assert all(torch.allclose(beta, beta[:1, :1], atol=1e-5) for beta in betas)  # one for a whole anomaly, all channels
    firsts = torch.stack([beta[0, 0] for beta in betas])
    assert 0.0 <= float(firsts.min()) < 0.05
    assert 0.35 < float(firsts.max()) <= 0.4
    assert float(firsts.mean()) == pytest.approx(0.2, abs=0.04)


def test_textures_have_any_grey_and_any_contrast_up_to_the_highest(images: torch.Tensor) -> None:
    textures = foreign_textures(images, torch.Generator().manual_seed(1))
    assert textures.shape == images.shape
    assert 0.0 <= float(textures.min()) <= float(textures.max()) <= 1.0
    deviations, greys = textures.std(dim=(2, 3)), textures.mean(dim=(2, 3))
    assert float(deviations.max()) <= 0.31
    assert float(deviations.quantile(0.9)) > 0.2
    assert float(greys.std()) == pytest.approx(12**-0.5, abs=0.06)  # uniform in 0..1, a little drawn in by the cut
    constant = foreign_textures(torch.zeros_like(images), torch.Generator().manual_seed(1))
    assert torch.corrcoef(greys.T)[0, 1].abs() < 0.2  # each channel has its own
    assert 0.35 < float((constant.std(dim=(2, 3)) < 1e-6).float().mean()) < 0.65  # the others are noise


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
