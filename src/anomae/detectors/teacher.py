"""A frozen backbone as a detector uses it: chosen once, shown 8-bit pictures, kept with what was fitted."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomae.detectors.inference import USE_BATCH
from anomae.detectors.protocol import HealthySlices
from anomae.detectors.teacher_settings import TeacherSettings
from anomae.errors import UserError
from anomae.models.backbones.build import BACKBONES, draw_backbone
from anomae.models.backbones.weights import load_backbone
from anomae.seeds import derive_seed
from anomae.training.checkpoint import read_tensors, write_tensors

WINDOW_IMAGES, DRAW_IMAGES = 256, 16
FULL_BATCH_PIXELS = 256 * 256


class Teacher:
    """A backbone that is never trained, and the window of intensities in which it sees.

    description: what a table must say of it, such as "EfficientNet-Lite0, ImageNet (package)" or
    "WideResNet-50-2, random frozen".  channels: of each level.  size: (H, W) of the pictures it is shown.
    """

    def __init__(
        self,
        settings: TeacherSettings,
        strides: Sequence[int],
        image_size: tuple[int, int],
        window: tuple[float, float],
    ) -> None:
        """Builds the network, without weights yet: `of_normals` and `load` give them."""
        self.settings, self.image_size, self.window = settings, image_size, window
        self.backbone = BACKBONES[settings.backbone]
        network = self.backbone.build(strides).requires_grad_(False).eval()
        # With few channels a CPU convolves so in two thirds of the time (EfficientNet-Lite0, fp32 and bf16).
        self.network: nn.Module = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.channels = [self.backbone.channels[stride] for stride in strides]
        self.description = ""
        longer = max(image_size)
        height, width = (max(32, round(settings.input_size * side / longer / 32) * 32) for side in image_size)
        self.size = (height, width)

    @classmethod
    def of_normals(cls, settings: TeacherSettings, strides: Sequence[int], healthy: HealthySlices, seed: int) -> Self:
        """The teacher that `settings` name; its window is measured on at most 256 training normals, evenly spaced.

        Random weights depend on `seed`; their batch norms are measured on 16 normals.  Raises UserError where there is
        no normal, or no file of weights; MissingExtra where the extra that ships them is not installed.
        """
        if len(healthy) == 0:
            raise UserError("There is no healthy slice to learn from.")
        shown = healthy.read(np.unique(np.linspace(0, len(healthy) - 1, WINDOW_IMAGES).astype(np.int64)))
        low, high = (float(value) for value in np.percentile(shown, settings.percentiles))
        teacher = cls(settings, strides, healthy.image_size, (low, high if high > low else low + 1.0))
        if settings.weights == "random":
            few = torch.from_numpy(shown[np.linspace(0, len(shown) - 1, DRAW_IMAGES).astype(np.int64)])
            generator = torch.Generator().manual_seed(derive_seed(seed, "teacher", "weights"))
            draw_backbone(teacher.network, generator, teacher.pictures(few))
            teacher.description = f"{teacher.backbone.title}, random frozen"
        else:
            teacher.description = load_backbone(settings.backbone, settings.weights, teacher.network)
        return teacher

    def pictures(self, images: Tensor) -> Tensor:
        """Prepared images (B, h, w) -> what the network is shown, (B, 3, H, W): windowed, resized, normalised."""
        low, high = self.window
        grey = ((images.float() - low) * (255.0 / (high - low))).clamp(0.0, 255.0)
        if grey.shape[1:] != self.size:
            grey = F.interpolate(grey[:, None], self.size, mode="bilinear", antialias=True)[:, 0]
        return self.backbone.normalise(grey)

    def levels(self, images: Tensor) -> list[Tensor]:
        """Prepared images (B, h, w) -> the features at each stride, (B, C, H / stride, W / stride).

        Always in float32: in bfloat16 the distances to a memory of patches change their order (rank correlation 0.97).
        """
        self.network.to(images.device)
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            return self.network(self.pictures(images))  # type: ignore[no-any-return]

    def batch(self, device: torch.device) -> int:
        """Images a batch in use: fewer where they are shown larger, so that memory stays the same."""
        return max(1, min(USE_BATCH[device.type], USE_BATCH[device.type] * FULL_BATCH_PIXELS // math.prod(self.size)))

    def save(self, path: Path) -> None:
        """Write weights, window and description as one safetensors file."""
        facts = {"window": self.window, "image_size": self.image_size, "description": self.description}
        write_tensors(path, dict(self.network.state_dict()), facts)

    @classmethod
    def load(cls, path: Path, settings: TeacherSettings, strides: Sequence[int]) -> Self:
        """Read what `save` wrote.  Raises UserError where it is missing or broken."""
        tensors, facts = read_tensors(path)
        height, width = facts["image_size"]
        low, high = facts["window"]
        teacher = cls(settings, strides, (height, width), (low, high))
        teacher.network.load_state_dict(tensors)
        teacher.description = str(facts["description"])
        return teacher
