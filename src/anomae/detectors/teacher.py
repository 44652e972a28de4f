"""A frozen backbone as a detector uses it: chosen once, shown 8-bit pictures, kept with what was fitted."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomae.detectors.inference import USE_BATCH
from anomae.detectors.protocol import HealthySlices
from anomae.detectors.teacher_settings import TeacherSettings
from anomae.errors import UserError
from anomae.models.backbones.build import BACKBONES, Backbone, draw_backbone
from anomae.models.backbones.weights import load_backbone
from anomae.seeds import derive_seed
from anomae.training.checkpoint import put_weights, read_tensors, write_tensors
from anomae.training.settings import DeviceSettings, TrainingSettings

WINDOW_IMAGES, DRAW_IMAGES = 256, 16
FULL_BATCH_PIXELS = 256 * 256


@dataclass(frozen=True, slots=True, eq=False)
class Teacher:
    """A backbone that is never trained, and the window of intensities in which it sees each channel.

    It is shown every channel as a grey picture of its own; the features of the channels are concatenated.

    strides: of the levels that it gives.  image_size: (h, w) of the prepared images.  windows: of each channel the
    intensities that become 0 and 255.  description: what a table must say of it, such as
    "EfficientNet-Lite0, ImageNet (package)" or "WideResNet-50-2, random frozen".
    """

    settings: TeacherSettings
    strides: tuple[int, ...]
    image_size: tuple[int, int]
    windows: tuple[tuple[float, float], ...]
    network: nn.Module
    description: str

    @classmethod
    def of_normals(cls, settings: TeacherSettings, strides: Sequence[int], healthy: HealthySlices, seed: int) -> Self:
        """The teacher that `settings` name; its windows are measured on at most 256 training normals, evenly spaced.

        Random weights depend on `seed`; their batch norms are measured on 16 normals.  Raises UserError where there is
        no normal, or no file of weights; MissingExtra where the extra that ships them is not installed.
        """
        if len(healthy) == 0:
            raise UserError("There is no healthy slice to learn from.")
        shown = healthy.read(np.unique(np.linspace(0, len(healthy) - 1, WINDOW_IMAGES).astype(np.int64)))
        windows = []
        for channel in range(healthy.channels):
            low, high = (float(value) for value in np.percentile(shown[:, channel], settings.percentiles))
            windows.append((low, high if high > low else low + 1.0))
        network, backbone = _network(settings, strides), BACKBONES[settings.backbone]
        teacher = cls(settings, tuple(strides), healthy.image_size, tuple(windows), network, "")
        if settings.weights == "random":
            few = torch.from_numpy(shown[np.linspace(0, len(shown) - 1, DRAW_IMAGES).astype(np.int64)])
            generator = torch.Generator().manual_seed(derive_seed(seed, "teacher", "weights"))
            draw_backbone(network, generator, teacher.pictures(few))
            description = f"{backbone.title}, random frozen"
        else:
            description = load_backbone(settings.backbone, settings.weights, network, "teacher.")
        return cls(settings, tuple(strides), healthy.image_size, tuple(windows), network, description)

    @property
    def backbone(self) -> Backbone:
        """What is known of the network."""
        return BACKBONES[self.settings.backbone]

    @property
    def channels(self) -> int:
        """C of the prepared images."""
        return len(self.windows)

    @property
    def widths(self) -> list[int]:
        """Of each level: features at a position, those of all channels together."""
        return [self.channels * self.backbone.channels[stride] for stride in self.strides]

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the pictures it is shown."""
        longer = max(self.image_size)
        height, width = (max(32, round(self.settings.input_size * side / longer / 32) * 32) for side in self.image_size)
        return (height, width)

    def pictures(self, images: Tensor) -> Tensor:
        """Prepared images (B, c, h, w) -> what the network is shown, (B * c, 3, H, W): windowed, resized, normalised.

        The channels of an image follow each other.
        """
        low = torch.tensor([window[0] for window in self.windows], device=images.device)[:, None, None]
        factor = [255.0 / (high - low) for low, high in self.windows]
        scale = torch.tensor(factor, device=images.device)[:, None, None]
        grey = ((images.float() - low) * scale).clamp(0.0, 255.0).flatten(0, 1)  # (B * c, h, w)
        if grey.shape[1:] != self.size:
            grey = F.interpolate(grey[:, None], self.size, mode="bilinear", antialias=True)[:, 0]
        return self.backbone.normalise(grey)

    def levels(self, images: Tensor) -> list[Tensor]:
        """Prepared images (B, c, h, w) -> the features at each stride, (B, c * C, H / stride, W / stride).

        Always in float32: in bfloat16 the distances to a memory of patches change their order (rank correlation 0.97).
        """
        self.network.to(images.device)
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            levels: list[Tensor] = self.network(self.pictures(images))  # (B * c, C, H / stride, W / stride) each
        if self.channels == 1:
            return levels
        return [level.reshape(-1, self.channels * level.shape[1], *level.shape[2:]) for level in levels]

    def batch(self, device: torch.device) -> int:
        """Images a batch in use: fewer where they are shown larger or in more channels, so that memory stays the same.

        Those of a batch that are shown smaller than 256 x 256 are not more.
        """
        full = USE_BATCH[device.type]
        return max(1, min(full, full * FULL_BATCH_PIXELS // (self.channels * math.prod(self.size))))

    def refuse_one_position(self, setting: str, training: TrainingSettings, device: DeviceSettings) -> None:
        """Raises UserError where a batch norm would see one position of stride 32 at a time: it has no spread.

        setting: the dotted name of `training`.
        """
        at_once = training.batch // (device.devices * device.nodes * training.accumulate)
        if at_once * math.prod(side // 32 for side in self.size) == 1:
            raise UserError(
                f"One image of {self.size[0]}x{self.size[1]} pixels at a time is one position at stride 32, and a "
                f"batch norm needs two; set a larger {setting}.batch or teacher.input_size."
            )

    def facts(self) -> dict[str, Any]:
        """What a detector's settings.json says of the images, and of the teacher."""
        return {"channels": self.channels, "image_size": list(self.image_size), "teacher": self.description}

    def save(self, path: Path) -> None:
        """Write weights, windows and description as one safetensors file."""
        facts = {"windows": self.windows, "image_size": self.image_size, "description": self.description}
        write_tensors(path, dict(self.network.state_dict()), facts)

    @classmethod
    def load(cls, path: Path, settings: TeacherSettings, strides: Sequence[int]) -> Self:
        """Read what `save` wrote.  Raises UserError where it is missing or broken."""
        tensors, facts = read_tensors(path)
        height, width = facts["image_size"]
        windows = tuple((float(low), float(high)) for low, high in facts["windows"])
        network = _network(settings, strides)
        put_weights(path, network, tensors)
        return cls(settings, tuple(strides), (height, width), windows, network, str(facts["description"]))


def _network(settings: TeacherSettings, strides: Sequence[int]) -> nn.Module:
    """The network, without weights yet."""
    network = BACKBONES[settings.backbone].build(strides).requires_grad_(False).eval()
    # With few channels a CPU convolves so in two thirds of the time (EfficientNet-Lite0, fp32 and bf16).
    return network.to(memory_format=torch.channels_last)  # type: ignore[no-any-return, call-overload]
