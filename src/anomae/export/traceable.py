"""A fitted detector cut into networks that can be traced, and what a runner without torch is to do with them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomae.detectors.pretext import pretext_scores
from anomae.inference.exported.detector import ExportedDetector

Images = npt.NDArray[np.float32]
# The exported detector, healthy images (n, c, h, w), their neighbours or None -> family -> scores (n,) of altered ones
Pretext = Callable[[ExportedDetector, Images, Images | None], dict[str, npt.NDArray[np.float64]]]

EXACT = {"bf16": "fp32", "int8": "fp32"}

# Of a chain of networks: name, module, names of inputs and outputs, and `computed_in` of the network
Step = tuple[str, nn.Module, Sequence[str], Sequence[str], Mapping[str, str]]

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


def traced_in_turn(steps: Sequence[Step], known: Mapping[str, Tensor]) -> dict[str, TraceableNetwork]:
    """The networks of `steps` by name, each with what those before it made as its example.

    known: examples of what is given from outside, by name.
    """
    networks: dict[str, TraceableNetwork] = {}
    made: dict[str, Tensor] = dict(known)
    with torch.no_grad():
        for name, module, inputs, outputs, computed_in in steps:
            examples = {entry: made[entry] for entry in inputs}
            networks[name] = TraceableNetwork(module, examples, tuple(outputs), computed_in=computed_in)
            given = module(*examples.values())
            made |= dict(zip(outputs, given if isinstance(given, tuple) else (given,), strict=True))
    return networks


def altered_slices(fitted: Any) -> Pretext:
    """The pretext task of a detector that has `pretext_images`: lesions drawn by torch, slices judged by the engine."""

    def judged(
        exported: ExportedDetector, images: Images, neighbours: Images | None
    ) -> dict[str, npt.NDArray[np.float64]]:
        return pretext_scores(exported.inspect, fitted.pretext_images(images, neighbours))

    return judged


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
