"""DRAEM and its settings by scale.

`paper` leaves every number as the method's own authors had it.  `small` keeps losses, optimisers and proportions and
cuts width and length, for a quarter of an hour on two cores at 64 px; `tiny` is to see that it runs.
"""

from anomae.detectors.draem.detector import DraemDetector
from anomae.detectors.draem.settings import DraemSettings
from anomae.detectors.method import Method, by_scale

# The original's rate, 1e-4, is for widths and lengths that these have not; chosen on healthy slices and made-up heads.
_TRAINING = {"lr": 2e-3, "weight_decay": 0.0, "batch": 8}
_NARROW = {"width": 8, "segmentation_width": 8, "halvings": 3}

METHOD = Method(
    DraemDetector,
    by_scale(
        DraemSettings,
        {
            "small": {**_NARROW, "training": {**_TRAINING, "steps": 1500, "warmup_steps": 50}},
            "tiny": {**_NARROW, "training": {**_TRAINING, "steps": 150, "warmup_steps": 10}},
        },
    ),
)
