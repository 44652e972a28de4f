"""Every detector that can be exported: its networks, run by torch, and the runner say what the detector says."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from anomae.detectors.method import Situation
from anomae.detectors.protocol import with_neighbours
from anomae.detectors.registry import method_named
from anomae.errors import UserError
from anomae.export.export import with_shape
from anomae.export.parity import differences
from anomae.export.registry import traceable_of
from anomae.export.traceable import Traceable
from anomae.inference.exported.detector import ExportedDetector
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
PAPERS: dict[str, Any] = {
    "autoencoder.patch": 8,
    "autoencoder.training.steps": 4,
    "classifier.training.steps": 4,
    "classifier.patch": 8,
}
TEACHER: dict[str, Any] = {"teacher.input_size": 32}
AST = {"student_width": 16, "flow_width": 8, "flow.steps": 2, "student.steps": 2}
UNET: dict[str, Any] = {"width": 8, "halvings": 2, "training.steps": 2}
MEMORY: dict[str, Any] = {**TEACHER, "memory": 50, "candidates": 100}
FORMS: dict[str, tuple[dict[str, Any], int]] = {  # name before the colon -> settings, channels
    "anomae: default": ({**ANOMAE, **LOOKING}, 1),
    "anomae: sizes and neighbours": (
        {**ANOMAE, "sources": ("pixels", "features", "neighbours"), "sizes": (48, 32), "heads": 1},
        3,
    ),
    "anomae: features alone": ({**ANOMAE, "sources": ("features",)}, 1),
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
    "mae-classifier": (PAPERS, 1),
    "mae-classifier: all predicted": (
        {**PAPERS, "autoencoder.paste": False, "autoencoder.masks": "covering", "classifier.pooling": "class"},
        3,
    ),
    "mae-classifier: nothing hidden": ({**PAPERS, "autoencoder.mask_ratio": 0.0}, 1),
    "mae-classifier: images alone": ({**PAPERS, "classifier.input": "image"}, 1),
    "rd4ad": ({**TEACHER, "training.steps": 2}, 1),
    "rd4ad: product": ({**TEACHER, "training.steps": 2, "combine": "product", "score": "mean", "sigma": 0}, 3),
    "ast": ({**TEACHER, **AST}, 1),
    "dae": ({**UNET, "median": 3}, 2),
    "dae: as it is": ({**UNET, "median": 1, "score": "mean"}, 1),
    "draem": ({**UNET, "segmentation_width": 8, "training.steps": 30}, 1),
    "conv-autoencoder": ({"width": 8, "latent": 8, "training.steps": 2}, 2),
    "conv-autoencoder: ssim": ({"width": 8, "latent": 8, "training.steps": 2, "error": "ssim"}, 1),
    "pca": ({"components": 4}, 2),
    "pixel-gaussian": ({}, 2),
    "mean-image": ({}, 1),
    "patchcore": (MEMORY, 1),
    "patchcore: near": ({**MEMORY, "near": 0.3, "score": "smoothed"}, 3),
}


def by_torch(traced: Traceable, fitted: Any, folder: Path) -> ExportedDetector:
    """The exported detector, its networks run by torch."""
    folder.mkdir()
    fitted.save(folder)
    facts = with_shape(traced, folder).facts

    def network(name: str) -> Any:
        wanted = traced.networks[name]

        def run(inputs: Any) -> Any:
            with torch.inference_mode():
                given = wanted.module.eval()(*(torch.from_numpy(inputs[entry]) for entry in wanted.inputs))
            return dict(zip(wanted.outputs, given if isinstance(given, tuple) else (given,), strict=True))

        return lambda inputs: {key: value.numpy() for key, value in run(inputs).items()}

    card = {
        **facts,
        "detector": fitted.name,
        "runner": dict(traced.runner),
        "batch": traced.batch,
        "needs_neighbours": getattr(fitted, "needs_neighbours", False),
    }
    return ExportedDetector(folder, card, {name: network(name) for name in traced.networks}, "fp32", 1)


def fitted_in(form: str, folder: Path) -> tuple[Any, Any]:
    """A fitted detector in this form, and new images for it."""
    changes, channels = FORMS[form]
    method = method_named(form.partition(":")[0])
    asked = method.settings(SITUATION)
    device = {"device.accelerator": "cpu", "device.precision": "fp32"} if hasattr(asked, "device") else {}
    settings = overridden(asked, {**changes, **device})
    trial = DetectorTrial(lambda: method.detector(settings), folder)
    fitted = trial.fit("fitted", channels)
    images = np.repeat(trial.images, channels, axis=1)
    images[:, 0] *= 0.9  # channels are not all alike
    return fitted, images


@pytest.mark.parametrize("form", FORMS)
def test_the_networks_and_the_runner_say_what_the_detector_says(form: str, tmp_path: Path) -> None:
    fitted, images = fitted_in(form, tmp_path)
    traced = traceable_of(fitted)
    exported = by_torch(traced, fitted, tmp_path / "saved")
    beside = np.stack([np.roll(images, 1, axis=0), np.roll(images, -1, axis=0)], axis=1)
    given = with_neighbours(fitted, images, lambda: beside)
    wanted = fitted.inspect(*given)
    for batch, fixed in ((16, True), (1, False), (7, False)):
        away = differences(wanted, exported.inspect_in(batch, *given, fixed=fixed))
        assert max(away.values()) < 1e-5, away
    if traced.pretext is not None:
        few = [entry[:5] for entry in given]
        theirs, ours = fitted.pretext(*few), traced.pretext(exported, few[0], few[1] if len(few) > 1 else None)
        assert theirs.keys() == ours.keys()
        for family, scores in theirs.items():
            np.testing.assert_allclose(ours[family], scores, atol=1e-5)


def test_what_cannot_be_exported_is_refused(tmp_path: Path) -> None:
    changes = {**ANOMAE, "sources": ("pixels", "memory"), "memory.images": 5, "device.accelerator": "cpu"}
    method = method_named("anomae")
    trial = DetectorTrial(lambda: method.detector(overridden(method.settings(SITUATION), changes)), tmp_path)
    with pytest.raises(UserError, match=r"source\(s\) memory cannot be exported"):
        traceable_of(trial.fit("fitted"))
    line = SimpleNamespace(name="one-line")
    with pytest.raises(UserError, match="detector one-line cannot be exported"):
        traceable_of(line)
