"""What a fit of several networks leaves: the networks, the scale they see images in, and how both are kept on disk."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel
from torch import Tensor, nn

from anomae.detectors.fitted_scale import FittedScale
from anomae.detectors.inference import check_images, in_fixed_batches, in_use
from anomae.detectors.protocol import HealthySlices, Images4
from anomae.errors import UserError
from anomae.files import read_json, write_json
from anomae.seeds import derive_seed
from anomae.training.checkpoint import load_checkpoints, save_checkpoints
from anomae.training.settings import DeviceSettings

# (h, w), channels, generator of the weights -> networks by name
Build = Callable[[tuple[int, int], int, torch.Generator], dict[str, nn.Module]]

AnySettings = TypeVar("AnySettings", bound=BaseModel)


@dataclass(frozen=True, slots=True, eq=False)
class FittedNetworks:
    """Networks by name, the scale of their images, the images' (h, w) and channels, and the seed of the fit."""

    networks: dict[str, nn.Module]
    scale: FittedScale
    image_size: tuple[int, int]
    channels: int
    seed: int

    @classmethod
    def begun(
        cls,
        detector: str,
        healthy: HealthySlices,
        build: Build,
        *,
        percentiles: tuple[float, float],
        lowest: float = 0.0,
        seed: int,
    ) -> Self:
        """Networks with their first weights, to be trained in place, and the scale measured on the healthy slices.

        Raises UserError where there is nothing to learn from, and what `build` raises.
        """
        if len(healthy) == 0:
            raise UserError("There is no healthy slice to learn from.")
        weights = torch.Generator().manual_seed(derive_seed(seed, detector, "weights"))
        networks = build(healthy.image_size, healthy.channels, weights)
        scale = FittedScale.measured(healthy, percentiles, lowest)
        return cls(networks, scale, healthy.image_size, healthy.channels, seed)

    def apply(
        self,
        images: Images4,
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
        shape = {"image_size": list(self.image_size), "channels": self.channels}
        content = {"scale": asdict(self.scale), "settings": settings.model_dump(mode="json")}
        write_json(folder / "settings.json", {"detector": detector, "seed": self.seed, **shape, **content})

    @classmethod
    def load(cls, folder: Path, content: dict[str, Any], build: Build) -> Self:
        """Read what `save` wrote; content: of settings.json.  Raises UserError where the weights are missing."""
        channels, image_size = saved_shape(folder, content)
        networks = build(image_size, channels, torch.Generator().manual_seed(0))
        load_checkpoints(folder / "weights.safetensors", networks, {})
        low, high = (tuple(content["scale"][name]) for name in ("low", "high"))
        scale = FittedScale(low, high, content["scale"]["lowest"])
        return cls(networks, scale, image_size, channels, int(content["seed"]))


def load_networks(
    folder: Path, kind: type[AnySettings], building: Callable[[AnySettings], Build], device: DeviceSettings | None
) -> tuple[AnySettings, FittedNetworks]:
    """The settings and the networks that `save` wrote; kind: of the settings, whose key `device` becomes `device`.

    Raises UserError where something is missing or broken.
    """
    content = read_json(folder / "settings.json")
    settings = kind.model_validate(content["settings"]).model_copy(update={"device": device or DeviceSettings()})
    return settings, FittedNetworks.load(folder, content, building(settings))


def saved_shape(folder: Path, content: dict[str, Any]) -> tuple[int, tuple[int, int]]:
    """Channels and (h, w) of the images that were fitted on; content: of settings.json.

    Raises UserError where it does not say so: fitted by a version whose images had no channels.
    """
    if "channels" not in content:
        raise UserError(f"{folder} was fitted by a version whose images had no channels; fit anew.")
    height, width = content["image_size"]
    return int(content["channels"]), (height, width)


def named_scores(measured: npt.NDArray[np.float32], names: Sequence[str]) -> dict[str, npt.NDArray[np.float64]]:
    """Columns (n, k) by their k names, (n,) float64 each."""
    return dict(zip(names, measured.astype(np.float64).T, strict=True))
