"""How the detector `anomae` is exported: what is looked at, what backbone and heads make of it, scores and maps."""

import copy
from collections.abc import Callable

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

PIXEL_CHANNELS = 4  # of the source pixels, for each channel of the image
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
    modules = {"show": _Show(fitted), "judge": _Judge(fitted), "finish": _Finish(fitted)}
    counts = range(len(fitted.settings.sizes))
    names = {
        "show": [f"{kind}_{at}" for at in counts for kind in ("shown", "pixels")],
        "judge": ["patches", *(["image"] if centred else [])],
        "finish": ["highest_patches", "map"],
    }
    given: dict[str, Tensor] = {"images": example}
    networks: dict[str, TraceableNetwork] = {}
    with torch.no_grad():
        for name, module in modules.items():
            inputs = {entry: given[entry] for entry in _INPUTS[name](counts)}
            networks[name] = TraceableNetwork(module, inputs, tuple(names[name]), exact=name != "judge")
            given |= dict(zip(names[name], module(*inputs.values()), strict=True))
    others = {"score_highest_patches": "highest_patches"} if centred else {}
    return Traceable(
        networks=networks,
        runner={
            "kind": "chain",
            "chain": [[name, list(network.inputs)] for name, network in networks.items()],
            "outputs": {"score": "image" if centred else "highest_patches", "map": "map", **others},
        },
        batch=USE_BATCH["cpu"],
        pretext=lambda exported, images, neighbours: _pretext(fitted, exported, images, neighbours),
    )


_INPUTS: dict[str, Callable[[range], list[str]]] = {
    "show": lambda _: ["images"],
    "judge": lambda counts: [f"{kind}_{at}" for at in counts for kind in ("shown", "pixels")],
    "finish": lambda _: ["patches"],
}


def _pretext(
    fitted: FittedAnomae, exported: ExportedDetector, images: Images, neighbours: Images | None
) -> dict[str, npt.NDArray[np.float64]]:
    altered = fitted.pretext_images(images, neighbours)
    return {family: exported.inspect(slices, beside).scores for family, slices, beside in altered}


class _Show(nn.Module):
    """Prepared images (B, c, h, w), or stacks (B, 3, c, h, w) -> for each size what is looked at, and its pixels.

    What is looked at: (B, V, c, H, W), V views (the slice, or with it those below and above), 0..1.  Pixels: the source
    of that name and its neighbours, standardised, (B, P, gh, gw).  Apart from the rest since its variances need fp32.
    """

    def __init__(self, fitted: FittedAnomae) -> None:
        super().__init__()
        window = fitted.parts.window
        low, high = (torch.tensor(values).float()[:, None, None] for values in (window.low, window.high))
        self.low: Tensor
        self.width: Tensor
        self.register_buffer("low", low)
        self.register_buffer("width", high - low)
        self.stacked = fitted.needs_neighbours
        self.sizes = nn.ModuleList(_Pixels(fitted, evidence) for evidence in fitted.evidences)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        seen = ((images - self.low) / self.width).clamp(0.0, 1.0)
        views = seen if self.stacked else seen[:, None]
        return tuple(given for size in self.sizes for given in size(views))


