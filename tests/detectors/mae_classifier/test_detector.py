"""The paper's detector, on images of one and of three channels, and in both profiles."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from anomae.detectors.mae_classifier.detector import PseudoAbnormalClassifier
from anomae.detectors.mae_classifier.fitted import FittedPseudoAbnormalClassifier
from anomae.detectors.mae_classifier.method import METHOD
from anomae.detectors.mae_classifier.pseudo_abnormal import alter, alter_once, keep_samples
from anomae.detectors.method import Situation
from anomae.detectors.settings import PseudoAbnormalSettings
from anomae.errors import UserError
from anomae.files import read_json
from anomae.models.reconstruction_errors import ERRORS
from anomae.recipes.overrides import overridden
from anomae.slices.store import Slices

SIDE = 16
SHORT = {
    "autoencoder.patch": 4,
    "classifier.patch": 4,
    "autoencoder.training.steps": 15,
    "classifier.training.steps": 15,
    "device.accelerator": "cpu",
}
BOXES = PseudoAbnormalSettings(k_min=1, k_max=3, side_min=3, side_max=6)


def settings_of(profile: str = "paper", **changes: Any) -> Any:
    recipe = METHOD.recipe(Situation("phantom", profile, (SIDE, SIDE)))  # type: ignore[arg-type]
    return overridden(recipe, {**SHORT, **changes})


def blobs(count: int, channels: int, seed: int) -> np.ndarray:
    """(count, channels, SIDE, SIDE) float32: discs of random radius on nothing, each channel of its own brightness."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    inside = np.hypot(x, y) < random.uniform(0.25, 0.45, (count, 1, 1, 1))
    return np.where(inside, random.uniform(0.4, 1.0, (count, channels, 1, 1)), 0.0).astype(np.float32)


def fit(settings: Any, channels: int, folder: Path, **more: Any) -> FittedPseudoAbnormalClassifier:
    return PseudoAbnormalClassifier(settings).fit(Slices(blobs(24, channels, 0)), seed=3, folder=folder, **more)


