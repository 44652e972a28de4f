"""Every detector that can be exported, in forms that are fitted in a second or two."""

from pathlib import Path
from typing import Any

import numpy as np

from anomae.detectors.method import Situation
from anomae.detectors.registry import method_named
from anomae.recipes.overrides import overridden
from anomae.testing import DetectorTrial

SITUATION = Situation("phantom", "paper", (32, 32), aligned=True)
ANOMAE: dict[str, Any] = {
    "pool": 64,
    "sizes": (32,),
    "heads": 2,
    "backbone": "tiny",
    "weights": "random",
    "head.training.steps": 4,
    "head.training.batch": 16,
}
LOOKING: dict[str, Any] = {"sources": ("features", "pixels", "mirror")}
REBUILDING: dict[str, Any] = {"autoencoder.patch": 8, "autoencoder.training.steps": 4}
HIDING: dict[str, Any] = {"hidden.width": 16, "hidden.depth": 1, "hidden.block": 2, "hidden.training.steps": 2}
DENOISING: dict[str, Any] = {"denoiser.width": 8, "denoiser.halvings": 1, "denoiser.training.steps": 2}
PAPERS: dict[str, Any] = {
    "autoencoder.patch": 8,
    "autoencoder.training.steps": 4,
    "classifier.training.steps": 4,
    "classifier.patch": 8,
}
TEACHER: dict[str, Any] = {"teacher.input_size": 32}
AST = {"student_width": 16, "flow_width": 8, "flow.steps": 2, "student.steps": 2}
UNET: dict[str, Any] = {"width": 8, "halvings": 2, "training.steps": 2}
GAN: dict[str, Any] = {"width": 8, "latent": 8, "critic_steps": 1, "training.steps": 2}
FANOGAN: dict[str, Any] = {**GAN, "encoder_training.steps": 2}
MEMORY: dict[str, Any] = {**TEACHER, "memory": 50, "candidates": 100}