class _Pixels(nn.Module):
    """One size: views (B, V, c, h, w) resized, and the source `pixels` of them."""

    def __init__(self, fitted: FittedAnomae, evidence: Evidence) -> None:
        super().__init__()
        same = tuple(fitted.image_size) == evidence.size
        bicubic = interpolation("bicubic", antialias=True)
        self.show = None if same else Resize(fitted.image_size, evidence.size, bicubic)
        self.side = (evidence.size[0] // evidence.grid[0], evidence.size[1] // evidence.grid[1])
        self.standard = _Standard(evidence, Pixels, fitted.channels)

    def forward(self, views: Tensor) -> tuple[Tensor, Tensor]:
        shown = views if self.show is None else self.show(views).clamp(0.0, 1.0)
        return shown, self.standard([self._of(shown[:, view]) for view in range(shown.shape[1])])

    def _of(self, shown: Tensor) -> Tensor:
        mean = F.avg_pool2d(shown, self.side)
        spread = (F.avg_pool2d(shown * shown, self.side) - mean * mean).clamp_min(0).sqrt()
        return torch.cat([mean, F.max_pool2d(shown, self.side), -F.max_pool2d(-shown, self.side), spread], dim=1)


class _Standard(nn.Module):
    """Channels of one kind of source, and their differences to the neighbours, standardised over healthy images."""

    mean: Tensor
    spread: Tensor

    def __init__(self, evidence: Evidence, kind: type, channels: int) -> None:
        super().__init__()
        where = _where(evidence, kind, channels)
        if where:
            mean, spread = (values.float().cpu()[:, where] for values in (evidence.mean, evidence.spread))
        else:  # pixels that no head looks at: a network cannot give what has no channel
            mean, spread = torch.zeros(1), torch.ones(1)
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)

    def forward(self, views: list[Tensor]) -> Tensor:
        raw = views[0]
        if len(views) == 3:
            raw = torch.cat([raw, raw - (views[1] + views[2]) / 2], dim=1)
        return (raw - self.mean) / self.spread


def _where(evidence: Evidence, kind: type, channels: int) -> list[int]:
    """Indices among all channels of the evidence of those of one kind of source, and of their differences."""
    known = [source for source in evidence.sources if isinstance(source, Features | Pixels)]
    total = evidence.mean.shape[1]
    every = total // 2 if evidence.stacked else total
    of_pixels = PIXEL_CHANNELS * channels if any(isinstance(source, Pixels) for source in known) else 0
    per: dict[type, int] = {Pixels: of_pixels, Features: every - of_pixels}
    found, start = list[int](), 0
    for source in known:
        if isinstance(source, kind):
            found += range(start, start + per[type(source)])
        start += per[type(source)]
    return found + [every + at for at in found] if evidence.stacked else found


class _Judge(nn.Module):
    """For each size what is looked at and its pixels -> probabilities of the first size's patches, and of images."""

    def __init__(self, fitted: FittedAnomae) -> None:
        super().__init__()
        first = fitted.evidences[0].grid
        self.sizes = nn.ModuleList(
            _Size(evidence, heads, first, fitted.channels)
            for evidence, heads in zip(fitted.evidences, fitted.heads, strict=True)
        )

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        patches: list[Tensor] = []
        whole: list[Tensor] = []
        for at, size in enumerate(self.sizes):
            chances, image = size(given[2 * at], given[2 * at + 1])
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


class _Size(nn.Module):
    """Evidence at one size and its heads -> the mean of their probabilities, on the grid of the first size."""

    def __init__(self, evidence: Evidence, heads: tuple[PatchHead, ...], first: tuple[int, int], channels: int) -> None:
        super().__init__()
        featured = [source for source in evidence.sources if isinstance(source, Features)]
        self.features = _Features(featured[0], evidence) if featured else None
        self.standard = _Standard(evidence, Features, channels) if featured else None
        order, pixels = (_where(evidence, kind, channels) for kind in (Features, Pixels))
        unseen = 0 if pixels else PIXEL_CHANNELS * channels * (2 if evidence.stacked else 1)
        self.heads = nn.ModuleList(_reordered(head, [*order, *pixels], unseen) for head in heads)
        smaller = interpolation("bilinear", antialias=True)
        self.bring = None if evidence.grid == first else Resize(evidence.grid, first, smaller)

    def forward(self, shown: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
        found = pixels
        if self.features is not None and self.standard is not None:
            views = [self.features(shown[:, view]) for view in range(shown.shape[1])]
            found = torch.cat([self.standard(views), pixels], dim=1)
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


def _reordered(head: PatchHead, order: list[int], unseen: int) -> PatchHead:
    """A copy of a head that takes its evidence in another order, and after it `unseen` channels that it ignores."""
    copied = copy.deepcopy(head).cpu().eval()
    for convolution in (copied.embed, copied.across):
        if convolution is not None:
            weight = F.pad(convolution.weight[:, order], (0, 0, 0, 0, 0, unseen))
            convolution.weight = nn.Parameter(weight.detach().contiguous(), requires_grad=False)
    return copied


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
