"""Mean image and Gaussian of each pixel: what numpy says of all slices at once."""

from pathlib import Path

import numpy as np
import pytest

from anomae.detectors.baselines import healthy_blocks
from anomae.detectors.baselines.mean_image import MeanImage
from anomae.detectors.baselines.pixel_gaussian import PixelGaussian
from anomae.detectors.baselines.settings import MeanImageSettings, PixelGaussianSettings
from anomae.errors import UserError
from anomae.slices.store import Slices


def varied(count: int, seed: int, side: int = 24) -> np.ndarray:
    """Gaussian images whose values each have a mean and a deviation (0.5 to 2) of their own, (count, 2, side, side)."""
    of_pixels, shape = np.random.default_rng(0), (2, side, side)
    mean, deviation = of_pixels.normal(size=shape), of_pixels.uniform(0.5, 2, shape)
    return (mean + deviation * np.random.default_rng(seed).normal(size=(count, *shape))).astype(np.float32)


@pytest.fixture(params=[1, 7, 1000])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(healthy_blocks, "BLOCK", request.param)


@pytest.mark.usefixtures("block")
def test_mean_and_variance_are_those_of_all_slices_at_once() -> None:
    images = varied(50, 1)
    healthy = Slices(images, np.arange(40))
    mean = healthy_blocks.pixel_mean(healthy)
    np.testing.assert_allclose(mean, images[:40].astype(np.float64).mean(axis=0), rtol=1e-12)
    variance = healthy_blocks.pixel_variance(healthy, mean)
    np.testing.assert_allclose(variance, images[:40].astype(np.float64).var(axis=0), rtol=1e-12)


def test_the_mean_image_is_what_healthy_looks_like(tmp_path: Path) -> None:
    images = varied(40, 1)
    findings = MeanImage(MeanImageSettings()).fit(Slices(images), seed=0, folder=tmp_path).inspect(images[:3])
    mean = images.mean(axis=0, dtype=np.float64)
    np.testing.assert_allclose(findings.reconstructions, np.stack([mean] * 3), rtol=1e-6)
    np.testing.assert_allclose(findings.maps, np.abs(images[:3] - mean).mean(axis=1), atol=1e-6)
    np.testing.assert_allclose(findings.scores, np.abs(images[:3] - mean).mean(axis=(1, 2, 3)), rtol=1e-6)


def test_a_healthy_image_scores_about_one_and_one_of_twice_the_deviation_four(tmp_path: Path) -> None:
    gaussian = PixelGaussian(PixelGaussianSettings(shrinkage=1e-6)).fit(Slices(varied(800, 1)), seed=0, folder=tmp_path)
    new = varied(200, 2)
    assert gaussian.inspect(new).scores.mean() == pytest.approx(1, abs=0.02)
    mean = gaussian.fitted.mean
    assert mean.shape == (2, 24, 24)
    wider = mean + 2 * (new - mean)
    np.testing.assert_allclose(gaussian.inspect(wider).scores, 4 * gaussian.inspect(new).scores, rtol=1e-4)


def test_without_shrinkage_the_map_is_the_z_score_and_with_all_of_it_one_deviation_serves_all(tmp_path: Path) -> None:
    images = varied(60, 1)
    mean, deviation = images.mean(axis=0, dtype=np.float64), images.std(axis=0, dtype=np.float64)
    of_channels = np.sqrt(np.mean(deviation**2, axis=(1, 2), keepdims=True))
    for shrinkage, used in ((1e-9, deviation), (1.0, of_channels)):
        settings = PixelGaussianSettings(shrinkage=shrinkage)
        findings = PixelGaussian(settings).fit(Slices(images), seed=0, folder=tmp_path).inspect(images[:4])
        distances = np.abs(images[:4] - mean) / used
        np.testing.assert_allclose(findings.maps, distances.mean(axis=1), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(findings.scores, np.square(distances).mean(axis=(1, 2, 3)), rtol=1e-4)


def test_where_healthy_slices_do_not_vary_a_difference_counts_but_is_bounded(tmp_path: Path) -> None:
    images = varied(60, 1)[:, :1]
    images[:, :, :12] = 0  # air
    gaussian = PixelGaussian(PixelGaussianSettings()).fit(Slices(images), seed=0, folder=tmp_path)
    spotted = images[:1].copy()
    spotted[0, 0, 3, 3] = 0.1
    heat = gaussian.inspect(spotted).maps[0]
    assert heat[3, 3] == pytest.approx(0.1 / np.sqrt(0.1 * images.var(axis=0).mean()), rel=1e-4)
    assert heat[3, 4] == 0


def test_slices_that_are_all_the_same_have_no_deviation(tmp_path: Path) -> None:
    alike = Slices(np.ones((5, 8, 8), dtype=np.float32))
    with pytest.raises(UserError, match="All healthy slices are the same"):
        PixelGaussian(PixelGaussianSettings()).fit(alike, seed=0, folder=tmp_path)
    images = varied(5, 1)
    images[:, 1] = 3
    with pytest.raises(UserError, match=r"Channel 1 .* is the same in all healthy slices"):
        PixelGaussian(PixelGaussianSettings()).fit(Slices(images), seed=0, folder=tmp_path)


def test_slices_that_are_no_numbers_are_refused_at_once(tmp_path: Path) -> None:
    images = varied(5, 1)
    images[3, 0, 2, 2] = np.nan
    with pytest.raises(UserError, match="not finite; prepare its store again"):
        MeanImage(MeanImageSettings()).fit(Slices(images), seed=0, folder=tmp_path)
