"""From settings and healthy images to the sources and statistics of `anomae`, before any head is trained."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from anomae.detectors.anomae.denoised import Denoised, Reduced, reduced_size
from anomae.detectors.anomae.evidence import Evidence, shown_size
from anomae.detectors.anomae.hidden import Hidden, fit_hidden
from anomae.detectors.anomae.memory import Memory, half_of
from anomae.detectors.anomae.neighbours import Neighbours, read_seen
from anomae.detectors.anomae.residual import Residual
from anomae.detectors.anomae.settings import AnomaeSettings
from anomae.detectors.anomae.sources import Features, Pixels, Source, make_backbone
from anomae.detectors.anomae.window import Window
from anomae.detectors.dae.detector import DenoisingAutoencoderDetector, FittedDenoisingAutoencoder
from anomae.detectors.mae.detector import FittedMaskedAutoencoder, MaskedAutoencoderDetector
from anomae.detectors.patches import FEWEST, MOST, advice, fitting_patch, refuse_uncut
from anomae.detectors.protocol import HealthySlices
from anomae.detectors.settings import MaeSettings
from anomae.errors import UserError
from anomae.models.unet import fits
from anomae.seeds import derive_seed

MEASURED_IMAGES, BATCH, DRAW_IMAGES = 256, 32, 16


@dataclass(frozen=True, slots=True)
class Parts:
    """What the evidence is made of, fitted or read from disk.  Each is None, or empty, where no source wants it.

    memories: kept features by size, (2, M, C, gh, gw).  hidden: the source of that name, by size.
    """

    window: Window
    features: Features | None = None
    autoencoder: FittedMaskedAutoencoder | None = None
    denoiser: FittedDenoisingAutoencoder | None = None
    memories: tuple[Tensor, ...] = ()
    hidden: tuple[Hidden, ...] = ()


def fit_parts(settings: AnomaeSettings, healthy: HealthySlices, seed: int, folder: Path, fabric: Any) -> Parts:
    """The window, the backbone and the autoencoders that `settings.sources` want; memories not yet.

    Raises MissingExtra or UserError where the backbone's weights are not to be had, a source cannot have images of this
    size, or neighbours are to be looked at and no slice has one; Diverged where a loss is lost.
    """
    refuse_size(settings, healthy.image_size)
    if settings.wants_neighbours:
        _require_neighbours(healthy)
    window = Window.measured(healthy, settings)
    features = autoencoder = denoiser = None
    if settings.wants_backbone:
        indices = np.unique(np.linspace(0, len(healthy) - 1, DRAW_IMAGES).astype(np.int64))
        few = window.seen(torch.from_numpy(healthy.read(indices))).flatten(0, 1)  # (k * c, h, w)
        generator = torch.Generator().manual_seed(derive_seed(seed, "backbone"))
        features = Features(settings.backbone, *make_backbone(settings.backbone, settings.weights, generator, few))
    if "residual" in settings.sources:
        autoencoder = _masked(settings).fit(healthy, seed=seed, folder=folder, fabric=fabric)
    if "denoised" in settings.sources:
        denoising = settings.denoiser.model_copy(update={"device": settings.device})
        smaller = reduced_size(healthy.image_size, settings.denoised_size, denoising.halvings)
        denoiser = DenoisingAutoencoderDetector(denoising).fit(
            Reduced(healthy, smaller), seed=seed, folder=folder, fabric=fabric
        )
    hidden = []
    if "hidden" in settings.sources and features is not None:
        for longer in settings.sizes:
            hidden.append(fit_hidden(settings, longer, healthy, features, window, seed, folder, fabric))
    return Parts(window, features, autoencoder, denoiser, hidden=tuple(hidden))


def refuse_size(settings: AnomaeSettings, image_size: tuple[int, int]) -> None:
    """Raise UserError where a source cannot have images of (h, w) pixels."""
    (height, width), halvings = image_size, settings.denoiser.halvings
    if "residual" in settings.sources:
        patch = settings.autoencoder.patch
        refuse_uncut(image_size, patch, "autoencoder.patch")
        if fitting_patch(image_size) is None and (height // patch) * (width // patch) < FEWEST:
            raise UserError(
                f"Images of {height}x{width} pixels cannot be cut into {FEWEST} to {MOST} patches for the source "
                f"residual; {advice(image_size, 'autoencoder.patch')}, or leave it out."
            )
        _masked(settings).refuse_size(image_size)
    smaller = reduced_size(image_size, settings.denoised_size, halvings)
    if "denoised" in settings.sources and not fits(smaller, halvings):
        raise UserError(
            f"Images of {height}x{width} pixels are too small for the source denoised, which halves them {halvings} "
            "times; set fewer denoiser.halvings."
        )


def _masked(settings: AnomaeSettings) -> MaskedAutoencoderDetector:
    return MaskedAutoencoderDetector(MaeSettings(autoencoder=settings.autoencoder, device=settings.device))


def _require_neighbours(healthy: HealthySlices) -> None:
    indices = _measured(healthy)
    if (healthy.neighbours(indices) == healthy.read(indices)[:, None]).all():
        raise UserError("No healthy slice has another above or below it; leave the source neighbours out.")


def _measured(healthy: HealthySlices) -> npt.NDArray[np.int64]:
    """At most 256 indices, evenly spaced."""
    return np.unique(np.linspace(0, len(healthy) - 1, MEASURED_IMAGES).astype(np.int64))


def with_memories(settings: AnomaeSettings, healthy: HealthySlices, parts: Parts, device: torch.device) -> Parts:
    """The parts with features of evenly spaced healthy images of each half, where the source `memory` wants them."""
    if "memory" not in settings.sources or parts.features is None:
        return parts
    middle, memories = len(healthy) // 2, []
    for longer in settings.sizes:
        bare = Evidence(
            [parts.features], shown_size(healthy.image_size, longer, settings.patch), settings.patch, device
        )
        halves = []
        for start, end in ((0, max(middle, 1)), (middle, len(healthy))):
            indices = np.linspace(start, end - 1, settings.memory.images).round().astype(np.int64)
            halves.append(_raw(bare, healthy, parts.window, indices))
        memories.append(torch.stack(halves).half())
    return replace(parts, memories=tuple(memories))


def evidences_of(
    settings: AnomaeSettings, image_size: tuple[int, int], parts: Parts, device: torch.device
) -> list[Evidence]:
    """The evidence at each size, not standardised yet."""
    found = []
    for index, longer in enumerate(settings.sizes):
        sources: list[Source] = []
        for name in settings.sources:
            if name == "features" and parts.features is not None:
                sources.append(parts.features)
            elif name == "pixels":
                sources.append(Pixels())
            elif name == "residual" and parts.autoencoder is not None:
                sources.append(Residual(parts.autoencoder, parts.window))
            elif name == "denoised" and parts.denoiser is not None:
                sources.append(Denoised(parts.denoiser, parts.window))
            elif name == "memory" and parts.features is not None:
                sources.append(Memory(parts.features, parts.memories[index].float(), settings.memory.near))
            elif name == "hidden" and parts.hidden:
                sources.append(parts.hidden[index])
        if settings.wants_neighbours:
            sources.append(Neighbours([source for source in sources if isinstance(source, Features | Pixels)]))
        size = shown_size(image_size, longer, settings.patch)
        found.append(Evidence(sources, size, settings.patch, device))
    return found


def measured(evidences: list[Evidence], healthy: HealthySlices, parts: Parts) -> list[Evidence]:
    """The evidences with mean and spread of every channel over at most 256 healthy images, evenly spaced."""
    indices = _measured(healthy)
    half = torch.from_numpy(half_of(indices, len(healthy)))
    return [evidence.measured(_raw(evidence, healthy, parts.window, indices, half)) for evidence in evidences]


def _raw(
    evidence: Evidence, healthy: HealthySlices, window: Window, indices: Any, half: Tensor | None = None
) -> Tensor:
    blocks = []
    for start in range(0, len(indices), BATCH):
        images = read_seen(healthy, window, indices[start : start + BATCH], evidence.stacked).to(evidence.device)
        blocks.append(evidence.raw(images, None if half is None else half[start : start + BATCH]).cpu())
    return torch.cat(blocks)
