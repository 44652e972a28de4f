"""Settings of the preparation: what they accept, what they refuse, and how they say it."""

import pytest

from anomae.cohorts.registry import COHORTS
from anomae.errors import UserError
from anomae.recipes.preparation import preparation_for, reproduction_preparation
from anomae.slices.settings import PrepareSettings, settings_from
from anomae.stages.demo import PICTURES_PREPARED


def test_one_number_is_a_square():
    assert settings_from({"image_size": 32}).image_size == (32, 32)
    assert settings_from({"image_size": [48, 32]}).image_size == (48, 32)


@pytest.mark.parametrize(("intensity", "stored_as"), [("none", "float32"), ("percentile", "float16")])
def test_unscaled_images_are_stored_with_more_digits(intensity, stored_as):
    assert settings_from({"intensity": intensity}).stored_as == stored_as
    assert settings_from({"intensity": intensity, "store_type": "float16"}).stored_as == "float16"


def test_they_come_back_from_json():
    settings = settings_from({"image_size": (64, 48), "intensity": "window", "window_hu": (-160, 240)})
    assert settings_from(settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"image_size": 4}, "image_size"),
        ({"image_size": "big"}, "image_size"),
        ({"image_size": (64, 64, 64)}, "image_size"),
        ({"intensity": "zscore"}, "intensity"),
        ({"window_hu": (400, -1000)}, "window_hu"),
        ({"window_hu": (float("nan"), 1)}, "window_hu"),
        ({"percentile": 0}, "percentile"),
        ({"body_threshold": 1.0}, "body_threshold"),
        ({"neighbours": 4}, "neighbours"),
        ({"neighbours": -1}, "neighbours"),
        ({"imagesize": 64}, "imagesize"),
    ],
)
def test_what_does_not_hold_is_said_in_one_sentence(content, said):
    with pytest.raises(UserError, match=said) as refused:
        settings_from(content)
    assert "\n" not in str(refused.value)


def test_what_model_copy_changed_is_checked():
    assert PrepareSettings().model_copy(update={"image_size": 32}).checked().image_size == (32, 32)
    with pytest.raises(UserError, match="percentile"):
        PrepareSettings().model_copy(update={"percentile": 120}).checked()


def test_they_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        PrepareSettings().percentile = 1.0


@pytest.mark.parametrize("cohort", COHORTS)
def test_those_of_every_cohort_hold(cohort):
    assert preparation_for(cohort).checked() == preparation_for(cohort)


def test_those_of_the_cohorts_are_what_they_were():
    """Attributes of the cohorts now; a table of this package before."""
    told = {
        "brats2020": {"image_size": 224, "preparation": "brain", "brain_mask": "nonzero"},
        "brats": {"image_size": 224, "preparation": "brain", "brain_mask": "nonzero"},
        "bmad": {"image_size": 64},
        "medianomaly": {"image_size": 64},
        "medmnist": {"image_size": 48, "intensity": "full_range"},
        "covid-radiography": {"image_size": 64},
        "luna16": {"image_size": 64, "intensity": "hu/100"},
        "lgg": {"image_size": 128, "preparation": "brain"},
        "folder": {"image_size": 64},
        "arrays": {"image_size": 48, "intensity": "full_range"},
        "phantom": {"image_size": 64, "intensity": "percentile"},
    }
    assert {name: preparation_for(name) for name in COHORTS} == {name: settings_from(told[name]) for name in COHORTS}
    with pytest.raises(UserError, match="Did you mean lgg"):
        preparation_for("lg")


def test_a_folder_is_prepared_as_what_it_is_said_to_hold():
    brain = settings_from({"image_size": 128, "preparation": "brain"})
    assert preparation_for("folder", "brain-mri") == brain == preparation_for("lgg")
    assert preparation_for("folder", "pictures") == PICTURES_PREPARED
    assert (PICTURES_PREPARED.preparation, PICTURES_PREPARED.scaled_by) == ("body", "percentile")
    assert PICTURES_PREPARED.image_size == (128, 128)
    assert preparation_for("folder", "other") == preparation_for("folder", "") == preparation_for("folder")


def test_the_paper_prepared_whole_slices_and_patches_as_they_are():
    plain = {name: reproduction_preparation(name, "plain") for name in COHORTS}
    for name in ("brats", "brats2020", "lgg"):
        size = preparation_for(name).image_size
        assert plain[name] == settings_from({"image_size": size, "intensity": "percentile"})
    for name in ("luna16", "arrays", "folder", "phantom", "bmad", "medmnist"):
        assert plain[name] == preparation_for(name)
    assert reproduction_preparation("brats2020", "brain").brain_mask == "nonzero"
    assert reproduction_preparation("folder", "brain").preparation == "brain"
    for name in ("luna16", "arrays", "medmnist", "bmad"):
        with pytest.raises(UserError, match="no brains"):
            reproduction_preparation(name, "brain")


def test_the_intensity_follows_the_preparation_if_none_is_named():
    assert settings_from({}).scaled_by == "percentile"
    for preparation in ("brain", "body"):
        assert settings_from({"preparation": preparation}).scaled_by == "median"
        assert settings_from({"preparation": preparation, "intensity": "percentile"}).scaled_by == "percentile"
    assert settings_from({"intensity": "median"}).scaled_by == "median"


def test_bias_is_corrected_within_a_body_only():
    assert settings_from({"preparation": "body", "bias_correction": "n4"}).bias_correction == "n4"
    with pytest.raises(UserError, match="bias_correction needs preparation=brain"):
        settings_from({"bias_correction": "n4"})
