"""Patch features of healthy images, which of them to keep, and how far a new one is from the nearest."""

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK, PROJECTED = 1024, 32


def patch_features(levels: list[Tensor]) -> Tensor:
    """Levels (B, C, H, W), coarser ones after it -> locally aware features (B, sum of C, H, W) float32.

    Each level averaged over 3x3 positions, the coarser ones resized bilinearly to the first, all concatenated
    (PatchCore section 3.1).  Beyond the border all features are 0, as in its released code: without that, patches at
    the border lie farthest from their nearest, healthy or not (AUROC 0.75 for 0.88 on 200 pictures of the demo).
    """
    size = levels[0].shape[2:]
    averaged = [F.avg_pool2d(level.float(), 3, 1, 1) for level in levels]
    coarser = [F.interpolate(level, size, mode="bilinear", align_corners=False) for level in averaged[1:]]
    return torch.cat([averaged[0], *coarser], dim=1)


def nearest_distance(patches: Tensor, memory: Tensor, beyond: Tensor | None = None) -> Tensor:
    """(n,) Euclidean distance of patches (n, D) to the nearest row of the memory (m, D).

    beyond: (n, m) bool, rows that are not looked at; of each patch not all.
    """
    with torch.autocast(patches.device.type, enabled=False):
        centre = memory.float().mean(dim=0)  # around it products cancel least
        patches, memory = patches.float() - centre, memory.float() - centre
        lengths = memory.square().sum(dim=1)
        found = []
        for turn, chunk in enumerate(patches.split(CHUNK)):  # type: ignore[no-untyped-call]
            # |a - b|^2 less |a|^2, which is the same for all b
            relative = torch.addmm(lengths, chunk, memory.T, alpha=-2.0)
            if beyond is not None:
                relative.masked_fill_(beyond[turn * CHUNK : (turn + 1) * CHUNK], torch.inf)
            nearest = memory[relative.argmin(dim=1)]
            found.append((chunk - nearest).square().sum(dim=1).sqrt())  # without the cancellation of the product
        return torch.cat(found)


def greedy_coreset(patches: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Indices (count,) among patches (n, D): one at random, then ever the patch farthest from those taken.

    k-centre greedy on a random projection to at most 32 numbers a patch (PatchCore section 3.2 projects to 128, which
    takes four times as long); what is drawn comes from `generator`, of the CPU.
    """
    projection = torch.randn(patches.shape[1], PROJECTED, generator=generator).to(patches)
    short = patches @ projection if patches.shape[1] > PROJECTED else patches
    lengths = short.square().sum(dim=1)
    taken = torch.empty(count, dtype=torch.int64, device=patches.device)
    away = torch.full_like(lengths, torch.inf)
    index = torch.randint(len(patches), (), generator=generator).to(patches.device)
    for turn in range(count):
        taken[turn] = index
        away = torch.minimum(away, lengths + lengths[index] - 2.0 * (short @ short[index]))
        away[index] = -torch.inf  # rounding must not take a patch twice
        index = away.argmax()
    return taken
