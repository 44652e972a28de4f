"""The paper's recipes: the text, the released code, and what holds in all of them."""

import pytest

from anomae.detectors.mae_classifier.recipes import PROFILES, RECIPES, named_recipe, recipe_for
from anomae.errors import UserError
from anomae.recipes.overrides import overridden


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_holds_in_every_profile(name: str, profile: str) -> None:
    settings = named_recipe(name, profile, (64, 64))
    assert type(settings).model_validate_json(settings.model_dump_json()) == settings


def test_profile_paper_is_the_text() -> None:
    """PAPER.md: sections 3 and 4 of the paper."""
    settings = named_recipe("brats2020", "paper", (224, 224))
    autoencoder, boxes, classifier = settings.autoencoder, settings.pseudo_abnormal, settings.classifier
    assert (autoencoder.size, autoencoder.mask_ratio, autoencoder.passes) == ("base", 0.75, 4)
    assert (autoencoder.training.epochs, classifier.training.epochs) == (1600, 100)
    assert (boxes.k_min, boxes.k_max, boxes.side_min, boxes.side_max) == (1, 10, 10, 40)
    assert (classifier.training.lr, classifier.training.weight_decay) == (1e-3, 0.05)
    assert (classifier.input, classifier.choice, classifier.label_smoothing) == ("l1", "last", 0)
    luna = named_recipe("luna16", "paper", (64, 64)).pseudo_abnormal
    assert (luna.side_min, luna.side_max) == (5, 12)


def test_profile_released_is_the_code() -> None:
    """What the released code does otherwise than the text."""
    settings = named_recipe("brats2020", "released", (224, 224))
    boxes, classifier = settings.pseudo_abnormal, settings.classifier
    assert (boxes.k_min, boxes.k_max, boxes.side_min, boxes.side_max) == (1, 9, 10, 39)
    assert (classifier.training.lr, classifier.training.layer_decay) == (5e-4, 0.75)
    assert (classifier.label_smoothing, classifier.drop_path, classifier.erase) == (0.1, 0.1, 0.25)
    assert (classifier.start, classifier.positives, classifier.boxes) == ("encoder", "separate", "frozen")
    assert classifier.choice == "validation_auroc"
    assert classifier.empty == "dropped"
    assert settings.autoencoder.training.lr == 7.5e-5
    autoencoder = settings.autoencoder
    assert (autoencoder.mask_ratio, autoencoder.use_mask_ratio, autoencoder.ssim_range) == (0.75, 0.85, 2.0)


def test_profile_released_on_luna16_is_from_scratch_and_reconstructs_as_it_was_trained() -> None:
    for name in ("luna16", "luna16-patches"):
        settings = named_recipe(name, "released", (64, 64))
        assert (settings.classifier.start, settings.autoencoder.use_mask_ratio) == ("scratch", None)
        assert settings.autoencoder.ssim_range == 2.0
    paper = named_recipe("luna16", "paper", (64, 64))
    assert (paper.autoencoder.use_mask_ratio, paper.autoencoder.ssim_range, paper.classifier.empty) == (
        None,
        1.0,
        "altered",
    )


@pytest.mark.parametrize("name", RECIPES)
def test_what_starts_from_the_encoder_has_its_size(name: str) -> None:
    settings = named_recipe(name, "released", (64, 64))
    own, wanted = settings.autoencoder, settings.classifier
    assert (wanted.size, wanted.patch) == (own.size, own.patch)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_stands_for_images_that_no_patch_fits(name: str) -> None:
    """The detector `anomae` takes its autoencoder's settings from there and fits none; the user may set a patch."""
    settings = named_recipe(name, "paper", (218, 182))
    assert settings.autoencoder.patch == settings.classifier.patch == 16


@pytest.mark.parametrize("scale", [(-1.0, 0.5), (2.0, 3.0), (0.9, 0.2), (0.0, 0.0), (0.0, 1.0)])
def test_crops_that_cannot_be_are_refused(scale: tuple[float, float]) -> None:
    """They trained without a word, or blamed the learning rate."""
    settings = named_recipe("phantom", "paper", (32, 32))
    for network in ("autoencoder", "classifier"):
        with pytest.raises(UserError, match="must rise, from above 0 to 1"):
            overridden(settings, {f"{network}.crop_scale": scale})
        assert getattr(overridden(settings, {f"{network}.crop_scale": (0.5, 0.5)}), network).crop_scale == (0.5, 0.5)


def test_unknown_recipes_name_near_misses() -> None:
    with pytest.raises(UserError, match="Did you mean brats2020"):
        named_recipe("brats2021", "paper", (64, 64))
    with pytest.raises(UserError, match="Did you mean paper"):
        named_recipe("small", "papr", (64, 64))  # type: ignore[arg-type]
    assert (recipe_for("lgg"), recipe_for("folder")) == ("lgg", "small")
