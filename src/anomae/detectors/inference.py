"""Networks in use: the device, the precision, and batches of one fixed size so that no score depends on its batch."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from anomae.detectors.batch_threads import each_at_once
from anomae.detectors.checked_images import check_images
from anomae.training.devices import chosen_device, chosen_precision
from anomae.training.settings import DeviceSettings

__all__ = ["USE_BATCH", "check_images", "in_fixed_batches", "in_use"]

USE_BATCH = {"cpu": 16, "cuda": 128}


@contextmanager
def in_use(settings: DeviceSettings) -> Iterator[torch.device]:
    """No gradients, the precision that `settings` choose; gives the device."""
    kind = chosen_device(settings)
    bf16 = chosen_precision(settings) == "bf16"
    with torch.inference_mode(), torch.autocast(kind, dtype=torch.bfloat16, enabled=bf16):
        yield torch.device(kind)


def in_fixed_batches(
    images: npt.NDArray[np.float32],
    device: torch.device,
    function: Callable[..., tuple[Tensor, ...]],
    size: int | None = None,
    dtype: torch.dtype = torch.float32,
    along: npt.NDArray[Any] | None = None,
) -> tuple[npt.NDArray[Any], ...]:
    """Apply `function` to batches of exactly one size (the last is filled up with copies) and join what it gives.

    Matrix kernels may round differently for another number of rows; with the number fixed, an image's outcome is the
    same alone, in any company and in any order.  On a CPU batches are done side by side, so `function` must be able to
    run in several threads.  function(tensor (b, c, h, w) on the device, the same images as
    numpy) gives tensors whose first axis is the batch.  size: of a batch; None: USE_BATCH of the device.
    dtype: of what comes back.  along: something of each image, (n, ...), whose rows `function` takes as a third
    argument; None: it takes none.
    """
    size = size or USE_BATCH[device.type]

    def given(start: int) -> tuple[npt.NDArray[Any], ...]:
        full = filled(np.asarray(images[start : start + size], dtype=np.float32))
        further = () if along is None else (filled(along[start : start + size]),)
        found = function(torch.from_numpy(np.ascontiguousarray(full)).to(device), full, *further)
        return tuple(tensor[: len(images) - start].to(dtype).cpu().numpy() for tensor in found)

    def filled(block: npt.NDArray[Any]) -> npt.NDArray[Any]:
        short = size - len(block)
        return np.concatenate([block, np.repeat(block[-1:], short, axis=0)]) if short else block

    pixels = size * math.prod(images.shape[-2:])
    parts = list(each_at_once(given, range(0, len(images), size), device, pixels))
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))
