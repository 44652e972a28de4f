"""The settings of DRAEM; defaults are its authors' numbers, as far as they are known to us."""

from typing import Literal

from pydantic import Field

from anomae.detectors.corruption_settings import CorruptionSettings
from anomae.training.settings import TrainingSettings


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
