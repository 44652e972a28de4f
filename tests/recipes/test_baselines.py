"""Settings of the baselines: each holds at every scale, and is found again from what a run writes of it."""

import pytest

from anomae.recipes.baselines import BASELINES, SCALES, baseline_settings


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", BASELINES)
def test_settings_hold_at_every_scale(name: str, scale: str) -> None:
    settings = baseline_settings(name, scale)
    assert type(settings).model_validate_json(settings.model_dump_json()) == settings
    assert settings.device.devices == 1
