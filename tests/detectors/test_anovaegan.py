"""AnoVAEGAN: it learns what healthy looks like, finds what is bright, and keeps the original's ways as settings."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.metrics import roc_auc_score

from anomae.detectors.adversarial_settings import Length
from anomae.detectors.anovaegan.detector import AnoVaeGan, FittedAnoVaeGan
from anomae.detectors.anovaegan.settings import AnoVaeGanSettings
from anomae.errors import UserError
from anomae.slices.store import Slices
from anomae.training.settings import DeviceSettings

CPU = DeviceSettings(accelerator="cpu")
SMALL = AnoVaeGanSettings(
    width=8, latent=8, dropout=0.0, critic_steps=1, lr=2e-3, training=Length(steps=80, batch=8), device=CPU
)


def changed(**settings: Any) -> AnoVaeGanSettings:
    return AnoVaeGanSettings(**{**dict(SMALL), **settings})


@pytest.fixture(scope="module")
def stripes(learned: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    return learned(AnoVaeGan(SMALL), tmp_path_factory.mktemp("fit"), 32)


def test_it_rebuilds_healthy_images_and_finds_lesions(stripes: Any) -> None:
    assert stripes.error < 0.5
    assert roc_auc_score(stripes.labels, stripes.findings.scores) > 0.9


def test_what_it_says_hangs_together(stripes: Any) -> None:
    findings, scale = stripes.findings, stripes.fitted.fitted.scale
    assert np.array_equal(findings.maps, np.abs(stripes.new - findings.reconstructions)[:, 0])
    assert np.array_equal(findings.scores, findings.other_scores["mae"])
    healthy = findings.maps[:40].mean(axis=(1, 2)) / scale.spans[0]  # nothing of them is cut off
    np.testing.assert_allclose(findings.scores[:40], healthy, rtol=0.01)
    other = FittedAnoVaeGan(changed(score="peak"), stripes.fitted.fitted)
    assert np.array_equal(other.inspect(stripes.new).scores, findings.other_scores["peak"])


def test_a_latent_that_is_drawn_in_use_is_another(stripes: Any) -> None:
    drawn = FittedAnoVaeGan(changed(test_latent="sample"), stripes.fitted.fitted)
    first = drawn.inspect(stripes.new[:8])
    assert not np.array_equal(first.scores, stripes.findings.scores[:8])
    assert np.array_equal(first.scores, drawn.inspect(stripes.new[7::-1]).scores[::-1])


def test_each_original_way_of_training_is_another_fit(few_stripes: Slices, tmp_path: Path) -> None:
    def weights(name: str, **settings: Any) -> bytes:
        length = Length(steps=2, batch=4)
        detector = AnoVaeGan(changed(training=length, **settings))
        detector.fit(few_stripes, seed=0, folder=tmp_path / name).save(tmp_path / name / "fitted")
        return (tmp_path / name / "fitted" / "weights.safetensors").read_bytes()

    fits = [
        weights("plain"),
        weights("columns", slope_of="columns"),
        weights("dropout", dropout=0.5),
        weights("both", dropout=0.5, dropout_on="both"),
        weights("critic", critic_steps=2),
    ]
    assert len(set(fits)) == len(fits)
    assert weights("again") == fits[0]


def test_the_defaults_are_the_originals_numbers() -> None:
    settings = AnoVaeGanSettings()
    assert (settings.lr, settings.betas, settings.latent, settings.critic_steps) == (1e-4, (0.5, 0.9), 128, 5)
    assert (settings.dropout, settings.penalty_weight, settings.training.batch) == (0.1, 10.0, 128)
    assert settings.training.total_steps(15_557, 128) == 2431  # 20 epochs


def test_a_length_is_given_once_and_percentiles_rise() -> None:
    for wrong in ({"batch": 4}, {"batch": 4, "steps": 3, "epochs": 1.0}):
        with pytest.raises(ValidationError, match="exactly one of epochs and steps"):
            Length(**wrong)
    with pytest.raises(ValidationError, match="must rise"):
        AnoVaeGanSettings(percentiles=(99.0, 1.0))
    for betas in ((1.5, 0.9), (0.5, 1.0), (-0.1, 0.9)):  # what Adam refuses, in words of its own, once it trains
        with pytest.raises(ValidationError, match="betas"):
            AnoVaeGanSettings(betas=betas)
    with pytest.raises(ValidationError, match="Extra inputs"):
        AnoVaeGanSettings(colour="red")  # type: ignore[call-arg]


def test_what_it_cannot_do_is_said(few_stripes: Slices, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="15x20 pixels; prepare them with even sides"):
        AnoVaeGan(SMALL).fit(Slices(np.zeros((2, 15, 20))), seed=0, folder=tmp_path)
    two = changed(device=DeviceSettings(accelerator="cpu", devices=2))
    with pytest.raises(UserError, match="one device"):
        AnoVaeGan(two).fit(few_stripes, seed=0, folder=tmp_path)
