"""DRAEM's networks and losses: by their definitions."""

import numpy as np
import pytest
import torch
from scipy.special import expit

from anomae.models.draem import ReconstructAndSegment, draem_loss, focal_loss


def test_the_focal_loss_by_definition(rng: torch.Generator) -> None:
    logits = 3 * torch.randn(2, 5, 6, generator=rng)
    masks = torch.rand(2, 5, 6, generator=rng) < 0.3
    likely = np.where(masks.numpy(), expit(logits.double().numpy()), expit(-logits.double().numpy()))
    for gamma in (0.0, 2.0):
        expected = -((1 - likely) ** gamma * np.log(likely)).mean()
        assert float(focal_loss(logits, masks, gamma)) == pytest.approx(expected, rel=1e-5)
    assert np.isfinite(float(focal_loss(200 * logits, masks, 2.0)))


def test_what_is_rebuilt_and_outlined_rightly_costs_nothing(rng: torch.Generator) -> None:
    images = torch.rand(2, 3, 16, 16, generator=rng)
    masks = images[:, 0] > 0.7
    right = 100.0 * (2 * masks.float() - 1)
    assert float(draem_loss(images, masks, images, right, 2.0)) == pytest.approx(0.0, abs=1e-6)
    wrongly_outlined = float(draem_loss(images, masks, images, -right, 2.0))
    wrongly_rebuilt = float(draem_loss(images, masks, 1 - images, right, 2.0))
    assert wrongly_outlined == pytest.approx(100.0, rel=1e-3)
    assert wrongly_rebuilt > float(((1 - 2 * images) ** 2).mean()) + 1.0  # SSIM of an image and its negative is below 0


def test_it_begins_in_the_belief_that_few_pixels_are_anomalous(rng: torch.Generator) -> None:
    network = ReconstructAndSegment(3, 8, 8, 2, torch.Generator().manual_seed(0)).eval()
    reconstructions, logits = network(torch.rand(4, 3, 16, 24, generator=rng))
    assert reconstructions.shape == (4, 3, 16, 24)
    assert logits.shape == (4, 16, 24)
    assert 0.01 < float(logits.detach().sigmoid().mean()) < 0.2


def test_the_segmentation_learns_through_the_reconstruction(rng: torch.Generator) -> None:
    network = ReconstructAndSegment(1, 8, 8, 2, torch.Generator().manual_seed(0))
    _, logits = network(torch.rand(1, 1, 16, 16, generator=rng))
    focal_loss(logits, torch.ones(1, 16, 16, dtype=torch.bool), 2.0).backward()
    assert all(float(weight.grad.abs().sum()) > 0 for weight in network.reconstructive.last.parameters())
