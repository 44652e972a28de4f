"""The settings of AnoVAEGAN; defaults are its authors' numbers."""

from typing import Literal

from pydantic import Field

from anomae.detectors.adversarial_settings import AdversarialSettings

Residual = Literal["mae", "mse", "positive", "peak"]


class AnoVaeGanSettings(AdversarialSettings):
    """AnoVAEGAN as in DEN's notebook: Adam 1e-4, 20 epochs of batches of 128 (its run.py: 1,000 of 8)."""

    dropout_on: Literal["mu", "both"] = Field(
        default="mu", description="'both', as DEN: a log sigma that is left out makes a sigma of 1"
    )
    test_latent: Literal["mean", "sample"] = Field(
        default="mean", description="'sample', as DEN: z is drawn in use too, here by the image itself"
    )
    score: Residual = Field(default="mae", description="DEN has no score of an image; mae is its L1 error by pixel")
