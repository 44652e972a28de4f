"""Pseudo-nodules: dense and at the centre; what teaches the opposite is beside it."""

import torch

from anomae.models.pseudo_lesions.nodules import nodules_in, with_blobs_beside, with_vessels


def lungs(count: int = 200, channels: int = 1) -> torch.Tensor:
    return 0.1 + 0.02 * torch.rand(count, channels, 48, 48, generator=torch.Generator().manual_seed(0))


def centre(images: torch.Tensor) -> torch.Tensor:
    return images[:, 0, 22:26, 22:26].mean((1, 2))


def test_a_nodule_is_dense_at_the_centre_and_never_darkens() -> None:
    images = lungs()
    made, seen = nodules_in(images, torch.Generator().manual_seed(1))
    assert seen.all()
    assert (made >= images - 1e-6).all()
    assert made.max() <= 1
    assert (centre(made) > centre(images) + 0.1).float().mean() > 0.9


def test_a_blob_beside_leaves_the_centre_alone() -> None:
    images = lungs()
    made = with_blobs_beside(images, torch.Generator().manual_seed(1))
    assert ((made - images).amax((1, 2, 3)) > 0.1).float().mean() > 0.9
    assert (centre(made) < centre(images) + 0.1).float().mean() > 0.9


def test_a_vessel_is_long_and_thin() -> None:
    changed = with_vessels(lungs(), torch.Generator().manual_seed(1)) - lungs() > 0.15
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="ij")
    shares = []
    for one in changed[:, 0]:
        if one.sum() > 10:
            points = torch.stack([y[one], x[one]])
            spread = torch.linalg.eigvalsh(torch.cov(points))
            shares.append(float(spread[0] / spread[1]))
    assert sorted(shares)[len(shares) // 2] < 0.1


def test_the_generator_decides_all() -> None:
    for made in (lambda *given: nodules_in(*given)[0], with_blobs_beside, with_vessels):
        one, same = (made(lungs(8), torch.Generator().manual_seed(4)) for _ in range(2))
        assert torch.equal(one, same)


def test_channels_show_the_same_blob_each_with_a_strength_of_its_own() -> None:
    """Channels that were alike, and nothing of theirs denser than the blob: the change times a strength."""
    images = torch.zeros(200, 3, 48, 48)
    made = with_blobs_beside(images, torch.Generator().manual_seed(1))
    peaks = made.amax((2, 3))
    assert (peaks.amax(1) > 2 * peaks.amin(1)).float().mean() > 0.3
    full = made.gather(1, peaks.argmax(1)[:, None, None, None].expand(-1, 1, 48, 48))
    share = (peaks / peaks.amax(1, keepdim=True))[:, :, None, None]
    assert torch.allclose(made, share * full, atol=1e-5)
    assert torch.equal(full, with_blobs_beside(images[:, :1], torch.Generator().manual_seed(1)))
