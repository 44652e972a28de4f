"""What a fit of several networks leaves: the networks, the scale they see images in, and how both are kept on disk."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel
from torch import Tensor, nn

from anomae.detectors.baselines.fitted_scale import FittedScale
from anomae.detectors.inference import check_images, in_fixed_batches, in_use
from anomae.files import write_json
from anomae.training.checkpoint import load_checkpoints, save_checkpoints
from anomae.training.settings import DeviceSettings

# (h, w), channels, generator of the weights -> networks by name
Build = Callable[[tuple[int, int], int, torch.Generator], dict[str, nn.Module]]


@dataclass(frozen=True, slots=True)
class FittedNetworks:
    """Networks by name, the scale of their images, the images' (h, w) and channels, and the seed of the fit."""

    networks: dict[str, nn.Module]
    scale: FittedScale
    image_size: tuple[int, int]
    channels: int
    seed: int

    def apply(
        self,
        images: npt.NDArray[np.float32],
        device: DeviceSettings,
        function: Callable[[Tensor, npt.NDArray[np.float32]], tuple[Tensor, ...]],
    ) -> tuple[npt.NDArray[np.float32], ...]:
        """What `function` gives for images (n, c, h, w), as `in_fixed_batches` has it; always in fp32, as was trained.

        Raises UserError for images unlike those that were fitted on.
        """
        check_images(images, self.channels, self.image_size)
        with in_use(device.model_copy(update={"precision": "fp32"})) as used:
            for network in self.networks.values():
                network.to(used).eval()
            return in_fixed_batches(images, used, function)

    def save(self, folder: Path, detector: str, settings: BaseModel) -> None:
        """Write weights.safetensors and, last, settings.json."""
        save_checkpoints(folder / "weights.safetensors", self.networks, {}, {})
        facts = {
            "detector": detector,
            "seed": self.seed,
            "image_size": list(self.image_size),
            "channels": self.channels,
        }
        content = {
            "image_size": list(self.image_size),
            "scale": asdict(self.scale),
            "settings": settings.model_dump(mode="json"),
        }
        write_json(folder / "settings.json", {**facts, **content})

    @classmethod
    def load(cls, folder: Path, content: dict[str, Any], build: Build) -> Self:
        """Read what `save` wrote; content: of settings.json.  Raises UserError where the weights are missing."""
        height, width = content["image_size"]
        networks = build((height, width), int(content["channels"]), torch.Generator().manual_seed(0))
        load_checkpoints(folder / "weights.safetensors", networks, {})
        return cls(
            networks, FittedScale(**content["scale"]), (height, width), int(content["channels"]), int(content["seed"])
        )
