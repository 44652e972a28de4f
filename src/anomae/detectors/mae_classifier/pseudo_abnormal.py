"""Pseudo-abnormal copies of reconstructions (paper section 3), as the settings want them."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from anomae.detectors.protocol import Images, Images4
from anomae.detectors.settings import PseudoAbnormalSettings
from anomae.files import written_whole
from anomae.models.pseudo_abnormal import apply_boxes, draw_boxes
from anomae.seeds import content_seed, derive_seed
from anomae.slices.store import grey

BODY = 0.08  # share of a reconstruction's range above which there is tissue
SAMPLES_SHOWN = 8


def alter(reconstructions: Tensor, settings: PseudoAbnormalSettings, generator: torch.Generator) -> Tensor:
    """X^' of X^, (B, C, H, W) each: boxes drawn from `generator`, on its device, the same in all channels.

    inside_body: tissue is where it is in any channel.
    """
    low, high = reconstructions.amin(dim=(2, 3), keepdim=True), reconstructions.amax(dim=(2, 3), keepdim=True)
    boxes = draw_boxes(
        len(reconstructions),
        (int(reconstructions.shape[2]), int(reconstructions.shape[3])),
        k=(settings.k_min, settings.k_max),
        sides=(settings.side_min, settings.side_max),
        per_pixel=settings.per_pixel,
        body=(reconstructions > low + BODY * (high - low)).any(dim=1) if settings.inside_body else None,
        generator=generator,
    )
    return apply_boxes(reconstructions, boxes, intensity_origin=settings.intensity_origin)


def alter_once(reconstructions: Images4, settings: PseudoAbnormalSettings, seed: int) -> Images4:
    """`alter` with boxes that depend on each reconstruction and the seed alone: the same in every epoch."""
    altered = []
    for image in reconstructions:
        generator = torch.Generator().manual_seed(content_seed(derive_seed(seed, "boxes"), image))
        altered.append(alter(torch.from_numpy(image)[None], settings, generator).numpy())
    return np.concatenate(altered)


def keep_samples(
    path: Path, images: Images, reconstructions: Images, settings: PseudoAbnormalSettings, seed: int
) -> None:
    """Keep a few training samples of the classifier for the report (paper Fig. 2): X, X^ and X^', (k, h, w) each.

    Pictures, for people: images of several channels in grey.
    """
    if path.exists():
        return
    looked_at = np.unique(np.linspace(0, len(images) - 1, 8 * SAMPLES_SHOWN + 2).astype(np.int64)[1:-1])
    content = images.read(looked_at)
    has_content = (content.max(axis=(2, 3)) > content.min(axis=(2, 3))).any(axis=1)
    filled = looked_at[has_content]  # in pictures of empty slices there is nothing to see
    among = filled if len(filled) else looked_at
    indices = among[np.unique(np.linspace(0, len(among) - 1, SAMPLES_SHOWN + 2).astype(np.int64)[1:-1])]
    shown, rebuilt = images.read(indices), reconstructions.read(indices)
    altered = alter(torch.from_numpy(rebuilt), settings, torch.Generator().manual_seed(derive_seed(seed, "samples")))
    with written_whole(path) as temporary:
        np.savez(
            temporary,
            images=grey(shown),
            reconstructions=grey(rebuilt),
            pseudo_abnormal=grey(altered.numpy()),
        )
