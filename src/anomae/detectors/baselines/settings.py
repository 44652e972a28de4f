"""The settings of the simplest baselines: a method which does not beat them has shown nothing.

They are first guesses, tuned on no data.
"""

from typing import Literal

from pydantic import Field

from anomae.detectors.settings import Percentiles, Settings
from anomae.training.settings import DeviceSettings, TrainingSettings


class MeanImageSettings(Settings):
    """The mean image has nothing to set; `device` is there for every detector, and only networks use it."""

    device: DeviceSettings = DeviceSettings()


class PixelGaussianSettings(Settings):
    """A Gaussian at each pixel."""

    shrinkage: float = Field(
        default=0.1,
        gt=0,
        le=1,
        description="how far each pixel's variance is drawn to that of all pixels; 1: one variance for all",
    )
    device: DeviceSettings = DeviceSettings()


class PrincipalComponentsSettings(Settings):
    """PCA of whole images."""

    components: int = Field(default=64, gt=0, description="at most; no more than the healthy slices span")
    spare: int = Field(default=16, ge=0, description="directions searched beside them, so that the last come right")
    passes: int = Field(default=4, gt=0, description="over all slices, each making the directions more exact")
    device: DeviceSettings = DeviceSettings()


class ConvAutoencoderSettings(Settings):
    """A convolutional autoencoder; layers, latent and length are those that AnoVAEGAN has in DEN's code."""

    width: int = Field(default=32, ge=8, description="channels of the first convolution")
    latent: int = Field(default=128, gt=0, description="numbers that an image is squeezed into")
    error: Literal["mse", "mae", "ssim"] = Field(default="mse", description="the score")
    percentiles: Percentiles = Field(
        default=(0.1, 99.9), description="of the training pixels: the range of prepared intensities that it sees"
    )
    training: TrainingSettings = TrainingSettings(epochs=20, batch=128, lr=1e-3, warmup_steps=50, weight_decay=0.0)
    device: DeviceSettings = DeviceSettings()


class OneLineSettings(Settings):
    """A single measure of the image."""

    measure: Literal[
        "mean",
        "area",
        "brightest_spot_5",
        "brightest_spot_9",
        "brightest_spot_17",
        "darkest_spot_9",
        "centre_contrast",
        "maximum",
        "spread",
    ] = Field(
        default="mean", description="`area`: share of tissue; the others as in every report (anomae.slices.measures)"
    )
    level: float | None = Field(
        default=None,
        description="prepared intensity above which is tissue; none: measured as for MRI; on CT give that of -500 HU",
    )
    device: DeviceSettings = DeviceSettings()
