"""RD4AD's trained half: the original's numbers of parameters, shapes, and the loss worked out by hand."""

import math

import pytest
import torch

from anomae.models.reverse_distillation import ReverseDistillation, distillation_loss


def test_with_the_levels_of_wide_resnet_it_is_the_original(rng: torch.Generator) -> None:
    """OCBE 58.9 M, decoder 24.9 M, as in the released code; its 8.4 M that are never used are not built."""
    with torch.device("meta"):
        network = ReverseDistillation((256, 512, 1024), torch.Generator("cpu"))
    decoder = sum(parameter.numel() for parameter in network.decoder.parameters())
    assert decoder == 24_917_504
    assert sum(parameter.numel() for parameter in network.parameters()) - decoder == 58_885_120


def test_it_gives_the_levels_that_it_was_given(rng: torch.Generator) -> None:
    network = ReverseDistillation((6, 8, 12), rng).eval()
    levels = [torch.randn(2, c, 32 // s, 16 // s, generator=rng) for c, s in ((6, 1), (8, 2), (12, 4))]
    assert [level.shape for level in network(levels)] == [level.shape for level in levels]


def test_the_loss_by_hand() -> None:
    """Two positions, two channels: taught (1, 0) and (0, 1); decoded (1, 0) and (1, 0)."""
    taught = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])  # (1, 2, 1, 2)
    decoded = torch.tensor([[[[1.0, 1.0]], [[0.0, 0.0]]]])
    # As whole vectors: dot product 1, lengths sqrt 2 each.  By position: equal, and at right angles.
    assert math.isclose(float(distillation_loss([taught], [decoded], "level")), 0.5, rel_tol=1e-6)
    assert math.isclose(float(distillation_loss([taught], [decoded], "position")), 0.5, rel_tol=1e-6)
    # Three times as long at the position where they agree: the whole vectors agree better, the positions as before.
    heavy = taught * torch.tensor([3.0, 1.0])
    level = 1 - 3 / math.sqrt(20)
    assert math.isclose(float(distillation_loss([heavy], [decoded], "level")), level, rel_tol=1e-6)
    assert math.isclose(float(distillation_loss([heavy], [decoded], "position")), 0.5, rel_tol=1e-6)
    # Summed over levels, averaged over the batch.
    both = distillation_loss([heavy, taught], [decoded, decoded], "level")
    assert math.isclose(float(both), level + 0.5, rel_tol=1e-6)
    batch = distillation_loss([torch.cat([heavy, decoded])], [torch.cat([decoded, decoded])], "level")
    assert math.isclose(float(batch), level / 2, rel_tol=1e-6)


@pytest.mark.parametrize("over", ["level", "position"])
@pytest.mark.parametrize("signed", [True, False])
def test_it_learns_what_it_is_shown(over: str, signed: bool, rng: torch.Generator) -> None:
    """Of levels with values below 0 only as a signed decoder: the other one cannot say them."""
    network = ReverseDistillation((4, 6, 8), rng, signed=signed).train()
    levels = [
        torch.randn(3, c, 1, 1, generator=rng).expand(-1, -1, 16 // s, 16 // s) for c, s in ((4, 1), (6, 2), (8, 4))
    ]
    optimizer = torch.optim.Adam(network.parameters(), lr=0.005, betas=(0.5, 0.999))
    for _ in range(60):
        loss = distillation_loss(levels, network(levels), over)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (float(loss.detach()) < 1.0) == signed