@pytest.fixture(scope="module", params=[1, 3])
def channels(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fit")


@pytest.fixture(scope="module")
def fitted(channels: int, folder: Path) -> FittedPseudoAbnormalClassifier:
    return fit(settings_of(), channels, folder / str(channels))


def test_findings_are_what_the_protocol_says(fitted: FittedPseudoAbnormalClassifier, channels: int) -> None:
    images = blobs(6, channels, 1)
    findings = fitted.inspect(images)
    assert ((findings.scores > 0) & (findings.scores < 1)).all()
    assert findings.reconstructions is not None
    assert findings.maps is not None
    assert findings.reconstructions.shape == images.shape
    np.testing.assert_allclose(findings.maps, np.abs(images - findings.reconstructions).mean(axis=1), rtol=1e-6)
    assert tuple(findings.other_scores) == ERRORS
    assert (fitted.name, fitted.map_name) == ("mae-classifier", "absolute residual, prepared intensity")


def test_it_keeps_pictures_of_what_it_learned_from(
    fitted: FittedPseudoAbnormalClassifier, channels: int, folder: Path
) -> None:
    with np.load(folder / str(channels) / "samples" / "pseudo_abnormal.npz", allow_pickle=False) as kept:
        samples = {name: kept[name] for name in kept.files}
    assert samples.keys() == {"images", "reconstructions", "pseudo_abnormal"}
    assert all(pictures.shape[1:] == (SIDE, SIDE) for pictures in samples.values())
    assert not np.array_equal(samples["reconstructions"], samples["pseudo_abnormal"])
    grey = {blob.tobytes() for blob in blobs(24, channels, 0).mean(axis=1, dtype=np.float32)}
    assert all(picture.tobytes() in grey for picture in samples["images"])


def test_pictures_are_of_images_with_content_in_any_channel(tmp_path: Path) -> None:
    images = np.zeros((30, 2, SIDE, SIDE), np.float32)
    images[10:15, 1, 4:8, 4:8] = 1
    keep_samples(tmp_path / "kept.npz", Slices(images), Slices(images), BOXES, 0)
    with np.load(tmp_path / "kept.npz", allow_pickle=False) as kept:
        assert kept["images"].any(axis=(1, 2)).all()


def test_saved_and_loaded_it_says_the_same(
    fitted: FittedPseudoAbnormalClassifier, channels: int, tmp_path: Path
) -> None:
    fitted.save(tmp_path)
    content = read_json(tmp_path / "settings.json")
    assert (content["detector"], content["channels"], content["image_size"]) == ("mae-classifier", channels, [16, 16])
    loaded = PseudoAbnormalClassifier.load(tmp_path, fitted.settings.device)
    images = blobs(6, channels, 1)
    assert np.array_equal(loaded.inspect(images).scores, fitted.inspect(images).scores)
    assert np.array_equal(loaded.pretext(images)["boxes"], fitted.pretext(images)["boxes"])


def test_the_pretext_task_depends_on_each_image_alone(fitted: FittedPseudoAbnormalClassifier, channels: int) -> None:
    images = blobs(7, channels, 1)
    altered = fitted.pretext(images)
    assert altered.keys() == set(fitted.trained_families) == {"boxes"}
    assert altered["boxes"].dtype == np.float64
    assert not np.array_equal(altered["boxes"], fitted.inspect(images).scores)
    assert np.array_equal(fitted.pretext(images[::-1])["boxes"], altered["boxes"][::-1])
    assert np.array_equal(fitted.pretext(images[2:3])["boxes"], altered["boxes"][2:3])


def test_where_boxes_change_nothing_the_pretext_task_gives_the_score_of_inspect(channels: int, tmp_path: Path) -> None:
    """So the two can be compared.  Boxes pull towards 0.5, and the images are 0.5 all over."""
    settings = settings_of(**{"classifier.input": "image", "pseudo_abnormal.intensity_origin": 0.5})
    fitted = fit(settings, channels, tmp_path)
    flat = np.full((3, channels, SIDE, SIDE), 0.5, np.float32)
    assert np.array_equal(fitted.pretext(flat)["boxes"], fitted.inspect(flat).scores)
    other = blobs(3, channels, 1)
    assert not np.array_equal(fitted.pretext(other)["boxes"], fitted.inspect(other).scores)


def test_it_learns_to_tell_what_was_altered(tmp_path: Path) -> None:
    steps = {"autoencoder.training.steps": 60, "classifier.training.steps": 120, "classifier.training.lr": 2e-3}
    batch = {"autoencoder.training.batch": 16, "classifier.training.batch": 16}
    large = {"pseudo_abnormal.side_min": 6, "pseudo_abnormal.side_max": 10}
    fitted = fit(settings_of(**steps, **batch, **large), 3, tmp_path)
    images = blobs(40, 3, 1)
    altered, untouched = fitted.pretext(images)["boxes"], fitted.inspect(images).scores
    assert (altered[:, None] > untouched).mean() > 0.8


def test_without_a_masked_autoencoder_there_is_no_map(channels: int, tmp_path: Path) -> None:
    fitted = fit(settings_of(**{"classifier.input": "image"}), channels, tmp_path / "fit")
    findings = fitted.inspect(blobs(6, channels, 1))
    assert (findings.maps, findings.reconstructions, fitted.map_name) == (None, None, "")
    fitted.save(tmp_path / "saved")
    assert not (tmp_path / "saved" / "autoencoder").exists()
    loaded = PseudoAbnormalClassifier.load(tmp_path / "saved", fitted.settings.device)
    assert np.array_equal(loaded.inspect(blobs(6, channels, 1)).scores, findings.scores)


def test_images_unlike_those_that_were_fitted_on_are_refused(
    fitted: FittedPseudoAbnormalClassifier, channels: int
) -> None:
    good = blobs(2, channels, 1)
    lost = good.copy()
    lost[0, 0, 0, 0] = np.nan
    for images in (good[:, 0], good[:0], good[:, :, :8], np.repeat(good, 2, axis=1), lost):
        for judge in (fitted.inspect, fitted.pretext):
            with pytest.raises(UserError):
                judge(images)


def test_the_released_profile_chooses_by_labels(channels: int, tmp_path: Path) -> None:
    settings = settings_of("released")
    assert PseudoAbnormalClassifier(settings).chooses_by_labels()
    assert not PseudoAbnormalClassifier(settings_of()).chooses_by_labels()
    images, labels = blobs(12, channels, 4), np.repeat([0, 1], 6).astype(np.int8)
    images[6:, :, 4:9, 4:9] = 2
    for refused in ({}, {"validation": (Slices(images), np.zeros(12, np.int8))}):
        with pytest.raises(UserError, match="labelled healthy and abnormal validation images"):
            fit(settings, channels, tmp_path / "refused", **refused)
    fitted = fit(settings, channels, tmp_path / "fit", validation=(Slices(images), labels))
    assert ((fitted.inspect(images).scores > 0) & (fitted.inspect(images).scores < 1)).all()


def test_an_encoder_of_another_size_is_no_start(tmp_path: Path) -> None:
    settings = settings_of(**{"classifier.start": "encoder", "classifier.patch": 8})
    with pytest.raises(UserError, match=r"classifier\.start=scratch"):
        fit(settings, 1, tmp_path)


def test_boxes_are_the_same_in_all_channels() -> None:
    images = torch.rand(5, 3, SIDE, SIDE) + 1
    altered = alter(images, BOXES, torch.Generator().manual_seed(0))
    factor = altered / images
    assert (factor < 0.999).any()
    torch.testing.assert_close(factor, factor[:, :1].expand_as(factor))


def test_boxes_lie_on_tissue_of_any_channel() -> None:
    images = torch.zeros(60, 2, SIDE, SIDE)
    images[:, 1, 12:, 12:] = 1.0  # the first channel is empty
    inside = BOXES.model_copy(update={"inside_body": True, "side_min": 1, "side_max": 1, "k_max": 1})
    changed = (alter(images, inside, torch.Generator().manual_seed(0)) != images)[:, 1]
    assert changed[:, 12:, 12:].any(dim=(1, 2)).all()


def test_boxes_drawn_once_depend_on_the_reconstruction_alone() -> None:
    images = blobs(5, 3, 0)
    altered = alter_once(images, BOXES, 7)
    assert altered.shape == images.shape
    assert np.array_equal(alter_once(images[3:4], BOXES, 7), altered[3:4])
    assert not np.array_equal(alter_once(images, BOXES, 8), altered)


def test_the_method_has_both_profiles() -> None:
    assert (METHOD.name, METHOD.profiles) == ("mae-classifier", ("paper", "released"))
