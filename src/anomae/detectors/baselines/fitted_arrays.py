"""What a detector without a network leaves: named arrays, the mean image among them, and how they are kept on disk."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel

from anomae.detectors.fitted_networks import saved_shape
from anomae.detectors.inference import check_images
from anomae.detectors.protocol import Images4
from anomae.errors import UserError
from anomae.files import read_json, write_json
from anomae.slices.measures import image_mean
from anomae.training.checkpoint import read_tensors, write_tensors

AnySettings = TypeVar("AnySettings", bound=BaseModel)


@dataclass(frozen=True, slots=True, eq=False)
class FittedArrays:
    """Arrays float32 by name, `mean` (c, h, w) among them, and the seed of the fit."""

    arrays: Mapping[str, npt.NDArray[np.float32]]
    seed: int

    @property
    def mean(self) -> npt.NDArray[np.float32]:
        """The mean healthy image, (c, h, w)."""
        return self.arrays["mean"]

    def check(self, images: Images4) -> None:
        """Raises UserError for images unlike those that were fitted on."""
        channels, height, width = self.mean.shape
        check_images(images, channels, (height, width))

    def means(self, count: int) -> Images4:
        """The mean image `count` times, (count, c, h, w)."""
        return np.repeat(self.mean[None], count, axis=0)

    def save(self, folder: Path, detector: str, settings: BaseModel) -> None:
        """Write arrays.safetensors and, last, settings.json."""
        tensors = {name: torch.from_numpy(array) for name, array in self.arrays.items()}
        write_tensors(folder / "arrays.safetensors", tensors)
        channels, height, width = self.mean.shape
        shape = {"image_size": [height, width], "channels": channels}
        content = {"seed": self.seed, **shape, "settings": settings.model_dump(mode="json")}
        write_json(folder / "settings.json", {"detector": detector, **content})

    @classmethod
    def load(cls, folder: Path, kind: type[AnySettings]) -> tuple[AnySettings, Self]:
        """Settings, of `kind`, and arrays.  Raises UserError where something is missing or broken."""
        content = read_json(folder / "settings.json")
        channels, size = saved_shape(folder, content)
        tensors, _ = read_tensors(folder / "arrays.safetensors")
        whole = "mean" in tensors and tensors["mean"].shape == (channels, *size)
        if not whole or any(tensor.dtype != torch.float32 for tensor in tensors.values()):
            raise UserError(
                f"{folder / 'arrays.safetensors'} is damaged: it holds other arrays than settings.json says; copy it "
                "again, or fit anew."
            )
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        return kind.model_validate(content["settings"]), cls(arrays, int(content["seed"]))


def mean_of_values(values: Images4) -> npt.NDArray[np.float64]:
    """Of images (n, c, h, w) the mean over channels and pixels, (n,); none depends on the others."""
    count, channels, height, width = values.shape
    return image_mean(values.reshape(count, channels * height, width))
