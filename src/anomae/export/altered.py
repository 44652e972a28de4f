"""Healthy slices with pseudo-lesions, for every detector: what is to be above thresholds in bf16 and int8 too."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from anomae.detectors.anomae.samples import altered_by
from anomae.detectors.pretext import AlteredSlices
from anomae.models.pseudo_lesions.families import STANDARD
from anomae.seeds import derive_seed

Images = npt.NDArray[np.float32]


def with_lesions(
    fitted: Any, images: Images, neighbours: Images | None = None
) -> Iterator[tuple[str, Images, Images | None]]:
    """A family, healthy images (k, c, h, w) with one lesion of it each, and their neighbours (k, 2, c, h, w); in turn.

    Only images whose lesion is to be seen, and no family of which none is.  Those of the detector's pretext task where
    it draws such images; else of the standard families, in the range of `images`, the neighbours as they were.
    """
    for altered in _altered(fitted, images, neighbours):
        if altered.seen.any():
            beside = altered.neighbours
            yield altered.family, altered.images[altered.seen], None if beside is None else beside[altered.seen]


def _altered(fitted: Any, images: Images, neighbours: Images | None) -> Iterator[AlteredSlices]:
    if hasattr(fitted, "pretext_images"):
        yield from fitted.pretext_images(images, neighbours)
        return
    low, high = float(images.min()), float(images.max())
    width = max(high - low, 1e-6)
    seen = torch.from_numpy((images - low) / width)
    for family in STANDARD:
        generator = torch.Generator().manual_seed(derive_seed(0, "export", family))
        altered, shown = altered_by(seen, family, generator)
        yield AlteredSlices(family, (low + width * altered).numpy(), neighbours, shown.numpy())
