"""The settings of the baseline methods at three scales: the originals' numbers, and what two cores finish in minutes.

`paper` leaves every number as the method's own authors (or the code that the paper ran) had it.  `small` keeps the
losses, optimisers and proportions and cuts width, size of the picture and length: no fit takes over a quarter of an
hour on two cores at 64 px.  `tiny` is to see that everything runs.  The simplest, from `conv-autoencoder` on,
follow no one's numbers; those that are no network cost the same at every scale.
"""

from typing import Any, Literal

from pydantic import BaseModel

from anomae.detectors.teacher_settings import (
    PatchMemorySettings,
    ReverseDistillationSettings,
    StudentTeacherSettings,
)

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
_ADAM = {"lr": 0.005, "min_lr": 0.005, "betas": (0.5, 0.999), "weight_decay": 0.0, "batch": 16}
_L2 = {"lr": 2e-4, "min_lr": 2e-4, "weight_decay": 1e-5, "batch": 8}

BASELINES: dict[str, tuple[type[BaseModel], dict[Scale, dict[str, Any]]]] = {
    "rd4ad": (
        ReverseDistillationSettings,
        {
            "small": {"teacher": {"input_size": 128}, "training": {**_ADAM, "steps": 1500}},
            "tiny": {
                "teacher": {"backbone": "tiny", "weights": "random", "input_size": 64},
                "training": {**_ADAM, "steps": 60},
            },
        },
    ),
    "ast": (
        StudentTeacherSettings,
        {
            "small": {
                "teacher": {"input_size": 256},
                "student_width": 256,
                "flow": {**_L2, "steps": 1000},
                "student": {**_L2, "steps": 1000},
            },
            "tiny": {
                "teacher": {"backbone": "tiny", "weights": "random", "input_size": 64},
                "flow_width": 16,
                "student_width": 32,
                "flow": {**_L2, "steps": 60},
                "student": {**_L2, "steps": 60},
            },
        },
    ),
    "patchcore": (
        PatchMemorySettings,
        {
            "small": {"teacher": {"input_size": 128}, "memory": 2000, "candidates": 10_000},
            "tiny": {
                "teacher": {"backbone": "tiny", "weights": "random", "input_size": 64},
                "memory": 200,
                "candidates": 2000,
            },
        },
    ),
}


def baseline_settings(detector: str, scale: Scale) -> BaseModel:
    """The settings of a baseline at a scale; `detector` is a name in BASELINES."""
    kind, scales = BASELINES[detector]
    return kind.model_validate(scales.get(scale, {}))


def scale_of(recipe: str) -> Scale:
    """The scale that goes with a recipe of the paper's method: `small` unless it is of the paper's size, or a trial."""
    return _SCALES_OF_RECIPES.get(recipe, "small")
