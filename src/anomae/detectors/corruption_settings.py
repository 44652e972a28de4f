"""The settings of the methods that learn to undo what was done to healthy images: denoising autoencoder and DRAEM.

Defaults are the originals' numbers, as far as their papers and released codes are known to us.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from anomae.detectors.settings import Percentiles, Settings
from anomae.training.settings import DeviceSettings, TrainingSettings


class CorruptionSettings(Settings):
    """What both have."""

    halvings: int = Field(default=3, gt=0, description="levels below the first; sides are multiples of 2^halvings")
    tissue: float = Field(
        default=0.08,
        ge=0,
        lt=1,
        description="share of the network's range above which is tissue, the only place where something is changed",
    )
    percentiles: Percentiles = Field(
        default=(0.1, 99.9), description="of the training pixels: the range of prepared intensities that networks see"
    )
    device: DeviceSettings = DeviceSettings()


class DenoisingSettings(CorruptionSettings):
    """The denoising autoencoder with coarse noise (Kascenas et al. 2022).

    For a small run: width=16, training.steps=1500, training.batch=8, training.lr=0.001.
    """

    width: int = Field(default=128, ge=4, multiple_of=4, description="channels of the first level")
    noise_cells: int = Field(default=16, gt=0, description="noise drawn along the longer side, then enlarged")
    noise_std: float = Field(default=0.2, gt=0, description="in the network's range 0..1")
    median: int = Field(default=5, gt=0, description="side of the median filter of the map, pixels, odd; 1: none")
    score: Literal["top", "peak", "mean"] = Field(
        default="top", description="mean of the map's highest `top_share`, its maximum, or its mean"
    )
    top_share: float = Field(default=0.01, gt=0, le=1, description="of the pixels")
    training: TrainingSettings = TrainingSettings(steps=67_200, batch=16, lr=1e-4, weight_decay=1e-5)

    @model_validator(mode="after")
    def _odd(self) -> Self:
        if self.median % 2 == 0:
            raise ValueError("median must be odd")
        return self


class DraemSettings(CorruptionSettings):
    """DRAEM (Zavrtanik et al. 2021), with other textures.

    For a small run: width=8, segmentation_width=8, halvings=3, training.steps=1500, training.lr=0.001.
    """

    halvings: int = Field(default=4, gt=0, description="levels below the first; sides are multiples of 2^halvings")
    width: int = Field(
        default=128, ge=4, multiple_of=4, description="channels of the reconstructive network's first level"
    )
    segmentation_width: int = Field(default=64, ge=4, multiple_of=4, description="the same of the segmentation network")
    anomalous: float = Field(default=0.5, gt=0, le=1, description="share of the samples that get an anomaly")
    most_seen: float = Field(default=0.8, ge=0, lt=1, description="of the image through the texture, beta's upper end")
    gamma: float = Field(default=2.0, ge=0, description="of the focal loss")
    score: Literal["max", "mean"] = Field(default="max", description="of the smoothed map")
    training: TrainingSettings = TrainingSettings(epochs=700, batch=8, lr=1e-4, weight_decay=0.0)
