"""How the detector `anomae` is exported: the evidence of an image, what the heads make of it, scores and maps."""

import copy

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomae.detectors.anomae.evidence import Evidence
from anomae.detectors.anomae.fitted import FittedAnomae
from anomae.detectors.anomae.sources import Features, Pixels
from anomae.detectors.inference import USE_BATCH
from anomae.errors import UserError
from anomae.export.backbones import GreyBackbone
from anomae.export.traceable import Resize, Traceable, TraceableNetwork, interpolation
from anomae.inference.exported.detector import ExportedDetector
from anomae.models.patch_head import PatchHead

TRACED = ("features", "pixels", "mirror", "neighbours")
Images = npt.NDArray[np.float32]


def traceable(fitted: FittedAnomae) -> Traceable:
    """The networks of a fitted `anomae`.  Raises UserError where a source draws masks or searches a memory."""
    others = [name for name in fitted.settings.sources if name not in TRACED]
    if others:
        raise UserError(
            f"A detector anomae with the source(s) {', '.join(others)} cannot be exported; fit one whose sources are "
            f"out of {', '.join(TRACED)}."
        )
    shape = (fitted.channels, *fitted.image_size)
    example = torch.rand(2, 3, *shape) if fitted.needs_neighbours else torch.rand(2, *shape)
    centred = fitted.settings.lesions.kind == "centre"
    evidence = [f"evidence_{at}" for at in range(len(fitted.settings.sizes))]
    steps: tuple[tuple[str, nn.Module, list[str], list[str]], ...] = (
        ("look", _Look(fitted), ["images"], evidence),
        ("judge", _Judge(fitted), evidence, ["patches", "image"] if centred else ["patches"]),
        ("finish", _Finish(fitted), ["patches"], ["highest_patches", "map"]),
    )
    known: dict[str, Tensor] = {"images": example}
    networks: dict[str, TraceableNetwork] = {}
    with torch.no_grad():
        for name, module, inputs, outputs in steps:
            examples = {entry: known[entry] for entry in inputs}
            # bf16 features rank slices otherwise than fp32 ones (0.9988), and save little; the heads bear it (0.9999).
            networks[name] = TraceableNetwork(module, examples, tuple(outputs), exact=name != "judge")
            known |= dict(zip(outputs, module(*examples.values()), strict=True))
    further = {"score_highest_patches": "highest_patches"} if centred else {}
    return Traceable(
        networks=networks,
        runner={
            "kind": "chain",
            "chain": [[name, inputs] for name, _, inputs, _ in steps],
            "outputs": {"score": "image" if centred else "highest_patches", "map": "map", **further},
        },
        batch=USE_BATCH["cpu"],
        pretext=lambda exported, images, neighbours: _pretext(fitted, exported, images, neighbours),
    )


def _pretext(
    fitted: FittedAnomae, exported: ExportedDetector, images: Images, neighbours: Images | None
) -> dict[str, npt.NDArray[np.float64]]:
    altered = fitted.pretext_images(images, neighbours)
    return {family: exported.inspect(slices, beside).scores for family, slices, beside in altered}


class _Look(nn.Module):
    """Prepared images (B, c, h, w), or stacks (B, 3, c, h, w) -> the evidence at each size, (B, C, gh, gw)."""

    def __init__(self, fitted: FittedAnomae) -> None:
        super().__init__()
        window = fitted.parts.window
        low, high = (torch.tensor(values).float()[:, None, None] for values in (window.low, window.high))
        self.low: Tensor
        self.width: Tensor
        self.register_buffer("low", low)
        self.register_buffer("width", high - low)
        self.stacked = fitted.needs_neighbours
        self.sizes = nn.ModuleList(_Evidence(evidence, fitted.image_size) for evidence in fitted.evidences)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        seen = ((images - self.low) / self.width).clamp(0.0, 1.0)
        views = [seen[:, 0], seen[:, 1], seen[:, 2]] if self.stacked else [seen]
        return tuple(size(views) for size in self.sizes)


class _Evidence(nn.Module):
    """Views of 0..1, the slice and where wanted those below and above -> evidence at one size, standardised."""

    def __init__(self, evidence: Evidence, image_size: tuple[int, int]) -> None:
        super().__init__()
        same = tuple(image_size) == evidence.size
        self.show = None if same else Resize(image_size, evidence.size, interpolation("bicubic", antialias=True))
        self.sources = nn.ModuleList(
            _Features(source, evidence) if isinstance(source, Features) else _Pixels(evidence)
            for source in evidence.sources
            if isinstance(source, Features | Pixels)
        )
        self.mean: Tensor
        self.spread: Tensor
        self.register_buffer("mean", evidence.mean.float().cpu())
        self.register_buffer("spread", evidence.spread.float().cpu())

    def forward(self, views: list[Tensor]) -> Tensor:
        channels = [self._channels(view if self.show is None else self.show(view).clamp(0.0, 1.0)) for view in views]
        raw = channels[0]
        if len(channels) == 3:
            raw = torch.cat([raw, raw - (channels[1] + channels[2]) / 2], dim=1)
        return (raw - self.mean) / self.spread

    def _channels(self, shown: Tensor) -> Tensor:
        return torch.cat([source(shown) for source in self.sources], dim=1)


