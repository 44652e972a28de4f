"""Several detectors that judge together: what their scores and maps are, and what is refused."""

import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import anomae.detectors.ensemble.detector as module
from anomae.detectors.ensemble.detector import MEMBERS, Ensemble, FittedEnsemble
from anomae.detectors.ensemble.settings import EnsembleSettings
from anomae.detectors.method import Situation
from anomae.detectors.registry import load_detector, method_named
from anomae.errors import UserError
from anomae.recipes.overrides import overridden
from anomae.runs.run import Run
from anomae.slices.store import Slices
from anomae.training.settings import DeviceSettings

CPU = DeviceSettings(accelerator="cpu")
SITUATION = Situation("phantom", "paper", (32, 32))
SHORT = {"settings.anomae.pool": 64, "settings.anomae.sizes": (32,), "settings.anomae.head.training.steps": 8}


def settings(members: str, **changed: Any) -> EnsembleSettings:
    usual = EnsembleSettings.model_validate({"members": members, "situation": asdict(SITUATION), "device": CPU})
    return overridden(usual, changed)


@pytest.fixture(scope="module")
def fitted(healthy_heads: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> FittedEnsemble:
    slices = Slices(healthy_heads.reshape(-1, 1, 32, 32))
    return Ensemble(settings("anomae,pca", **SHORT)).fit(slices, seed=1, folder=tmp_path_factory.mktemp("fit"))


def test_a_member_is_what_it_is_alone(fitted: FittedEnsemble, healthy_heads: np.ndarray, tmp_path: Path) -> None:
    images = healthy_heads.reshape(-1, 1, 32, 32)
    alone = method_named("pca").detector(method_named("pca").settings(SITUATION))
    expected = alone.fit(Slices(images), seed=1, folder=tmp_path).inspect(images).scores
    found = fitted.inspect(images)
    assert set(found.other_scores) == {"anomae", "pca"}
    assert np.array_equal(found.other_scores["pca"], expected)


def test_the_score_and_the_map_are_means_on_a_healthy_scale(fitted: FittedEnsemble, healthy_heads: np.ndarray) -> None:
    images = healthy_heads.reshape(-1, 1, 32, 32)
    found = fitted.inspect(images)
    logs = {name: np.log(scores) for name, scores in found.other_scores.items()}
    standardised = []
    for scores in logs.values():  # all of them were learned from, and no more than 512
        low, high = np.percentile(scores, (15.87, 84.13))
        standardised.append((scores - np.median(scores)) / ((high - low) / 2))
    np.testing.assert_allclose(found.scores, np.mean(standardised, axis=0), rtol=1e-9, atol=1e-9)
    maps = [member.inspect(images).maps for member in fitted.members.values()]
    units = [np.percentile(one[one > 0], 99) for one in maps]
    expected = np.mean([one / unit for one, unit in zip(maps, units, strict=True)], axis=0)
    np.testing.assert_allclose(found.maps, expected, rtol=1e-4, atol=1e-6)
    assert "anomae, pca" in fitted.map_name


def test_the_pretext_figure_is_of_the_whole(fitted: Any, healthy_heads: np.ndarray) -> None:
    images = healthy_heads.reshape(-1, 1, 32, 32)[:6]
    found = fitted.pretext(images)
    assert set(fitted.trained_families) <= set(found)
    altered = next(iter(fitted.members["anomae"].pretext_images(images)))
    assert altered.seen.all()
    assert np.array_equal(found[altered.family], fitted.inspect(altered.images).scores)
    assert not np.array_equal(found[altered.family], fitted.inspect(images).scores)


def test_without_simulated_lesions_there_is_no_pretext_figure(healthy_heads: np.ndarray, tmp_path: Path) -> None:
    slices = Slices(healthy_heads.reshape(-1, 1, 32, 32))
    found = Ensemble(settings("pca,mean-image")).fit(slices, seed=0, folder=tmp_path)
    assert not hasattr(found, "pretext")
    (tmp_path / "fitted").mkdir()
    found.save(tmp_path / "fitted")
    assert type(load_detector(tmp_path / "fitted", CPU)) is FittedEnsemble


def test_members_fitted_side_by_side_are_those_in_turn(
    two_processors: None, healthy_heads: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = healthy_heads.reshape(-1, 1, 32, 32)
    chosen = settings("anomae,rd4ad", **SHORT, **{"rd4ad.training.steps": 8, "rd4ad.training.batch": 4})
    beside = Ensemble(chosen).fit(Slices(images), seed=1, folder=tmp_path / "beside").inspect(images)
    threads = set[str]()

    def in_turn(fits: Any, device: torch.device) -> list[Any]:
        assert device.type == "cpu"
        threads.add(threading.current_thread().name)
        return [one() for one in fits]

    monkeypatch.setattr(module, "beside_one_another", in_turn)
    turn = Ensemble(chosen).fit(Slices(images), seed=1, folder=tmp_path / "turn").inspect(images)
    assert threads == {threading.current_thread().name}
    assert np.array_equal(beside.scores, turn.scores)
    for name, scores in turn.other_scores.items():
        assert np.array_equal(beside.other_scores[name], scores)


def test_a_strangers_member_is_fitted_with_nothing_beside_it(
    two_processors: None, healthy_heads: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def beside(*_: Any) -> None:
        raise AssertionError("side by side")

    monkeypatch.setattr(module, "beside_one_another", beside)
    stranger = "anomae.detectors.baselines.pca:PrincipalComponents"  # by its place, as a class of any package
    slices = Slices(healthy_heads.reshape(-1, 1, 32, 32))
    found = Ensemble(settings(f"mean-image,{stranger}")).fit(slices, seed=0, folder=tmp_path)
    assert set(found.members) == {"mean-image", stranger}


def test_steps_of_members_are_found_in_the_journal(healthy_heads: np.ndarray, tmp_path: Path) -> None:
    slices = Slices(healthy_heads.reshape(-1, 1, 32, 32))
    chosen = settings("dae,pca", **{"dae.training.steps": 4, "dae.training.batch": 4, "dae.training.warmup_steps": 0})
    Ensemble(chosen).fit(slices, seed=0, folder=tmp_path)
    assert {line["stage"] for line in Run(tmp_path).steps()} == {"dae: dae"}
    assert (tmp_path / MEMBERS / "dae" / "journal.jsonl").exists()


@pytest.mark.parametrize(
    ("recipe", "modality", "partner"),
    [
        ("small", "flair", "dae"),
        ("lgg", "t2", "dae"),
        ("lgg", "t1", "rd4ad"),
        ("luna16-patches", None, "dae"),
        ("demo", None, "rd4ad"),
    ],
)
def test_by_default_anomae_judges_with_whom_suits_the_images(recipe: str, modality: str | None, partner: str) -> None:
    situation = Situation(recipe, "paper", (128, 128), modality=modality)
    assert method_named("ensemble").settings(situation).members == ("anomae", partner)


@pytest.mark.parametrize("members", ["pca,mae-classifier", "pca,mae", "pca,dae", "pca,anomae"])
def test_a_size_that_a_member_refuses_is_refused_before_any_is_fitted(
    members: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others were trained to their end first, on one processor or a GPU."""
    chosen = {"settings.anomae.sources": "residual,pixels"} if "anomae" in members else {}
    situation = asdict(Situation("phantom", "paper", (37, 29)))
    usual = EnsembleSettings.model_validate({"members": members, "situation": situation, "device": CPU})
    monkeypatch.setattr(module, "_fitted", lambda *_: pytest.fail("a member is fitted"))
    images = np.zeros((4, 1, 37, 29), np.float32)
    with pytest.raises(UserError, match="prepare them"):
        Ensemble(overridden(usual, chosen)).fit(Slices(images), seed=0, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []
