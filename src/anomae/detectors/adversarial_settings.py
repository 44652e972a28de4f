"""The settings of the baselines that learn against a critic: AnoVAEGAN and f-AnoGAN.

Defaults are the originals' numbers.  For small runs cut, in this order, the length (training.steps), the batch, the
critic's steps and the width.
"""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from anomae.detectors.settings import Percentiles, Settings
from anomae.models.gan.wasserstein import SlopeOf
from anomae.training.settings import DeviceSettings

Residual = Literal["mae", "mse", "positive", "peak"]


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
    betas: tuple[float, float] = Field(default=(0.5, 0.9), description="of Adam")
    training: Length = Length(epochs=20, batch=128)
    percentiles: Percentiles = Field(
        default=(0.1, 99.9), description="of the training pixels: the range of prepared intensities that networks see"
    )
    device: DeviceSettings = DeviceSettings()


class AnoVaeGanSettings(AdversarialSettings):
    """AnoVAEGAN as in DEN's notebook: Adam 1e-4, 20 epochs of batches of 128 (its run.py: 1,000 of 8)."""

    dropout_on: Literal["mu", "both"] = Field(
        default="mu", description="'both', as DEN: a log sigma that is left out makes a sigma of 1"
    )
    test_latent: Literal["mean", "sample"] = Field(
        default="mean", description="'sample', as DEN: z is drawn in use too, here by the image itself"
    )
    score: Residual = Field(default="mae", description="DEN has no score of an image; mae is its L1 error by pixel")


# What differs where the method's own authors are followed.
SCHLEGL: dict[str, Any] = {
    "width": 64,
    "dropout": 0.0,
    "betas": (0.0, 0.9),
    "training": Length(epochs=7, batch=64),
    "critic_batches": "fresh",
    "flip": True,
    "encoder_optimizer": "rmsprop",
    "encoder_lr": 5e-5,
    "encoder_training": Length(steps=50_000, batch=64),
}


class FAnoGanSettings(AdversarialSettings):
    """f-AnoGAN; what is not given is what the architecture's authors had, DEN's notebook or Schlegl et al.

    `arch` decides the other defaults when the settings are made; changing it later (`--set arch=...` on a made recipe)
    leaves them, which is a mixture that neither had.
    """

    arch: Literal["unified", "schlegl"] = "unified"
    critic_batches: Literal["same", "fresh"] = Field(
        default="same", description="real images of the critic's steps: those of the generator's step, or new ones"
    )
    flip: bool = Field(default=False, description="mirror left and right at random in training")
    encoder_optimizer: Literal["adam", "rmsprop"] = "adam"
    encoder_lr: float = Field(default=1e-4, gt=0)
    encoder_training: Length = Length(epochs=20, batch=128)
    kappa: float = Field(default=1.0, ge=0, description="weight of the critic's features beside the pixels")
    score: Literal["residual_and_features", "residual"] = Field(
        default="residual_and_features", description="mean squared residual, with or without kappa times the features'"
    )

    @model_validator(mode="before")
    @classmethod
    def _as_the_authors_had_it(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("arch") == "schlegl":
            return {**SCHLEGL, **given}
        return given
