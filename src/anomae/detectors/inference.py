"""Networks in use: the device, the precision, and batches of one fixed size so that no score depends on its batch."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from anomae.errors import UserError
from anomae.training.devices import chosen_device, chosen_precision
from anomae.training.settings import DeviceSettings

USE_BATCH = {"cpu": 16, "cuda": 128}


def check_images(images: npt.NDArray[np.float32], channels: int, image_size: tuple[int, int]) -> None:
    """Raises UserError, one sentence, where `images` are not (n, c, h, w) as fitted, are none, or not all finite."""
    if images.ndim != 4:
        raise UserError(f"Images are (n, channels, height, width); these have the shape {images.shape}.")
    if len(images) == 0:
        raise UserError("There is no image to look at (n is 0).")
    if images.shape[1] != channels:
        raise UserError(f"This detector was fitted on {channels} channel(s); these images have {images.shape[1]}.")
    if images.shape[2:] != tuple(image_size):
        raise UserError(
            f"This detector was fitted on images of {image_size[0]}x{image_size[1]} pixels; these have "
            f"{images.shape[2]}x{images.shape[3]}: prepare them alike."
        )
    if not np.isfinite(images).all():
        raise UserError("The images hold values that are not finite (NaN or infinity); prepare them anew.")


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
    function: Callable[[Tensor, npt.NDArray[np.float32]], tuple[Tensor, ...]],
    size: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> tuple[npt.NDArray[Any], ...]:
    """Apply `function` to batches of exactly one size (the last is filled up with copies) and join what it gives.

    Matrix kernels may round differently for another number of rows; with the number fixed, an image's outcome is the
    same alone, in any company and in any order.  function(tensor (b, c, h, w) on the device, the same images as
    numpy) gives tensors whose first axis is the batch.  size: of a batch; None: USE_BATCH of the device.
    dtype: of what comes back.
    """
    size = size or USE_BATCH[device.type]
    parts: list[tuple[npt.NDArray[Any], ...]] = []
    for start in range(0, len(images), size):
        block = np.asarray(images[start : start + size], dtype=np.float32)
        short = size - len(block)
        full = np.concatenate([block, np.repeat(block[-1:], short, axis=0)]) if short else block
        given = function(torch.from_numpy(np.ascontiguousarray(full)).to(device), full)
        parts.append(tuple(tensor[: len(block)].to(dtype).cpu().numpy() for tensor in given))
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))
