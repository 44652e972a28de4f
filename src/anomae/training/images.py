"""Training images handed to the loop: kept on the device where they fit, else read one step ahead."""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

RESIDENT_BYTES = {"cpu": 1 << 30, "cuda": 16 << 30}


class Readable(Protocol):
    """Images that are read by index: anomae.slices.store.Slices, or anything like it."""

    def __len__(self) -> int: ...

    @property
    def image_size(self) -> tuple[int, int]:
        """(h, w) in pixels."""
        ...

    @property
    def channels(self) -> int:
        """C."""
        ...

    def read(self, indices: Any) -> npt.NDArray[np.float32]:
        """(k, c, h, w) float32."""
        ...


class ImageFeed:
    """Gives the images at some indices as a float32 tensor (k, c, h, w) on the device.

    Sets that fit into RESIDENT_BYTES (as float32) are read once and stay on the device; larger ones are read from the
    memory map each time, so memory does not grow with their number.
    """

    def __init__(self, images: Readable, device: torch.device) -> None:
        """Read the images once if they are few enough."""
        self.images, self.device = images, device
        height, width = images.image_size
        values = len(images) * images.channels * height * width
        resident = values * 4 <= RESIDENT_BYTES.get(device.type, 0)
        self._resident = torch.from_numpy(images.read(slice(None))).to(device) if resident else None

    def __call__(self, indices: npt.NDArray[np.int64]) -> Tensor:
        """Images (k, c, h, w) float32 at `indices`."""
        if self._resident is not None:
            return self._resident[torch.from_numpy(indices).to(self.device)]
        block = torch.from_numpy(self.images.read(indices))
        if self.device.type == "cuda":
            return block.pin_memory().to(self.device, non_blocking=True)
        return block
