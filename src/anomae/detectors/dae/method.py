"""The denoising autoencoder and its settings by scale.

`paper` leaves every number as the method's own authors had it.  `small` keeps losses, optimisers and proportions and
cuts width and length, for a quarter of an hour on two cores at 64 px; `tiny` is to see that it runs.
"""

from typing import Any

from anomae.detectors.dae.detector import DenoisingAutoencoderDetector
from anomae.detectors.dae.settings import DenoisingSettings
from anomae.detectors.method import Method, Scale

# The original's rate, 1e-4, is for widths and lengths that these have not; chosen on healthy slices and made-up heads.
_TRAINING = {"lr": 2e-3, "weight_decay": 0.0, "batch": 8}

_BY_SCALE: dict[Scale, dict[str, Any]] = {
    "small": {"width": 16, "training": {**_TRAINING, "steps": 1500, "warmup_steps": 50}},
    "tiny": {"width": 8, "training": {**_TRAINING, "steps": 150, "warmup_steps": 10}},
}


def denoising_recipe(scale: Scale) -> DenoisingSettings:
    """The settings at a scale."""
    return DenoisingSettings.model_validate(_BY_SCALE.get(scale, {}))


METHOD = Method(DenoisingAutoencoderDetector, lambda situation: denoising_recipe(situation.scale))
