"""A fitted detector cut into networks that can be traced, and what a runner without torch is to do with them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomae.inference.exported.detector import ExportedDetector

Images = npt.NDArray[np.float32]
# The exported detector, healthy images (n, c, h, w), their neighbours or None -> family -> scores (n,) of altered ones
Pretext = Callable[[ExportedDetector, Images, Images | None], dict[str, npt.NDArray[np.float64]]]

EXACT = {"bf16": "fp32", "int8": "fp32"}

Linear = Callable[[Tensor, Any], Tensor]  # (B, C, h, w), (H, W) -> (B, C, H, W)


@dataclass(frozen=True, slots=True)
class TraceableNetwork:
    """A module of static passes whose inputs and outputs have the batch as their first axis.

    inputs: name of each argument, in order -> an example.  outputs: names.  rows: of the batch for each image.
    computed_in: a precision that is asked for -> the one that this network is computed in then, where it is another:
    what it makes, such as a variance, would lose more than it costs.  eight_bit: ONNX operators that int8 quantises.
    """

    module: nn.Module
    inputs: Mapping[str, Tensor]
    outputs: tuple[str, ...]
    rows: int = 1
    computed_in: Mapping[str, str] = field(default_factory=dict)
    eight_bit: tuple[str, ...] = ("Conv",)


@dataclass(frozen=True, slots=True)
class Traceable:
    """networks: by name.  runner: what anomae.inference.exported.runners is told.  batch: images at a time in use.

    pretext: the scores of the pretext task as the exported networks give them; None: the detector has no such task.
    """

    networks: Mapping[str, TraceableNetwork]
    runner: Mapping[str, Any]
    batch: int
    pretext: Pretext | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


class Resize(nn.Module):
    """Pictures brought to another size by two fixed matrices: what `F.interpolate` or a pooling does, exactly traced.

    Engines differ in how they resize, and antialiasing is new to them; a product of matrices is the same everywhere.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, before: tuple[int, int], after: tuple[int, int], function: Linear):
        """function: (1, 1, h, w), (H, W) -> (1, 1, H, W), linear, on each axis by itself."""
        super().__init__()
        (height, width), (new_height, new_width) = before, after
        down = function(torch.eye(height)[None, None], (new_height, height))[0, 0]  # (H, h)
        across = function(torch.eye(width)[None, None], (width, new_width))[0, 0]  # (w, W)
        self.register_buffer("rows", down.contiguous())
        self.register_buffer("columns", across.contiguous())

    def forward(self, pictures: Tensor) -> Tensor:
        """(..., h, w) -> (..., H, W)."""
        return self.rows @ (pictures @ self.columns)


def interpolation(mode: str, *, antialias: bool = False, align_corners: bool = False) -> Linear:
    """`F.interpolate` as `Resize` takes it."""
    return lambda pictures, size: F.interpolate(
        pictures, size, mode=mode, antialias=antialias, align_corners=align_corners
    )
