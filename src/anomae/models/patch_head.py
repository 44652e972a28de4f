"""A small network that says for every patch how likely it is abnormal, from what is known of the patches around it."""

import math

import torch
from torch import Tensor, nn

from anomae.models.initialisation import draw_convolutions

GROUPS = 8


class PatchHead(nn.Module):
    """1x1 convolution, position embedding, residual 3x3 blocks, a logit a patch.

    With `centre`, one logit more for the whole image, from the means over its central third and over all of it.
    """

    def __init__(
        self,
        channels: int,
        grid: tuple[int, int],
        *,
        width: int,
        blocks: int,
        mirror: bool,
        centre: bool,
        generator: torch.Generator,
    ) -> None:
        """channels: of the evidence.  grid: (gh, gw) patches.  mirror: see differences to the mirrored position too."""
        super().__init__()
        self.grid = grid
        self.embed = nn.Conv2d(channels, width, 1)
        self.across = nn.Conv2d(channels, width, 1, bias=False) if mirror else None
        self.position = nn.Parameter(torch.zeros(1, width, *grid))
        self.blocks = nn.ModuleList(_Block(width) for _ in range(blocks))
        self.norm = nn.GroupNorm(GROUPS, width)
        self.patch_logit = nn.Conv2d(width, 1, 1)
        self.image_logit = nn.Linear(2 * width, 1) if centre else None
        draw_convolutions(self, generator, rule="torch")
        if self.image_logit is not None:
            bound = 1 / math.sqrt(2 * width)
            nn.init.uniform_(self.image_logit.weight, -bound, bound, generator=generator)
            nn.init.zeros_(self.image_logit.bias)

    def forward(
        self,
        evidence: Tensor,
        mirrored: Tensor | None = None,
        drop: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Evidence (B, C, gh, gw) -> logits of the patches (B, gh, gw) and of the images (B,), or None.

        mirrored: (B,) bool, which of them to take left for right.  drop: share of channels, and of the blocks'
        outcomes, that are left out in training, drawn from `generator`.
        """
        seen = self.look(_dropped(evidence, drop, generator))
        if mirrored is not None:
            seen = torch.where(mirrored[:, None, None, None], seen.flip(-1), seen)
        return self.logits(seen, drop, generator)

    def look(self, evidence: Tensor) -> Tensor:
        """Evidence (B, C, gh, gw) -> (B, D, gh, gw), no position known yet; of mirrored evidence, the mirror image.

        A 1x1 convolution of a difference to the mirrored position is the difference of convolutions: so only D channels
        are mirrored, where C are several times as many.
        """
        if self.across is None:
            seen: Tensor = self.embed(evidence)
            return seen
        weight = torch.cat([self.embed.weight, self.across.weight])
        here, across = nn.functional.conv2d(evidence, weight).chunk(2, dim=1)
        bias: Tensor = self.embed.bias[:, None, None]  # type: ignore[index]
        return here + bias + across - across.flip(-1)

    def logits(
        self, seen: Tensor, drop: float = 0.0, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """What `look` gives, (B, D, gh, gw) -> logits as `forward` gives them."""
        x = seen + self.position
        for block in self.blocks:
            x = x + _dropped(block(x), drop, generator)
        x = nn.functional.gelu(self.norm(x))
        patches = self.patch_logit(_dropped(x, drop, generator))[:, 0]
        if self.image_logit is None:
            return patches, None
        (top, bottom), (left, right) = (central_third(side) for side in self.grid)
        means = [x[:, :, top:bottom, left:right].mean(dim=(2, 3)), x.mean(dim=(2, 3))]
        return patches, self.image_logit(torch.cat(means, dim=1))[:, 0]


def central_third(count: int) -> tuple[int, int]:
    """Start and end (without it) of the middle third of `count` patches; at least one."""
    start = count // 3
    return start, max(start + 1, count - start)


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first_norm, self.second_norm = nn.GroupNorm(GROUPS, width), nn.GroupNorm(GROUPS, width)
        self.first, self.second = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(nn.functional.gelu(self.first_norm(x)))
        given: Tensor = self.second(nn.functional.gelu(self.second_norm(x)))
        return given


def _dropped(x: Tensor, share: float, generator: torch.Generator | None) -> Tensor:
    """Whole channels (B, D) set to zero at random, the others enlarged for it."""
    if not share or generator is None:
        return x
    kept = torch.rand(*x.shape[:2], 1, 1, generator=generator, device=generator.device) >= share
    return x * (kept.to(x.dtype) / (1 - share))
