"""The detector as a whole: finds what does not belong, says where, and what it can do on unseen healthy images."""

from collections.abc import Callable, Sequence
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from anomae.detectors.anomae import detector as module
from anomae.detectors.anomae.detector import Anomae
from anomae.detectors.anomae.method import METHOD
from anomae.detectors.anomae.settings import AnomaeSettings
from anomae.detectors.method import Situation
from anomae.errors import UserError
from anomae.slices.store import Slices

from .conftest import one_channel, recipe_settings


@pytest.fixture(scope="module")
def fitted(healthy: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Any:
    settings = recipe_settings()
    head = {**settings["head"], "training": {**settings["head"]["training"], "steps": 250}}
    some = {**settings["lesions"], "families": ("blob", "fill", "mass")}
    detector = Anomae(AnomaeSettings.model_validate({**settings, "pool": 1024, "head": head, "lesions": some}))
    return detector.fit(Slices(healthy), seed=0, folder=tmp_path_factory.mktemp("anomae"))


def test_it_finds_discs_that_it_has_never_seen(
    fitted: Any, spotted_heads: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> None:
    images, labels, discs = spotted_heads
    findings = fitted.inspect(one_channel(images))
    assert roc_auc_score(labels, findings.scores) > 0.75
    assert roc_auc_score(discs[labels == 1].ravel(), findings.maps[labels == 1].ravel()) > 0.85
    assert findings.maps.min() >= 0
    assert findings.maps.max() <= 1


def test_it_says_how_well_it_tells_every_family(
    fitted: Any, spotted_heads: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> None:
    healthy = one_channel(spotted_heads[0][spotted_heads[1] == 0])
    altered, unaltered = fitted.pretext(healthy), fitted.inspect(healthy).scores
    assert set(fitted.trained_families) < set(altered)
    aurocs = {}
    for name, scores in altered.items():
        shown = scores[~np.isnan(scores)]  # slices that the lesion did not change have no score
        assert len(shown) > len(scores) / 2
        aurocs[name] = roc_auc_score(np.repeat([0, 1], [len(healthy), len(shown)]), np.r_[unaltered, shown])
    assert np.mean([aurocs[name] for name in fitted.trained_families]) > 0.6
    again = fitted.pretext(healthy)
    assert all(np.array_equal(again[name], altered[name], equal_nan=True) for name in altered)


def test_the_cache_holds_the_pool_and_the_fitted_folder_does_not(fitted: Any, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["heads.safetensors", "settings.json"]


def test_it_says_what_its_map_is_and_cannot_be_changed(fitted: Any) -> None:
    assert fitted.name == METHOD.name == "anomae"
    assert fitted.map_name == "probability of being abnormal"
    with pytest.raises(FrozenInstanceError):
        fitted.seed = 1


def test_heads_side_by_side_are_those_in_turn(
    healthy: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = recipe_settings()
    head = {**settings["head"], "training": {**settings["head"]["training"], "steps": 10}}
    chosen = AnomaeSettings.model_validate({**settings, "pool": 128, "heads": 4, "head": head})

    def in_turn_on_one_thread(title: str, trainings: Sequence[Callable[[], None]], *_: Any) -> None:
        torch.set_num_threads(1)  # what each of four has of two; on more, sums may round otherwise
        for training in trainings:
            training()

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        beside = Anomae(chosen).fit(Slices(healthy), seed=0, folder=tmp_path / "beside")
        monkeypatch.setattr(module, "side_by_side", in_turn_on_one_thread)
        in_turn = Anomae(chosen).fit(Slices(healthy), seed=0, folder=tmp_path / "turn")
    finally:
        torch.set_num_threads(threads)
    for one, other in zip(*(sum(fitted.heads, ()) for fitted in (beside, in_turn)), strict=True):
        ours, theirs = one.state_dict(), other.state_dict()
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def recipe(name: str, side: int, aligned: bool, modality: str = "") -> AnomaeSettings:
    settings = METHOD.recipe(Situation(name, "paper", (side, side), aligned=aligned, modality=modality))
    assert isinstance(settings, AnomaeSettings)
    return settings


def test_without_an_aligned_midline_left_and_right_are_not_compared() -> None:
    assert "mirror" in recipe("lgg", 128, aligned=True).sources
    assert "mirror" not in recipe("lgg", 128, aligned=False).sources
    assert recipe("lgg", 128, aligned=True, modality="flair").lesions.brighter > 0.5
    assert recipe("lgg", 128, aligned=True, modality="t1").lesions.brighter == 0.5
    assert recipe("luna16-patches", 48, aligned=False).lesions.kind == "centre"


def test_a_size_that_only_the_papers_method_cannot_take_is_taken(healthy: np.ndarray, tmp_path: Path) -> None:
    """Where the source residual is off, nothing cuts the image into patches; it was refused all the same."""
    odd = Slices(healthy[:12, :, :31, :29])
    settings = METHOD.recipe(Situation("phantom", "paper", odd.image_size)).model_dump()
    small = {**settings, "pool": 16, "head": {**settings["head"], "training": {"steps": 1, "batch": 4, "lr": 1e-3}}}
    fitted = Anomae(AnomaeSettings.model_validate(small)).fit(odd, seed=0, folder=tmp_path / "odd")
    assert np.isfinite(fitted.inspect(odd.read(slice(2))).scores).all()
    wants = AnomaeSettings.model_validate({**small, "sources": ("pixels", "residual")})
    with pytest.raises(UserError, match=r"31x29 pixels cannot be cut into patches of 16; prepare them at another"):
        Anomae(wants).fit(odd, seed=0, folder=tmp_path / "residual")


@pytest.mark.parametrize(("side", "patch"), [(37, 37), (94, 47), (109, 109), (218, 109), (96, 8)])
def test_a_patch_that_nothing_looks_at_is_that_of_runs_of_before(side: int, patch: int) -> None:
    """They could not be gone on with: they were begun with another number than the recipe gave now."""
    for name in ("small", "phantom", "luna16-patches"):
        expected = 12 if (name, side) == ("luna16-patches", 96) else patch
        assert recipe(name, side, aligned=False).autoencoder.patch == expected
    assert recipe("brats2020", side, aligned=False).autoencoder.patch == 16
    prime = METHOD.recipe(Situation("small", "paper", (37, 29)))
    assert prime.autoencoder.patch == 16


@pytest.mark.parametrize("side", [37, 94])
def test_the_source_residual_refuses_images_of_few_patches(side: int, tmp_path: Path) -> None:
    images = Slices(np.zeros((4, 1, side, side), np.float32))
    settings = METHOD.recipe(Situation("phantom", "paper", (side, side)))
    asked = AnomaeSettings.model_validate({**settings.model_dump(), "sources": ("residual", "pixels")})
    with pytest.raises(UserError, match=r"into 16 to 200 patches .* prepare them .* say, or leave it out\.$"):
        Anomae(asked).fit(images, seed=0, folder=tmp_path)


def test_a_recipe_that_is_not_there_is_refused() -> None:
    with pytest.raises(UserError, match="smal"):
        recipe("smal", 64, aligned=True)
