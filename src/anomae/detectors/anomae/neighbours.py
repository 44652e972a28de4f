"""The source `neighbours`: what a patch has that the slices below and above have not.

Where a detector looks at neighbours, images (B, c, h, w) travel as stacks (B, 3, c, h, w): on the second axis the
slice, the one below and the one above.  The neighbours alone are (B, 2, c, h, w).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from anomae.detectors.anomae.sources import Source, View
from anomae.detectors.anomae.window import Window
from anomae.detectors.checked_images import stacked
from anomae.detectors.protocol import HealthySlices


class Neighbours:
    """Every channel of some sources minus its mean in the slices below and above."""

    def __init__(self, sources: Sequence[Source]) -> None:
        """sources: those whose channels are compared."""
        self.sources = sources

    def of(self, view: View) -> Tensor:
        """As many channels as the sources have; 0 where a slice stands for its own neighbours."""
        here = self._channels(view)
        if view.beside is None:
            return torch.zeros_like(here)
        # one side at a time: batches as large as that of the slices, so that the same image has the same channels
        below, above = (
            self._channels(View(view.images, side.contiguous(), view.grid)) for side in view.beside.unbind(1)
        )
        return here - (below + above) / 2

    def _channels(self, view: View) -> Tensor:
        return torch.cat([source.of(view).float() for source in self.sources], dim=1)


def apart(images: Tensor) -> tuple[Tensor, Tensor | None]:
    """Slices (B, c, h, w), with None; or stacks as slices (B, c, h, w) and their neighbours (B, 2, c, h, w)."""
    return (images, None) if images.ndim == 4 else (images[:, 0].contiguous(), images[:, 1:])


def read_seen(healthy: HealthySlices, window: Window, indices: npt.NDArray[np.int64], beside: bool) -> Tensor:
    """Healthy images at `indices` as 0..1, (k, c, h, w); beside: as stacks with their neighbours."""
    images = stacked(healthy.read(indices), healthy.neighbours(indices) if beside else None)
    return window.seen(torch.from_numpy(images))
