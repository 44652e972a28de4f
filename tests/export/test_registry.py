"""Every detector that can be exported: its networks, run by torch, and the runner say what the detector says."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from anomae.detectors.anomae.by_location import HealthyOdds
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

from .forms import FORMS, GAN, SITUATION, fitted_in


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


@pytest.mark.parametrize("form", ["anomae: pixels alone", "anomae: measured, of three channels and neighbours"])
def test_what_healthy_patches_have_at_a_location_is_taken_off_alike(form: str, tmp_path: Path) -> None:
    made, images = fitted_in(form, tmp_path)
    images[:3, :, :20] = 0.0  # less tissue than in the others
    random = np.random.default_rng(0)
    odds = HealthyOdds((0.2, 0.9), random.normal(0, 2, (2, *made.evidences[0].grid)))
    fitted = replace(made, healthy_odds=odds)
    exported = by_torch(traceable_of(fitted), fitted, tmp_path / "saved")
    exported.card["runner"] = json.loads(json.dumps(exported.card["runner"]))  # as it is read from card.json
    wanted = fitted.inspect(images)
    assert np.abs(wanted.scores - made.inspect(images).scores).max() > 1e-2
    assert "highest_patches" in wanted.other_scores
    away = differences(wanted, exported.inspect(images))
    assert max(away.values()) < 1e-5, away


def test_what_cannot_be_exported_is_refused(tmp_path: Path) -> None:
    method = method_named("anovaegan")
    changes = {**GAN, "test_latent": "sample", "device.accelerator": "cpu"}
    trial = DetectorTrial(lambda: method.detector(overridden(method.settings(SITUATION), changes)), tmp_path)
    with pytest.raises(UserError, match="test_latent=sample cannot be exported"):
        traceable_of(trial.fit("fitted"))
    line = SimpleNamespace(name="one-line")
    with pytest.raises(UserError, match="detector one-line cannot be exported"):
        traceable_of(line)
