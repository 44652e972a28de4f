"""What the baselines that learn against a critic have in common: AnoVAEGAN and f-AnoGAN.

Defaults are the originals' numbers.  For small runs cut, in this order, the length (training.steps), the batch, the
critic's steps and the width.
"""

from typing import Self

from pydantic import Field, model_validator

from anomae.detectors.settings import Percentiles, Settings
from anomae.models.gan.wasserstein import SlopeOf
from anomae.training.settings import Beta, DeviceSettings


class Length(Settings):
    """How long a training is: exactly one of epochs and steps, and how many images a loss is taken over."""

    epochs: float | None = Field(default=None, gt=0)
    steps: int | None = Field(default=None, gt=0)
    batch: int = Field(gt=0)

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give exactly one of epochs and steps (set the other to none)")
        return self

    def total_steps(self, count: int, taken: int) -> int:
        """Steps for `count` images of which each step takes `taken`."""
        return self.steps if self.steps is not None else max(1, round((self.epochs or 0) * count / taken))


class AdversarialSettings(Settings):
    """What both have; numbers of DEN's code."""

    width: int = Field(default=32, ge=8, description="channels of the first convolution")
    latent: int = Field(default=128, gt=0, description="numbers that an image is squeezed into")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="share of them left out in training")
    critic_steps: int = Field(default=5, gt=0, description="of the critic, for each step of the generator")
    penalty_weight: float = Field(default=10.0, ge=0)
    slope_of: SlopeOf = Field(default="sample", description="'columns': the gradient penalty of DEN's code")
    lr: float = Field(default=1e-4, gt=0)
    betas: tuple[Beta, Beta] = Field(default=(0.5, 0.9), description="of Adam")
    training: Length = Length(epochs=20, batch=128)
    percentiles: Percentiles = Field(
        default=(0.1, 99.9), description="of the training pixels: the range of prepared intensities that networks see"
    )
    device: DeviceSettings = DeviceSettings()
