"""RD4AD for those who name it.

`paper` leaves every number as the method's own authors had it.  `small` keeps losses, optimisers and proportions and
cuts the size of the picture and the length, for a quarter of an hour on two cores; `tiny` is to see that it runs.
"""

from anomae.detectors.method import Method, by_scale
from anomae.detectors.rd4ad.detector import ReverseDistillationDetector
from anomae.detectors.teacher_settings import ReverseDistillationSettings

_ADAM = {"lr": 0.005, "min_lr": 0.005, "betas": (0.5, 0.999), "weight_decay": 0.0, "batch": 16}

METHOD = Method(
    ReverseDistillationDetector,
    by_scale(
        ReverseDistillationSettings,
        {
            "small": {"teacher": {"input_size": 128}, "training": {**_ADAM, "steps": 1500}},
            "tiny": {
                "teacher": {"backbone": "tiny", "weights": "random", "input_size": 64},
                "training": {**_ADAM, "steps": 60},
            },
        },
    ),
)
