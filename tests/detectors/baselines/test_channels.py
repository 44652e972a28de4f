"""The baselines without a teacher on images of three channels: what holds for one channel holds for three."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anomae.detectors.registry import method_named
from anomae.errors import UserError
from anomae.files import read_json
from anomae.slices.store import Slices
from anomae.training.journal import Journal

SIDE, CHANNELS = 16, 3
BRIEF = {"width": 8, "latent": 8, "critic_steps": 2, "training": {"steps": 4, "batch": 8}}
FEW = {"steps": 4, "batch": 8, "lr": 1e-3}
FORMS: dict[str, dict[str, Any]] = {
    "anovaegan": BRIEF,
    "anovaegan: original": {**BRIEF, "slope_of": "columns", "dropout_on": "both", "test_latent": "sample"},
    "fanogan: unified": {**BRIEF, "encoder_training": {"steps": 4, "batch": 8}},
    "fanogan: schlegl": {**BRIEF, "arch": "schlegl", "encoder_training": {"steps": 4, "batch": 8}},
    "dae": {"width": 8, "halvings": 2, "training": FEW},
    "draem": {"width": 8, "segmentation_width": 8, "halvings": 2, "training": FEW},
    "conv-autoencoder": {"width": 8, "latent": 8, "training": FEW},
    "pca": {"components": 4},
    "pixel-gaussian": {},
    "mean-image": {},
    "one-line: mean": {"measure": "mean"},
    "one-line: spot": {"measure": "brightest_spot_9"},
}
UNTRAINED = ("pca", "pixel-gaussian", "mean-image", "one-line")


def discs(count: int, seed: int) -> np.ndarray:
    """A disc of some radius in each of three channels, of another brightness, (count, 3, SIDE, SIDE) float32."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    radius, greys = random.uniform(0.2, 0.45, (count, 1, 1, 1)), random.uniform(0.3, 1, (count, CHANNELS, 1, 1))
    scales = np.array([1, 20, 300])[:, None, None]
    return (scales * greys * (np.hypot(x, y) < radius)).astype(np.float32)


HEALTHY, NEW = Slices(discs(24, 0)), discs(6, 1)


def made(form: str, **device: Any) -> Any:
    detector = method_named(form.partition(":")[0]).detector
    settings = {**FORMS[form], "device": {"accelerator": "cpu", "precision": "fp32", **device}}
    return detector(detector.settings_type.model_validate(settings))


@pytest.fixture(scope="module", params=list(FORMS))
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def fitted(form: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return made(form).fit(HEALTHY, seed=3, folder=tmp_path_factory.mktemp("fit"))


def test_findings_have_their_shapes_and_a_map_is_named(fitted: Any) -> None:
    findings = fitted.inspect(NEW)
    assert findings.scores.shape == (len(NEW),)
    assert len(np.unique(findings.scores)) == len(NEW)
    assert (findings.maps is None) == (fitted.map_name == "")
    if findings.maps is not None:
        assert findings.maps.shape == (len(NEW), SIDE, SIDE)
        assert findings.maps.dtype == np.float32
        assert findings.reconstructions.shape == NEW.shape


def test_every_channel_is_looked_at(fitted: Any) -> None:
    plain = fitted.inspect(NEW)
    for channel in range(CHANNELS):
        altered = NEW.copy()
        altered[:, channel] = altered[:, channel].max() - altered[:, channel]
        findings = fitted.inspect(altered)
        assert (findings.scores != plain.scores).all()
        assert findings.maps is None or not np.array_equal(findings.maps, plain.maps)


def test_a_residual_map_is_the_mean_of_the_channels(form: str, fitted: Any) -> None:
    findings = fitted.inspect(NEW)
    if fitted.map_name != "absolute residual, prepared intensity":
        assert form in ("dae", "draem", "pixel-gaussian") or findings.maps is None
        return
    np.testing.assert_allclose(findings.maps, np.abs(NEW - findings.reconstructions).mean(axis=1), rtol=1e-5)


def test_a_score_does_not_depend_on_company(fitted: Any) -> None:
    whole = fitted.inspect(NEW)
    assert np.array_equal(fitted.inspect(NEW[::-1]).scores[::-1], whole.scores)
    assert np.array_equal(fitted.inspect(NEW[2:3]).scores, whole.scores[2:3])


def test_saved_and_loaded_it_says_the_same(fitted: Any, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    content = read_json(tmp_path / "settings.json")
    assert (content["channels"], content["image_size"]) == (CHANNELS, [SIDE, SIDE])
    loaded = method_named(fitted.name).detector.load(tmp_path, fitted.settings.device)
    assert type(loaded) is type(fitted)
    assert loaded.settings == fitted.settings
    again, before = loaded.inspect(NEW), fitted.inspect(NEW)
    assert np.array_equal(again.scores, before.scores)
    assert again.maps is None or np.array_equal(again.maps, before.maps)


def test_what_was_fitted_before_there_were_channels_is_refused(fitted: Any, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    settings = tmp_path / "settings.json"
    settings.write_text(settings.read_text().replace('"channels"', '"others"'))
    with pytest.raises(UserError, match="had no channels; fit anew"):
        method_named(fitted.name).detector.load(tmp_path)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (NEW[:, :1], "fitted on 3 channel"),
        (NEW[:, 0], "channels, height, width"),
        (NEW[..., :8], "16x16 pixels"),
        (NEW[:0], "no image"),
        (np.full_like(NEW, np.nan), "not finite"),
    ],
)
def test_images_unlike_those_fitted_on_are_refused(fitted: Any, images: np.ndarray, said: str) -> None:
    with pytest.raises(UserError, match=said):
        fitted.inspect(images)


@pytest.mark.parametrize("trained", [form for form in FORMS if form.partition(":")[0] not in UNTRAINED])
def test_stopped_it_goes_on_to_the_same(trained: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = made(trained).fit(HEALTHY, seed=3, folder=tmp_path / "whole")
    take, left = Journal.take, 3

    def stopping(self: Journal, *given: Any, **facts: Any) -> str:
        nonlocal left
        if left == 0:
            raise KeyboardInterrupt
        left -= 1
        return take(self, *given, **facts)

    monkeypatch.setattr(Journal, "take", stopping)
    with pytest.raises(KeyboardInterrupt):
        made(trained, checkpoint_minutes=1e-9).fit(HEALTHY, seed=3, folder=tmp_path / "cut")
    left = 100
    continued = made(trained, checkpoint_minutes=1e-9).fit(HEALTHY, seed=3, folder=tmp_path / "cut")
    assert np.array_equal(continued.inspect(NEW).scores, whole.inspect(NEW).scores)


def test_what_is_fitted_does_not_change(fitted: Any) -> None:
    with pytest.raises(AttributeError):
        fitted.settings = None
