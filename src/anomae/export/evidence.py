"""The evidence of the detector `anomae` as it is exported: begun in one network, finished in another.

What loses most in bf16 is in the first one; see anomae.export.backbones.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomae.detectors.anomae.denoised import SMOOTHED_OVER as DENOISED_OVER
from anomae.detectors.anomae.denoised import Denoised
from anomae.detectors.anomae.evidence import Evidence
from anomae.detectors.anomae.fitted import FittedAnomae
from anomae.detectors.anomae.hidden import SMOOTHED_OVER, Hidden
from anomae.detectors.anomae.memory import Memory
from anomae.detectors.anomae.residual import SMOOTHED_OVER as RESIDUAL_OVER
from anomae.detectors.anomae.residual import Residual
from anomae.detectors.anomae.sources import Features, Pixels
from anomae.detectors.fitted_networks import FittedNetworks
from anomae.export.backbones import GreyBackbone
from anomae.export.memory import Recalled
from anomae.export.residuals import ByPatch, median_filtered
from anomae.export.traceable import Resize, interpolation

KINDS: dict[type, str] = {
    Features: "features",
    Pixels: "pixels",
    Residual: "residual",
    Denoised: "denoised",
    Memory: "memory",
    Hidden: "hidden",
}


def window_of(fitted: FittedAnomae) -> dict[str, list[float]]:
    """Low and width of each channel, or of all."""
    window = fitted.parts.window
    widths = [high - low for low, high in zip(window.low, window.high, strict=True)]
    return {"low": list(window.low), "width": widths}


class Begin(nn.Module):
    """Prepared images (B, c, h, w), or stacks (B, 3, c, h, w) -> what `TracedEvidence.begin` gives, size after size.

    After them, each for the source that wants it: rebuilt (B, c, h, w), prepared, for `residual`; reduced and denoised
    (B, c, h', w'), in the denoiser's range, for `denoised`.
    """

    def __init__(self, fitted: FittedAnomae, sizes: nn.ModuleList) -> None:
        super().__init__()
        self.seen, self.stacked, self.sizes = Seen(fitted), fitted.needs_neighbours, sizes
        self.rebuilt = fitted.parts.autoencoder is not None
        self.median = None if fitted.parts.denoiser is None else fitted.parts.denoiser.settings.median

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """As the class says."""
        images, *left = given
        seen = self.seen(images)
        views = [seen[:, 0], seen[:, 1], seen[:, 2]] if self.stacked else [seen]
        residual = views[0] - self.seen(left.pop(0)) if self.rebuilt else None
        removed = None if self.median is None else median_filtered(left[0] - left[1], self.median)
        return tuple(begun for size in self.sizes for begun in size.begin(views, residual, removed))  # type: ignore[operator]


class Seen(nn.Module):
    """Prepared images (..., c, h, w) as 0..1, cut off."""

    def __init__(self, fitted: FittedAnomae) -> None:
        super().__init__()
        low, width = (torch.tensor(window_of(fitted)[name]).float()[:, None, None] for name in ("low", "width"))
        self.low: Tensor
        self.width: Tensor
        self.register_buffer("low", low)
        self.register_buffer("width", width)

    def forward(self, images: Tensor) -> Tensor:
        """As the class says."""
        return ((images - self.low) / self.width).clamp(0.0, 1.0)


class Reduce(nn.Module):
    """Prepared images, or the slices of stacks, as the denoiser of the source `denoised` sees them, (B, c, h', w')."""

    def __init__(self, fitted: FittedAnomae, denoiser: FittedNetworks) -> None:
        super().__init__()
        self.seen, self.stacked, self.scale = Seen(fitted), fitted.needs_neighbours, denoiser.scale
        same = tuple(fitted.image_size) == tuple(denoiser.image_size)
        self.reduce = None if same else Resize(fitted.image_size, denoiser.image_size, F.adaptive_avg_pool2d)

    def forward(self, images: Tensor) -> Tensor:
        """As the class says."""
        seen = self.seen(images[:, 0] if self.stacked else images)
        prepared = self.seen.low + seen * self.seen.width
        return self.scale.shown(prepared if self.reduce is None else self.reduce(prepared))


class Look(nn.Module):
    """Masks (B, passes, gh, gw) of each size, where there are any, and what `Begin` gives -> evidence of each size."""

    def __init__(self, sizes: nn.ModuleList, masks: int) -> None:
        super().__init__()
        self.sizes, self.masks = sizes, masks

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """As the class says."""
        masks, left = given[: self.masks] or (None,) * len(self.sizes), list(given[self.masks :])
        return tuple(size.go_on(left, hidden) for size, hidden in zip(self.sizes, masks, strict=True))  # type: ignore[operator]


class TracedEvidence(nn.Module):
    """Views of 0..1, the slice and where wanted those below and above -> evidence at one size, standardised."""

    def __init__(self, fitted: FittedAnomae, at: int) -> None:
        super().__init__()
        evidence, size = fitted.evidences[at], fitted.image_size
        same = tuple(size) == evidence.size
        self.show = None if same else Resize(size, evidence.size, interpolation("bicubic", antialias=True))
        self.order = [KINDS[type(source)] for source in evidence.sources if type(source) in KINDS]
        parts, self.views = fitted.parts, 3 if evidence.stacked else 1
        self.features = None if parts.features is None else _Features(parts.features, evidence, fitted.channels)
        self.pixels = _Pixels(evidence) if "pixels" in self.order else None
        self.residual = self.removed = None
        if "residual" in self.order:
            self.residual = ByPatch(size, evidence.grid, RESIDUAL_OVER, signed=False)
        if parts.denoiser is not None:
            reduced = parts.denoiser.fitted.image_size
            self.removed = ByPatch(reduced, evidence.grid, DENOISED_OVER, signed=True)
        memory = next((source for source in evidence.sources if isinstance(source, Memory)), None)
        self.memory = None if memory is None else Recalled(memory)
        self.hidden = _Hidden(parts.hidden[at]) if "hidden" in self.order else None
        self.mean: Tensor
        self.spread: Tensor
        self.register_buffer("mean", evidence.mean.float().cpu())
        self.register_buffer("spread", evidence.spread.float().cpu())

    @property
    def is_cut(self) -> bool:
        """Whether `begin` does all that may lose in bf16."""
        return self.hidden is None and self.memory is None and (self.features is None or self.features.network.is_cut)

    def begin(self, views: list[Tensor], residual: Tensor | None, removed: Tensor | None) -> list[Tensor]:
        """What each source begins with of each view, one after the other.

        residual: x - x^ of the source of that name.  removed: what the denoiser would take away.
        """
        begun: list[Tensor] = []
        for number, view in enumerate(views):
            shown = view if self.show is None else self.show(view).clamp(0.0, 1.0)
            begun += [] if self.features is None else self.features.begin(shown)
            begun += [] if self.pixels is None else [self.pixels(shown)]
            begun += [self.residual(residual)] if self.residual is not None and number == 0 else []
            begun += [self.removed(removed)] if self.removed is not None and number == 0 else []
        return begun

    def go_on(self, left: list[Tensor], masks: Tensor | None) -> Tensor:
        """(B, C, gh, gw) of what `begin` gave, which is taken from the beginning of `left`."""
        raw, compared = [], []
        for number in range(self.views):
            found: dict[str, Tensor] = {}
            if self.features is not None:
                found["features"] = self.features.go_on(left)
            if self.pixels is not None:
                found["pixels"] = left.pop(0)
            if self.residual is not None and number == 0:
                found["residual"] = left.pop(0)
            if self.removed is not None and number == 0:
                found["denoised"] = left.pop(0)
            if self.memory is not None and number == 0:
                found["memory"] = self.memory(found["features"])
            if self.hidden is not None and number == 0:
                found["hidden"] = self.hidden(found["features"], masks)
            compared.append([found[name] for name in self.order if name in ("features", "pixels")])
            raw += [found[name] for name in self.order] if number == 0 else []
        if self.views == 3:
            here, below, above = (torch.cat(channels, dim=1) for channels in compared)
            raw.append(here - (below + above) / 2)
        return (torch.cat(raw, dim=1) - self.mean) / self.spread


class _Features(nn.Module):
    """Images (B, c, H, W) of 0..1 -> levels of the frozen backbone on the grid, one channel after the other."""

    def __init__(self, source: Features, evidence: Evidence, channels: int) -> None:
        super().__init__()
        self.network = GreyBackbone(source.network, source.backbone)
        sides = [tuple(level.shape[-2:]) for level in self.network(torch.zeros(1, *evidence.size))]
        self.bring = nn.ModuleList(_brought(side, evidence.grid) for side in sides)
        self.channels = channels

    def begin(self, shown: Tensor) -> list[Tensor]:
        """The first layers, for each channel."""
        return [self.network.begin(shown[:, channel] * 255.0) for channel in range(self.channels)]

    def go_on(self, left: list[Tensor]) -> Tensor:
        """The levels, brought to the grid."""
        found: list[Tensor] = []
        for _ in range(self.channels):
            levels = self.network.go_on(left.pop(0))
            found += [bring(level) for bring, level in zip(self.bring, levels, strict=True)]
        return torch.cat(found, dim=1)


class _Pixels(nn.Module):
    """The source `pixels`."""

    def __init__(self, evidence: Evidence) -> None:
        super().__init__()
        self.side = (evidence.size[0] // evidence.grid[0], evidence.size[1] // evidence.grid[1])

    def forward(self, shown: Tensor) -> Tensor:
        mean = F.avg_pool2d(shown, self.side)
        spread = (F.avg_pool2d(shown * shown, self.side) - mean * mean).clamp_min(0).sqrt()
        return torch.cat([mean, F.max_pool2d(shown, self.side), -F.max_pool2d(-shown, self.side), spread], dim=1)


class _Hidden(nn.Module):
    """The source `hidden`, of features (B, C, gh, gw) and masks (B, passes, gh, gw) that are 1 where hidden."""

    def __init__(self, source: Hidden) -> None:
        super().__init__()
        self.network: Any = source.network.cpu().eval()
        self.passes = source.settings.passes

    def forward(self, features: Tensor, masks: Tensor) -> Tensor:
        scaled = self.network.scaled(features)
        residual = torch.zeros_like(scaled)
        for turn in range(self.passes):
            hidden = masks[:, turn] > 0.5
            residual = torch.where(hidden[:, None], scaled - self.network(scaled, hidden), residual)
        size = residual.square().mean(dim=1, keepdim=True).sqrt()
        away = self.network.deviations(scaled).abs().mean(dim=1, keepdim=True)
        around = F.avg_pool2d(size, SMOOTHED_OVER, 1, SMOOTHED_OVER // 2, count_include_pad=False)
        return torch.cat([size, residual.abs().mean(dim=1, keepdim=True), away, around], dim=1)


def _brought(side: tuple[int, ...], grid: tuple[int, int]) -> nn.Module:
    """A level on the grid of patches, as anomae.models.backbones.frozen_features.on_grid has it.

    Means over squares where the grid divides the side, since engines know these well; else matrices.
    """
    height, width = side
    if (height, width) == grid:
        return nn.Identity()
    if height <= grid[0]:
        return Resize((height, width), grid, interpolation("bilinear"))
    if height % grid[0] == 0 and width % grid[1] == 0:
        return nn.AvgPool2d((height // grid[0], width // grid[1]))
    return Resize((height, width), grid, F.adaptive_avg_pool2d)
