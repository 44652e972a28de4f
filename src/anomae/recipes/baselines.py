"""The settings of the baseline methods at three scales: the originals' numbers, and what two cores finish in minutes.

`paper` leaves every number as the method's own authors (or the code that the paper ran) had it.  `small` keeps the
losses, optimisers and proportions and cuts width, size of the picture and length: no fit takes over a quarter of an
hour on two cores at 64 px.  `tiny` is to see that everything runs.  The simplest, from `conv-autoencoder` on,
follow no one's numbers; those that are no network cost the same at every scale.
"""

from typing import Any, Literal

from pydantic import BaseModel

from anomae.detectors.adversarial_settings import AnoVaeGanSettings, FAnoGanSettings
from anomae.detectors.baselines.settings import (
    ConvAutoencoderSettings,
    MeanImageSettings,
    OneLineSettings,
    PixelGaussianSettings,
    PrincipalComponentsSettings,
)
from anomae.detectors.corruption_settings import DenoisingSettings, DraemSettings

Scale = Literal["tiny", "small", "paper"]
SCALES: tuple[Scale, ...] = ("tiny", "small", "paper")
# Recipes of the paper's method that are not `small` in what they cost.
_SCALES_OF_RECIPES: dict[str, Scale] = {
    "brats2020": "paper",
    "luna16": "paper",
    "paper": "paper",
    "demo": "tiny",
    "phantom": "tiny",
    "tiny": "tiny",
}
_AUTOENCODER = {"lr": 1e-3, "weight_decay": 0.0, "batch": 16}
# The originals' rate, 1e-4, is for widths and lengths that these have not; chosen on healthy slices and made-up heads.
_DENOISING = {"lr": 2e-3, "weight_decay": 0.0, "batch": 8}
_SEGMENTING = {"lr": 2e-3, "weight_decay": 0.0, "batch": 8}

BASELINES: dict[str, tuple[type[BaseModel], dict[Scale, dict[str, Any]]]] = {
    "anovaegan": (
        AnoVaeGanSettings,
        {
            "small": {"width": 16, "training": {"steps": 800, "batch": 16}},
            "tiny": {"width": 8, "latent": 32, "critic_steps": 2, "training": {"steps": 150, "batch": 16}},
        },
    ),
    "fanogan": (
        FAnoGanSettings,
        {
            "small": {
                "width": 16,
                "training": {"steps": 800, "batch": 16},
                "encoder_training": {"steps": 1000, "batch": 16},
            },
            "tiny": {
                "width": 8,
                "latent": 32,
                "critic_steps": 2,
                "training": {"steps": 150, "batch": 16},
                "encoder_training": {"steps": 150, "batch": 16},
            },
        },
    ),
    "dae": (
        DenoisingSettings,
        {
            "small": {"width": 16, "training": {**_DENOISING, "steps": 1500, "warmup_steps": 50}},
            "tiny": {"width": 8, "training": {**_DENOISING, "steps": 150, "warmup_steps": 10}},
        },
    ),
    "draem": (
        DraemSettings,
        {
            "small": {
                "width": 8,
                "segmentation_width": 8,
                "halvings": 3,
                "training": {**_SEGMENTING, "steps": 1500, "warmup_steps": 50},
            },
            "tiny": {
                "width": 8,
                "segmentation_width": 8,
                "halvings": 3,
                "training": {**_SEGMENTING, "steps": 150, "warmup_steps": 10},
            },
        },
    ),
    "conv-autoencoder": (
        ConvAutoencoderSettings,
        {
            "small": {"width": 16, "training": {**_AUTOENCODER, "steps": 2000, "warmup_steps": 50}},
            "tiny": {"width": 8, "latent": 32, "training": {**_AUTOENCODER, "steps": 150, "warmup_steps": 10}},
        },
    ),
    "pca": (PrincipalComponentsSettings, {"tiny": {"components": 16}}),
    "pixel-gaussian": (PixelGaussianSettings, {}),
    "mean-image": (MeanImageSettings, {}),
    "one-line": (OneLineSettings, {}),
}


def baseline_settings(detector: str, scale: Scale) -> BaseModel:
    """The settings of a baseline at a scale; `detector` is a name in BASELINES."""
    kind, scales = BASELINES[detector]
    return kind.model_validate(scales.get(scale, {}))


def scale_of(recipe: str) -> Scale:
    """The scale that goes with a recipe of the paper's method: `small` unless it is of the paper's size, or a trial."""
    return _SCALES_OF_RECIPES.get(recipe, "small")