def of_member(name: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Changes of a member's settings as those of an ensemble."""
    return {f"settings.{name}.{key}": value for key, value in changes.items()}


PIXELS: dict[str, Any] = {**ANOMAE, "sources": ("pixels", "mirror")}
FORMS: dict[str, tuple[dict[str, Any], int]] = {  # name before the colon -> settings, channels
    "anomae: default": ({**ANOMAE, **LOOKING}, 1),
    "anomae: sizes and neighbours": (
        {**ANOMAE, "sources": ("pixels", "features", "neighbours"), "sizes": (48, 32), "heads": 1},
        3,
    ),
    "anomae: features alone": ({**ANOMAE, "sources": ("features",)}, 1),
    "anomae: measured, of three channels and neighbours": (
        {**ANOMAE, "sources": ("features", "neighbours"), "measure": "brightest_spot_9"},
        3,
    ),
    "anomae: pixels alone": ({**ANOMAE, "sources": ("pixels", "mirror")}, 1),
    "anomae: candidates": (
        {**ANOMAE, "sources": ("features", "pixels"), "lesions.kind": "centre", "window": (0, 1)},
        1,
    ),
    "anomae: residual": ({**ANOMAE, **REBUILDING, "sources": ("residual", "pixels", "mirror")}, 1),
    "anomae: residual, hidden and neighbours": (
        {**ANOMAE, **REBUILDING, **HIDING, "sources": ("features", "residual", "hidden", "neighbours"), "sizes": (40,)},
        2,
    ),
    "anomae: denoised and memory": (
        {
            **ANOMAE,
            **DENOISING,
            "sources": ("denoised", "memory"),
            "denoiser.median": 3,
            "memory.images": 5,
            "heads": 1,
        },
        1,
    ),
    "anomae: denoised, residual and neighbours": (
        {
            **ANOMAE,
            **REBUILDING,
            **DENOISING,
            "sources": ("residual", "denoised", "pixels", "neighbours"),
            "sizes": (80, 40),
            "denoised_size": 8,  # a patch of the grid of 10 x 10 is less than a pixel
        },
        2,
    ),
    "anomae: memory of several sizes": (
        {**ANOMAE, "sources": ("features", "memory"), "sizes": (48, 32), "memory.images": 3, "memory.near": 0.4},
        2,
    ),
    "mae-classifier": (PAPERS, 1),
    "mae-classifier: all predicted": (
        {**PAPERS, "autoencoder.paste": False, "autoencoder.masks": "covering", "classifier.pooling": "class"},
        3,
    ),
    "mae-classifier: nothing hidden": ({**PAPERS, "autoencoder.mask_ratio": 0.0}, 1),
    "mae-classifier: images alone": ({**PAPERS, "classifier.input": "image"}, 1),
    "mae": ({**REBUILDING, "autoencoder.error": "ssim"}, 2),
    "mae: all predicted": ({**REBUILDING, "autoencoder.paste": False, "autoencoder.error": "mse"}, 1),
    "rd4ad": ({**TEACHER, "training.steps": 2}, 1),
    "rd4ad: product": ({**TEACHER, "training.steps": 2, "combine": "product", "score": "mean", "sigma": 0}, 3),
    "ast": ({**TEACHER, **AST}, 1),
    "dae": ({**UNET, "median": 3}, 2),
    "dae: as it is": ({**UNET, "median": 1, "score": "mean"}, 1),
    "draem": ({**UNET, "segmentation_width": 8, "training.steps": 30}, 1),
    "conv-autoencoder": ({"width": 8, "latent": 8, "training.steps": 2}, 2),
    "conv-autoencoder: ssim": ({"width": 8, "latent": 8, "training.steps": 2, "error": "ssim"}, 1),
    "anovaegan": (GAN, 2),
    "fanogan": (FANOGAN, 1),
    "fanogan: residual blocks": ({**FANOGAN, "training.steps": 16, "arch": "schlegl", "score": "residual"}, 2),
    "ensemble": ({"members": "anomae,dae", **of_member("anomae", PIXELS), **of_member("dae", UNET)}, 1),
    "ensemble: neighbours of one": (
        {
            "members": "mae-classifier,anomae,pca",
            **of_member("anomae", {**ANOMAE, "sources": ("pixels", "neighbours")}),
            **of_member("mae-classifier", PAPERS),
        },
        2,
    ),
    "ensemble: rebuilding": (
        {
            "members": "mae,anovaegan,fanogan",
            **of_member("mae", REBUILDING),
            **of_member("anovaegan", GAN),
            **of_member("fanogan", FANOGAN),
        },
        1,
    ),
    "ensemble: one without maps": (
        {
            "members": "mae-classifier,rd4ad",
            **of_member("mae-classifier", {**PAPERS, "classifier.input": "image"}),
            **of_member("rd4ad", {**TEACHER, "training.steps": 2}),
        },
        1,
    ),
    "pca": ({"components": 4}, 2),
    "pixel-gaussian": ({}, 2),
    "mean-image": ({}, 1),
    "patchcore": (MEMORY, 1),
    "patchcore: near": ({**MEMORY, "near": 0.3, "score": "smoothed"}, 3),
}


def fitted_in(form: str, folder: Path) -> tuple[Any, Any]:
    """A fitted detector in this form, and new images for it."""
    changes, channels = FORMS[form]
    method = method_named(form.partition(":")[0])
    asked = method.settings(SITUATION)
    if "members" in changes:  # whose settings are there to be changed then
        asked = overridden(asked, {"members": changes["members"]})
    device = {"device.accelerator": "cpu", "device.precision": "fp32"} if hasattr(asked, "device") else {}
    settings = overridden(asked, {**changes, **device})
    trial = DetectorTrial(lambda: method.detector(settings), folder)
    fitted = trial.fit("fitted", channels)
    images = np.repeat(trial.images, channels, axis=1)
    images[:, 0] *= 0.9  # channels are not all alike
    return fitted, images
