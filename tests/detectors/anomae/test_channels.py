"""Images of several channels: fitted, scored, saved and loaded as images of one are, and refused where others are."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from anomae.detectors.anomae.detector import Anomae
from anomae.detectors.anomae.settings import AnomaeSettings
from anomae.errors import UserError
from anomae.files import read_json
from anomae.slices.store import Slices
from anomae.training.settings import DeviceSettings

from .conftest import one_channel, recipe_settings, three_channels

CPU = DeviceSettings(accelerator="cpu")
SIDE = 32
FEW: dict[str, Any] = {"pool": 128, "sizes": (32,), "heads": 1, "backbone": "tiny", "weights": "random"}
FORMS: dict[str, dict[str, Any]] = {
    "features": {"sources": ("features", "pixels", "mirror"), "sizes": (32, 48)},
    "memory and hidden": {"sources": ("memory", "hidden"), "memory": {"images": 5}},
    "residual": {"sources": ("residual", "pixels")},
    "denoised": {"sources": ("denoised", "pixels", "mirror")},
    "candidates": {"sources": ("features", "pixels"), "lesions": {"kind": "centre"}},
}


def make(**changed: Any) -> Anomae:
    settings = recipe_settings()
    short = {"steps": 8, "batch": 16}
    head = {**settings["head"], "training": {**settings["head"]["training"], **short}}
    hidden = {"width": 16, "depth": 1, "heads": 2}
    hidden["training"] = {**settings["hidden"]["training"], **short}
    autoencoder = {**settings["autoencoder"], "patch": 8}
    autoencoder["training"] = {**autoencoder["training"], **short}
    denoiser = {"width": 8, "training": {**settings["denoiser"]["training"], **short}}
    parts = {"head": head, "hidden": hidden, "autoencoder": autoencoder, "denoiser": denoiser}
    parts["device"] = CPU.model_dump()
    return Anomae(AnomaeSettings.model_validate({**settings, **FEW, **parts, **changed}))


@pytest.fixture(scope="module", params=FORMS)
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def images(healthy: np.ndarray) -> np.ndarray:
    return three_channels(healthy)


@pytest.fixture(scope="module")
def fitted(form: str, images: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return make(**FORMS[form]).fit(Slices(images), seed=0, folder=tmp_path_factory.mktemp("fit"))


def test_a_score_depends_on_the_image_alone(fitted: Any, images: np.ndarray) -> None:
    whole = fitted.inspect(images)
    assert whole.scores.shape == (len(images),)
    assert whole.maps.shape == (len(images), SIDE, SIDE)
    assert len(np.unique(whole.scores)) > len(images) // 2
    alone = np.concatenate([fitted.inspect(images[i : i + 1]).scores for i in range(5)])
    assert np.array_equal(whole.scores[:5], alone)
    order = np.random.default_rng(0).permutation(len(images))
    assert np.array_equal(fitted.inspect(images[order]).scores, whole.scores[order])
    assert np.array_equal(fitted.inspect(images[order]).maps, whole.maps[order])


def test_every_channel_counts(fitted: Any, images: np.ndarray) -> None:
    before = fitted.inspect(images).scores
    for channel in range(3):
        altered = images.copy()
        altered[:, channel, 10:20, 10:20] = images[:, channel].max()
        assert (fitted.inspect(altered).scores != before).mean() > 0.9


def test_saved_and_loaded_it_says_the_same(fitted: Any, images: np.ndarray, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    assert read_json(tmp_path / "settings.json")["channels"] == 3
    loaded = Anomae.load(tmp_path, CPU)
    assert loaded.channels == 3
    assert np.array_equal(loaded.inspect(images).scores, fitted.inspect(images).scores)
    before, after = fitted.pretext(images[:8]), loaded.pretext(images[:8])
    assert all(np.array_equal(before[name], after[name], equal_nan=True) for name in before)


def test_the_same_seed_gives_the_same(form: str, fitted: Any, images: np.ndarray, tmp_path: Path) -> None:
    again = make(**FORMS[form]).fit(Slices(images), seed=0, folder=tmp_path)
    assert np.array_equal(again.inspect(images).scores, fitted.inspect(images).scores)


def test_images_unlike_those_fitted_on_are_refused(fitted: Any, images: np.ndarray) -> None:
    with_nan = images.copy()
    with_nan[0, 1, 2, 3] = np.nan
    wrong = {
        r"3 channel\(s\); these images have 1": images[:, :1],
        r"3 channel\(s\); these images have 4": np.concatenate([images, images[:, :1]], axis=1),
        "32x32 pixels": images[..., :24],
        "shape": images[:, 0],
        "no image": images[:0],
        "not finite": with_nan,
    }
    for message, given in wrong.items():
        for asked in (fitted.inspect, fitted.pretext):
            with pytest.raises(UserError, match=message):
                asked(given)


def test_a_lesion_is_found_in_all_channels_and_in_one(
    images: np.ndarray, spotted_heads: tuple[np.ndarray, np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    settings = recipe_settings()
    head = {**settings["head"], "training": {**settings["head"]["training"], "steps": 250}}
    some = {**settings["lesions"], "families": ("blob", "fill", "mass")}
    detector = Anomae(AnomaeSettings.model_validate({**settings, "pool": 1024, "head": head, "lesions": some}))
    fitted = detector.fit(Slices(images), seed=0, folder=tmp_path)
    spotted, labels, discs = spotted_heads
    inside = discs[labels == 1].ravel()
    in_all = fitted.inspect(three_channels(spotted))
    assert roc_auc_score(labels, in_all.scores) > 0.65
    assert roc_auc_score(inside, in_all.maps[labels == 1].ravel()) > 0.8
    alone = three_channels(spotted[labels == 0])
    alone[:, :1] = one_channel(spotted[labels == 1])  # the disc is in the first channel alone
    assert roc_auc_score(inside, fitted.inspect(alone).maps.ravel()) > 0.8