class _Pixels(nn.Module):
    """The source `pixels`."""

    def __init__(self, evidence: Evidence) -> None:
        super().__init__()
        self.side = (evidence.size[0] // evidence.grid[0], evidence.size[1] // evidence.grid[1])

    def forward(self, shown: Tensor) -> Tensor:
        mean = F.avg_pool2d(shown, self.side)
        spread = (F.avg_pool2d(shown * shown, self.side) - mean * mean).clamp_min(0).sqrt()
        return torch.cat([mean, F.max_pool2d(shown, self.side), -F.max_pool2d(-shown, self.side), spread], dim=1)


class _Judge(nn.Module):
    """The evidence at each size -> probabilities of the first size's patches (B, gh, gw), and of images (B,)."""

    def __init__(self, fitted: FittedAnomae) -> None:
        super().__init__()
        first = fitted.evidences[0].grid
        self.sizes = nn.ModuleList(
            _Heads(evidence, heads, first) for evidence, heads in zip(fitted.evidences, fitted.heads, strict=True)
        )

    def forward(self, *evidences: Tensor) -> tuple[Tensor, ...]:
        patches: list[Tensor] = []
        whole: list[Tensor] = []
        for size, evidence in zip(self.sizes, evidences, strict=True):
            chances, image = size(evidence)
            patches.append(chances)
            whole += [] if image is None else [image]
        mean = torch.stack(patches).mean(dim=0)  # (B, gh, gw)
        return (mean, torch.stack(whole).mean(dim=0)) if whole else (mean,)


class _Finish(nn.Module):
    """Probabilities of patches (B, gh, gw) -> the mean of the highest (B,), and the map (B, h, w)."""

    def __init__(self, fitted: FittedAnomae) -> None:
        super().__init__()
        grid = fitted.evidences[0].grid
        self.top = min(fitted.settings.top, grid[0] * grid[1])
        self.enlarge = Resize(grid, fitted.image_size, interpolation("bilinear"))

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        highest = patches.flatten(1).topk(self.top, dim=1).values.mean(dim=1)
        return highest, self.enlarge(patches).clamp(0.0, 1.0)


class _Heads(nn.Module):
    """Evidence at one size -> the mean of its heads' probabilities, on the grid of the first size."""

    def __init__(self, evidence: Evidence, heads: tuple[PatchHead, ...], first: tuple[int, int]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(copy.deepcopy(head).cpu().eval() for head in heads)
        smaller = interpolation("bilinear", antialias=True)
        self.bring = None if evidence.grid == first else Resize(evidence.grid, first, smaller)

    def forward(self, found: Tensor) -> tuple[Tensor, Tensor | None]:
        patches: list[Tensor] = []
        whole: list[Tensor] = []
        for head in self.heads:
            seen = head.look(found)  # type: ignore[operator]
            for flipped in (False, True):
                logits, image = head.logits(seen.flip(-1) if flipped else seen)  # type: ignore[operator]
                chances = logits.sigmoid()
                patches.append(chances.flip(-1) if flipped else chances)
                whole += [] if image is None else [image.sigmoid()]
        mean = torch.stack(patches).mean(dim=0)
        brought = mean if self.bring is None else self.bring(mean)
        return brought, torch.stack(whole).mean(dim=0) if whole else None


class _Features(nn.Module):
    """Images (B, c, H, W) of 0..1 -> levels of the frozen backbone on the grid, one channel after the other."""

    def __init__(self, source: Features, evidence: Evidence) -> None:
        super().__init__()
        self.network = GreyBackbone(source.network, source.backbone)
        sides = [tuple(level.shape[-2:]) for level in self.network(torch.zeros(1, *evidence.size))]
        self.bring = nn.ModuleList(_brought(side, evidence.grid) for side in sides)

    def forward(self, shown: Tensor) -> Tensor:
        found = []
        for channel in range(shown.shape[1]):
            levels = self.network(shown[:, channel] * 255.0)
            found += [bring(level) for bring, level in zip(self.bring, levels, strict=True)]
        return torch.cat(found, dim=1)


def _brought(side: tuple[int, int], grid: tuple[int, int]) -> nn.Module:
    """A level on the grid of patches, as anomae.models.backbones.frozen_features.on_grid has it.

    Means over squares where the grid divides the side, since engines know these well; else matrices.
    """
    if side == grid:
        return nn.Identity()
    if side[0] <= grid[0]:
        return Resize(side, grid, interpolation("bilinear"))
    if side[0] % grid[0] == 0 and side[1] % grid[1] == 0:
        return nn.AvgPool2d((side[0] // grid[0], side[1] // grid[1]))
    return Resize(side, grid, F.adaptive_avg_pool2d)
