"""A teacher's features of training images, taken once where they fit into memory, as the teacher never changes."""

from operator import mul

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from anomae.detectors.protocol import HealthySlices
from anomae.detectors.teacher import Teacher
from anomae.progress import progress
from anomae.training.images import RESIDENT_BYTES, ImageFeed


class TeacherFeed:
    """Gives the levels (k, C, H / stride, W / stride), float32, of the images at some indices, on the device.

    Those of all images are taken at the beginning and stay on the device where they fit into RESIDENT_BYTES; else they
    are taken each time, so memory does not grow with the number of images.  The same numbers either way.
    """

    def __init__(self, teacher: Teacher, healthy: HealthySlices, device: torch.device) -> None:
        """Take them, with progress, if they fit."""
        self.teacher, self.device = teacher, device
        height, width = teacher.size
        sides = [(height // stride) * (width // stride) for stride in teacher.strides]
        values = len(healthy) * sum(map(mul, teacher.widths, sides))
        self._kept: list[Tensor] | None = None
        if values * 4 <= RESIDENT_BYTES.get(device.type, 0):
            self._kept = self._taken(healthy)
        else:
            self._images = ImageFeed(healthy, device)

    def __call__(self, indices: npt.NDArray[np.int64]) -> list[Tensor]:
        """As the class says."""
        if self._kept is None:
            return self.teacher.levels(self._images(indices))
        chosen = torch.from_numpy(indices).to(self.device)
        levels = [level[chosen].permute(0, 3, 1, 2) for level in self._kept]
        return levels if self.teacher.channels == 1 else [level.contiguous() for level in levels]

    def _taken(self, healthy: HealthySlices) -> list[Tensor]:
        """Of each level (n, h, w, C): laid out as the network gives them, since sums round by the layout."""
        size = self.teacher.batch(self.device)
        kept: list[Tensor] = []
        with progress("features of healthy slices", len(healthy), "slices", 0) as bar:
            for start in range(0, len(healthy), size):
                rows = np.minimum(np.arange(start, start + size), len(healthy) - 1)  # a batch is always full
                found = self.teacher.levels(torch.from_numpy(healthy.read(rows)).to(self.device))
                found = [level.permute(0, 2, 3, 1) for level in found]
                kept = kept or [torch.empty(len(healthy), *level.shape[1:], device=self.device) for level in found]
                taken = min(size, len(healthy) - start)
                for level, of_rows in zip(kept, found, strict=True):
                    level[start : start + taken] = of_rows[:taken]
                bar.advance(taken)
        return kept
