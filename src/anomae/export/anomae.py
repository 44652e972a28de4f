"""How the detector `anomae` is exported: the evidence of an image, what the heads make of it, scores and maps."""

from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from anomae.detectors.anomae.evidence import Evidence
from anomae.detectors.anomae.fitted import FittedAnomae, divided_odds
from anomae.export.evidence import Begin, Look, Reduce, TracedEvidence, window_of
from anomae.export.mae import drawn_masks, reconstruct_network
from anomae.export.traceable import (
    EXACT,
    Resize,
    Step,
    Traceable,
    TraceableNetwork,
    altered_slices,
    interpolation,
    traced_in_turn,
)
from anomae.models.patch_head import PatchHead
from anomae.seeds import derive_seed

BATCH = 8  # what is made of so many images stays near the processor: int8 takes 0.9 of the time of 16, fp32 0.95 to 1


def traceable(fitted: FittedAnomae) -> Traceable:
    """The networks of a fitted `anomae`."""
    settings, parts = fitted.settings, fitted.parts
    shape = (fitted.channels, *fitted.image_size)
    example = torch.rand(2, 3, *shape) if fitted.needs_neighbours else torch.rand(2, *shape)
    known: dict[str, Tensor] = {"images": example}
    networks: dict[str, TraceableNetwork] = {}
    runner: dict[str, Any] = {"kind": "chain", "window": window_of(fitted)}
    first: list[str] = []
    before: list[Step] = []
    if parts.autoencoder is not None:
        numbers = drawn_masks(parts.autoencoder)
        networks["reconstruct"] = reconstruct_network(parts.autoencoder.network, numbers)
        runner["rebuilt"], known["rebuilt"] = numbers, torch.rand(2, *shape)
        first = ["rebuilt"]
    if parts.denoiser is not None:
        denoiser = parts.denoiser.fitted
        reduce, denoise = Reduce(fitted, denoiser), denoiser.networks["denoiser"].cpu().eval()
        before = [
            ("reduce", reduce, ["images"], ["reduced"], EXACT),
            ("denoise", denoise, ["reduced"], ["denoised"], {}),
        ]
        known |= {name: torch.rand(2, fitted.channels, *denoiser.image_size) for name in ("reduced", "denoised")}
        first += ["reduced", "denoised"]
    masks = [f"hidden_{at}" for at in range(len(parts.hidden))]
    if masks:
        chosen = settings.hidden
        grids = [evidence.grid for evidence in fitted.evidences]
        seed = derive_seed(parts.hidden[0].seed, "hidden", "masks")
        runner["hidden"] = {"seed": seed, "passes": chosen.passes, "block": chosen.block, "grids": grids}
        known |= {name: torch.zeros(2, chosen.passes, *grid) for name, grid in zip(masks, grids, strict=True)}
    centred = settings.lesions.kind == "centre"
    sizes = nn.ModuleList(TracedEvidence(fitted, at) for at in range(len(fitted.evidences)))
    begin = Begin(fitted, sizes)
    with torch.no_grad():
        begun = [f"begun_{at}" for at in range(len(begin(*(known[name] for name in ["images", *first]))))]
    evidence = [f"evidence_{at}" for at in range(len(sizes))]
    # Features all in bf16 rank slices otherwise than in fp32 (0.998 to 0.9994); from the cut on (0.9999) they bear it.
    looks = dict(EXACT)
    if parts.features is not None and all(size.is_cut for size in sizes):
        looks = {"bf16": "bf16", "int8": "bf16"}
    finished, lowered = ["patches"], list[str]()
    if fitted.healthy_odds is not None:
        runner["healthy_odds"] = fitted.healthy_odds.content()
        known["factors"] = torch.ones(2, *fitted.evidences[0].grid)
        finished, lowered = ["patches", "factors"], ["lowered"]
    steps: list[Step] = [
        *before,
        ("begin", begin, ["images", *first], begun, EXACT),
        ("look", Look(sizes, len(masks)), [*masks, *begun], evidence, looks),
        ("judge", _Judge(fitted), evidence, ["patches", "image"] if centred else ["patches"], {}),
        ("finish", _Finish(fitted), finished, [*lowered, "highest_patches", "map"], EXACT),
    ]
    networks |= traced_in_turn(steps, known)
    further = {"score_highest_patches": "highest_patches"} if centred or lowered else {}
    runner["chain"] = [[name, inputs] for name, _, inputs, _, _ in steps]
    score = "image" if centred else "lowered" if lowered else "highest_patches"
    runner["outputs"] = {"score": score, "map": "map", **further}
    if settings.measure is not None:
        scales = {name: asdict(scale) for name, scale in fitted.scales.items()}
        runner = {"kind": "measured", "runner": runner, "measure": settings.measure, "scales": scales}
    return Traceable(
        networks=networks,
        runner=runner,
        batch=BATCH,
        pretext=altered_slices(fitted),
    )


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
    """Probabilities of patches (B, gh, gw) -> the mean of the highest (B,), and the map (B, h, w).

    Given what their odds are divided by, (B, gh, gw), first the mean of the highest then; the map is of these.
    """

    def __init__(self, fitted: FittedAnomae) -> None:
        super().__init__()
        grid = fitted.evidences[0].grid
        self.top = min(fitted.settings.top, grid[0] * grid[1])
        self.enlarge = Resize(grid, fitted.image_size, interpolation("bilinear"))

    def forward(self, patches: Tensor, factors: Tensor | None = None) -> tuple[Tensor, ...]:
        highest = self._highest(patches)
        if factors is None:
            return highest, self.enlarge(patches).clamp(0.0, 1.0)
        lowered = divided_odds(patches, factors)
        return self._highest(lowered), highest, self.enlarge(lowered).clamp(0.0, 1.0)

    def _highest(self, patches: Tensor) -> Tensor:
        return patches.flatten(1).topk(self.top, dim=1).values.mean(dim=1)


class _Heads(nn.Module):
    """Evidence at one size -> the mean of its heads' probabilities, on the grid of the first size."""

    def __init__(self, evidence: Evidence, heads: tuple[PatchHead, ...], first: tuple[int, int]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(head.cpu().eval() for head in heads)
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
