"""The settings of the denoising autoencoder; defaults are its authors' numbers, as far as they are known to us."""

from typing import Literal, Self

from pydantic import Field, model_validator

from anomae.detectors.corruption_settings import CorruptionSettings
from anomae.training.settings import TrainingSettings


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
