"""Members of an ensemble and their settings."""

from dataclasses import asdict

import pytest

from anomae.detectors.ensemble.settings import EnsembleSettings
from anomae.detectors.method import Situation
from anomae.detectors.registry import method_named
from anomae.errors import UserError
from anomae.recipes.overrides import overridden, settable
from anomae.training.settings import DeviceSettings

CPU = DeviceSettings(accelerator="cpu")
SITUATION = Situation("phantom", "paper", (32, 32))


def settings(members: str) -> EnsembleSettings:
    return EnsembleSettings.model_validate({"members": members, "situation": asdict(SITUATION), "device": CPU})


def test_members_have_settings_of_their_own() -> None:
    usual = settings("anomae,dae")
    alone = method_named("dae").settings(SITUATION)
    assert usual.of("dae") == alone.model_copy(update={"device": CPU})
    changed = overridden(usual, {"dae.width": 16, "device.accelerator": "auto"})
    assert changed.of("dae").width == 16
    assert changed.of("anomae").device.accelerator == "auto"
    other = overridden(usual, {"members": "dae,pca"})
    assert (other.members, set(other.settings)) == (("dae", "pca"), {"dae", "pca"})


@pytest.mark.parametrize("key", ["anomae.denoiser.score", "dae.training.layer_decay", "anomae.device.precision"])
def test_settings_of_members_without_effect_are_not_taken(key: str) -> None:
    usual = settings("anomae,dae")
    assert f"settings.{key}" not in settable(usual)
    with pytest.raises(UserError, match="to be set here: it has no effect, or follows from others"):
        overridden(usual, {key: 0.5})


def test_a_recipe_that_a_member_refuses_is_the_users_and_no_defect() -> None:
    """pydantic's own error came out of the recipe."""
    with pytest.raises(UserError, match=r"^There is no recipe 'smal'\. Did you mean small"):
        method_named("ensemble").settings(Situation("smal", "paper", (32, 32)))


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        ("dae", "two or more"),
        ("dae,dae", "two or more"),
        ("dae,ensemble", "no member of another"),
        ("dae,pcaa", "Did you mean pca"),
    ],
)
def test_members_that_cannot_be_are_refused(members: str, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        overridden(settings("anomae,dae"), {"members": members})
