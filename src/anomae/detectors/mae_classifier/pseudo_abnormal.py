"""Pseudo-abnormal copies of reconstructions (paper section 3), as the settings want them."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from anomae.detectors.protocol import Images
from anomae.detectors.settings import PseudoAbnormalSettings
from anomae.files import written_whole
from anomae.models.pseudo_abnormal import apply_boxes, draw_boxes
from anomae.seeds import content_seed, derive_seed

BODY = 0.08  # share of a reconstruction's range above which there is tissue
SAMPLES_SHOWN = 8


def alter(reconstructions: Tensor, settings: PseudoAbnormalSettings, generator: torch.Generator) -> Tensor:
    """X^' of X^, (B, H, W) each: boxes drawn from `generator`, on its device."""
    low, high = reconstructions.amin(dim=(1, 2), keepdim=True), reconstructions.amax(dim=(1, 2), keepdim=True)
    boxes = draw_boxes(
        len(reconstructions),
        (int(reconstructions.shape[1]), int(reconstructions.shape[2])),
        k=(settings.k_min, settings.k_max),
        sides=(settings.side_min, settings.side_max),
        per_pixel=settings.per_pixel,
        body=reconstructions > low + BODY * (high - low) if settings.inside_body else None,
        generator=generator,
    )
    return apply_boxes(reconstructions, boxes, intensity_origin=settings.intensity_origin)


def alter_once(
    reconstructions: npt.NDArray[np.float32], settings: PseudoAbnormalSettings, seed: int
) -> npt.NDArray[np.float32]:
    """`alter` with boxes that depend on each reconstruction and the seed alone: the same in every epoch."""
    altered = []
    for image in reconstructions:
        generator = torch.Generator().manual_seed(content_seed(derive_seed(seed, "boxes"), image))
        altered.append(alter(torch.from_numpy(image)[None], settings, generator).numpy())
    return np.concatenate(altered)


def keep_samples(
    path: Path, images: Images, reconstructions: Images, settings: PseudoAbnormalSettings, seed: int
) -> None:
    """Keep a few training samples of the classifier for the report (paper Fig. 2): X, X^ and X^', (k, h, w) each."""
    if path.exists():
        return
    looked_at = np.unique(np.linspace(0, len(images) - 1, 8 * SAMPLES_SHOWN + 2).astype(np.int64)[1:-1])
    content = images.read(looked_at)
    filled = looked_at[content.max(axis=(1, 2)) > content.min(axis=(1, 2))]  # empty slices give no positives
    among = filled if len(filled) else looked_at
    indices = among[np.unique(np.linspace(0, len(among) - 1, SAMPLES_SHOWN + 2).astype(np.int64)[1:-1])]
    shown, rebuilt = images.read(indices), reconstructions.read(indices)
    altered = alter(torch.from_numpy(rebuilt), settings, torch.Generator().manual_seed(derive_seed(seed, "samples")))
    with written_whole(path) as temporary:
        np.savez(temporary, images=shown, reconstructions=rebuilt, pseudo_abnormal=altered.numpy())
