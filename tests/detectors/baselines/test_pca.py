"""PCA read a block at a time: scikit-learn's on all slices at once."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA

from anomae.detectors.baselines import healthy_blocks
from anomae.detectors.baselines.pca import FittedPrincipalComponents, PrincipalComponents
from anomae.detectors.baselines.settings import PrincipalComponentsSettings
from anomae.slices.store import Slices

SIDE = 16


def correlated(count: int, seed: int) -> np.ndarray:
    """Smooth waves of falling strength and a little noise, (count, 1, SIDE, SIDE): every direction has variance."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    waves = np.stack([np.cos(np.pi * (i * x + j * y)) for i in range(6) for j in range(6)])
    strengths = random.normal(size=(count, len(waves))) * 0.8 ** np.arange(len(waves))
    images = 2 + np.tensordot(strengths, waves, 1) + 0.01 * random.normal(size=(count, SIDE, SIDE))
    return images[:, None].astype(np.float32)


def fitted(images: np.ndarray, folder: Path, seed: int = 0, **settings: int) -> FittedPrincipalComponents:
    detector = PrincipalComponents(PrincipalComponentsSettings(**settings))
    return detector.fit(Slices(images), seed=seed, folder=folder)


@pytest.mark.parametrize("components", [1, 5, 20])
def test_it_rebuilds_what_the_pca_of_scikit_learn_rebuilds(components: int, tmp_path: Path) -> None:
    healthy, new = correlated(300, 0), correlated(10, 1)
    flat = new.reshape(len(new), -1).astype(np.float64)
    reference = PCA(components, svd_solver="full").fit(healthy.reshape(len(healthy), -1).astype(np.float64))
    rebuilt = reference.inverse_transform(reference.transform(flat)).reshape(new.shape)
    findings = fitted(healthy, tmp_path, components=components).inspect(new)
    np.testing.assert_allclose(findings.reconstructions, rebuilt, atol=2e-3)
    np.testing.assert_allclose(findings.scores, np.square(new - rebuilt).mean(axis=(1, 2, 3)), rtol=2e-3)
    np.testing.assert_allclose(findings.maps, np.abs(new - findings.reconstructions)[:, 0], atol=1e-6)


def test_with_as_many_components_as_slices_span_they_come_back_whole(tmp_path: Path) -> None:
    healthy = correlated(30, 0)
    detector = fitted(healthy, tmp_path, components=1000)
    assert detector.fitted.arrays["components"].shape == (29, 1, SIDE, SIDE)
    findings = detector.inspect(healthy)
    np.testing.assert_allclose(findings.reconstructions, healthy, atol=1e-5)
    assert findings.scores.max() < 1e-10 < detector.inspect(correlated(5, 1)).scores.min()


def test_components_are_orthonormal_and_more_of_them_rebuild_more(tmp_path: Path) -> None:
    healthy, new = correlated(100, 0), correlated(5, 1)
    flat = fitted(healthy, tmp_path, components=12).fitted.arrays["components"].reshape(12, -1)
    np.testing.assert_allclose(flat @ flat.T, np.eye(12), atol=1e-5)
    scores = [fitted(healthy, tmp_path, components=count).inspect(new).scores for count in (2, 8, 32)]
    assert (scores[0] > scores[1]).all()
    assert (scores[1] > scores[2]).all()


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_blocks_do_not_matter(block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    healthy, new = correlated(60, 0), correlated(5, 1)
    usual = fitted(healthy, tmp_path, components=6).inspect(new)
    monkeypatch.setattr(healthy_blocks, "BLOCK", block)
    np.testing.assert_allclose(fitted(healthy, tmp_path, components=6).inspect(new).scores, usual.scores, rtol=1e-5)


def test_channels_are_rebuilt_together(tmp_path: Path) -> None:
    """Against scikit-learn's PCA of all values, and one channel that follows from the other needs no component more."""
    one, new = correlated(200, 0), correlated(10, 1)
    both, seen = (np.concatenate([images, 3 - 2 * images], axis=1) for images in (one, new))
    reference = PCA(6, svd_solver="full").fit(both.reshape(len(both), -1).astype(np.float64))
    flat = seen.reshape(len(seen), -1).astype(np.float64)
    rebuilt = reference.inverse_transform(reference.transform(flat)).reshape(seen.shape)
    findings = fitted(both, tmp_path, components=6).inspect(seen)
    np.testing.assert_allclose(findings.reconstructions, rebuilt, atol=5e-3)
    np.testing.assert_allclose(findings.maps, np.abs(seen - findings.reconstructions).mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(findings.reconstructions[:, 1], 3 - 2 * findings.reconstructions[:, 0], atol=1e-3)
    alone = fitted(one, tmp_path, components=6).inspect(new)
    np.testing.assert_allclose(findings.scores, 2.5 * alone.scores, rtol=1e-2)  # the mean of 1 and 4 times as much


def test_slices_that_are_all_the_same_are_rebuilt_by_their_mean_alone(tmp_path: Path) -> None:
    alike = np.repeat(correlated(1, 0), 5, axis=0)
    detector = fitted(alike, tmp_path, components=3)
    np.testing.assert_allclose(detector.inspect(correlated(2, 1)).reconstructions, alike[:2], rtol=1e-6)
