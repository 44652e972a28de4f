"""Healthy slices with pseudo-lesions, for every detector: what is to be above thresholds in bf16 and int8 too."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from anomae.detectors.anomae.samples import altered_by
from anomae.models.pseudo_lesions.families import STANDARD
from anomae.seeds import derive_seed

Images = npt.NDArray[np.float32]


def with_lesions(
    fitted: Any, images: Images, neighbours: Images | None = None
) -> Iterator[tuple[str, Images, Images | None]]:
    """A family, healthy images (n, c, h, w) with one lesion of it each, and their neighbours (n, 2, c, h, w); in turn.

    Those of the detector's pretext task where it draws such images; else of the standard families, in the range of
    `images`, the neighbours as they were.
    """
    if hasattr(fitted, "pretext_images"):
        yield from fitted.pretext_images(images, neighbours)
        return
    low, high = float(images.min()), float(images.max())
    width = max(high - low, 1e-6)
    seen = torch.from_numpy((images - low) / width)
    for family in STANDARD:
        generator = torch.Generator().manual_seed(derive_seed(0, "export", family))
        yield family, (low + width * altered_by(seen, family, generator)).numpy(), neighbours
