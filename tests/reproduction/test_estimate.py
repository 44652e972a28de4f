"""The estimate of a reproduction: every training counted once, by the rate of its own kind of network."""

from typing import Any

import numpy as np
import pytest

from anomae.detectors.method import PAPERS
from anomae.detectors.registry import DETECTORS, method_named
from anomae.recipes.overrides import overridden
from anomae.reproduction import estimate as stage
from anomae.reproduction.cells import RUNS, PlannedRun
from anomae.reproduction.estimate import estimated_seconds, said, trainings
from anomae.slices.store import SliceStore
from anomae.stages.fit import situation_of

from ..stages.conftest import SHORT

BASELINES = [name for name in DETECTORS if name not in ("anomae", "mae", PAPERS)]


def settings_of(detector: str, store: SliceStore) -> Any:
    return method_named(detector).settings(situation_of(store, "phantom"))


@pytest.fixture
def settings(heads: SliceStore) -> Any:
    return overridden(settings_of(PAPERS, heads), SHORT)


def test_every_training_is_counted(heads: SliceStore, settings: Any) -> None:
    assert dict(trainings(settings)).keys() == {"autoencoder.training", "classifier.training"}
    longer = overridden(settings, {"autoencoder.training.steps": 24_000})
    chosen = {"method": longer, "l2": longer, "images": overridden(longer, {"classifier.input": "image"})}
    seconds = estimated_seconds([RUNS[name] for name in chosen], chosen, heads)
    assert seconds["method"] > 3 * max(seconds["l2"], seconds["images"], 0.001)
    assert np.isfinite(list(seconds.values())).all()
    assert said(seconds).startswith("About ")
    alone = estimated_seconds([RUNS["images"]], {"images": chosen["images"]}, heads)
    assert 0 <= alone["images"] < seconds["method"] / 3


def test_what_costs_the_same_is_measured_once(
    heads: SliceStore, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[float] = []

    def rates(detector: str, chosen: Any, sample: Any) -> dict[str, float]:
        measured.append(chosen.autoencoder.mask_ratio)
        return {"autoencoder.training": 1.0 - chosen.autoencoder.mask_ratio, "classifier.training": 0.0}

    monkeypatch.setattr(stage, "_rates", rates)
    plain = overridden(settings, {"autoencoder.mask_ratio": 0.0})
    shorter = overridden(settings, {"autoencoder.training.steps": 12})
    chosen = {"method": settings, "k-1-5": settings, "autoencoder": plain, "length-0.5": shorter}
    seconds = estimated_seconds([RUNS[name] for name in chosen], chosen, heads)
    assert measured == [0.75, 0.0]
    assert seconds == {"method": 6.0, "k-1-5": 0.0, "autoencoder": 24.0, "length-0.5": 3.0}


@pytest.mark.parametrize("detector", BASELINES)
def test_each_training_of_a_baseline_has_a_rate(detector: str, heads: SliceStore) -> None:
    chosen = settings_of(detector, heads)
    rates = stage._rates(detector, chosen, heads.select(heads.rows("train", label=0)))
    assert rates.keys() == {name for name, _ in trainings(chosen)}
    assert all(0 <= rate < 60 for rate in rates.values())


def test_the_masked_autoencoder_alone_has_one_training(heads: SliceStore) -> None:
    of_autoencoder = {key: value for key, value in SHORT.items() if not key.startswith("classifier.")}
    settings = overridden(settings_of("mae", heads), of_autoencoder)
    assert dict(trainings(settings)).keys() == {"autoencoder.training"}
    seconds = estimated_seconds([PlannedRun("mae", "mae")], {"mae": settings}, heads)
    assert 0 < seconds["mae"] < 60


def test_what_cannot_be_had_is_not_known(heads: SliceStore) -> None:
    chosen = overridden(settings_of("rd4ad", heads), {"teacher.weights": "/nowhere/net.pth"})
    seconds = estimated_seconds([RUNS["rd4ad"]], {"rd4ad": chosen}, heads)
    assert np.isnan(seconds["rd4ad"])
    assert said(seconds).endswith("Not known: rd4ad.")


@pytest.mark.parametrize("detector", ["dae", "anomae"])
def test_a_detector_that_fails_in_the_estimate_ends_nothing(
    heads: SliceStore, monkeypatch: pytest.MonkeyPatch, detector: str
) -> None:
    def fails(*_: Any) -> Any:
        raise ValueError("no GPU here")

    monkeypatch.setattr(stage, "_rates" if detector == "dae" else "_anomae_seconds", fails)
    seconds = estimated_seconds([PlannedRun("one", detector)], {"one": settings_of(detector, heads)}, heads)
    assert np.isnan(seconds["one"])


def test_anomae_is_estimated_by_its_pool_and_its_heads(heads: SliceStore) -> None:
    brief = {"sources": "pixels", "sizes": 32, "heads": 1, "head.width": 8, "pool": 1000}
    chosen = overridden(settings_of("anomae", heads), brief)
    longer = overridden(chosen, {"pool": 50_000, "head.training.steps": 50_000})
    runs = [PlannedRun("short", "anomae"), PlannedRun("long", "anomae")]
    seconds = [
        estimated_seconds([run], {run.name: one}, heads)[run.name]
        for run, one in zip(runs, (chosen, longer), strict=True)
    ]
    assert 0 < seconds[0] < 120
    assert seconds[1] > 5 * seconds[0]
    own = overridden(chosen, {"sources": "pixels,residual", "autoencoder.training.steps": 50_000})
    assert estimated_seconds(runs[:1], {"short": own}, heads)["short"] > 5 * seconds[0]
    together = estimated_seconds(runs, {"short": chosen, "long": longer}, heads)
    assert together["long"] > 5 * together["short"]  # variants in one table are measured each
