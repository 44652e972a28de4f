"""Settings from the command line and from files: typed, and unknown keys name near misses."""

from pathlib import Path

import pytest

from anomae.detectors.mae_classifier.recipes import named_recipe
from anomae.detectors.method import Situation
from anomae.detectors.registry import DETECTORS, method_named
from anomae.errors import UserError
from anomae.recipes.overrides import layered, overridden, parse_assignments, read_overrides, settable
from anomae.recipes.preparation import preparation_for
from anomae.slices.settings import PrepareSettings

SMALL = named_recipe("small", "paper", (96, 96))


def test_values_are_read_as_what_they_are() -> None:
    parsed = parse_assignments(["a=1", "b=1e-3", "c=true", "d=[1, 2]", "e=none", "f=encoder", "g=x=y", "h=True"])
    assert parsed == {"a": 1, "b": 1e-3, "c": True, "d": [1, 2], "e": None, "f": "encoder", "g": "x=y", "h": True}
    with pytest.raises(UserError, match="key=value"):
        parse_assignments(["patch"])


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 5000, "{a=" * 5000])
def test_what_is_too_large_for_python_is_text(value: str, tmp_path: Path) -> None:
    assert parse_assignments([f"a={value}"]) == {"a": value}
    (tmp_path / "a.toml").write_text(f"a = {value}")
    with pytest.raises(UserError, match="cannot be read as TOML settings"):
        read_overrides(tmp_path / "a.toml")


def test_a_key_may_be_shortened_while_it_is_unique() -> None:
    assert overridden(SMALL, {"mask_ratio": 0.5}).autoencoder.mask_ratio == 0.5
    with pytest.raises(UserError, match=r"ambiguous: autoencoder\.patch, classifier\.patch"):
        overridden(SMALL, {"patch": 8})


def test_setting_epochs_unsets_steps() -> None:
    changed = overridden(SMALL, {"autoencoder.training.epochs": 3, "classifier.training.warmup_epochs": 1})
    assert (changed.autoencoder.training.epochs, changed.autoencoder.training.steps) == (3, None)
    assert changed.classifier.training.warmup_steps is None


@pytest.mark.parametrize(
    ("key", "meant"),
    [("autoencoder.mask_rato", "mask_ratio"), ("maskratio", "mask_ratio"), ("classifier.lr", "training.lr")],
)
def test_unknown_keys_name_near_misses(key: str, meant: str) -> None:
    with pytest.raises(UserError, match=f"Did you mean .*{meant}"):
        overridden(SMALL, {key: 1})


def test_wrong_values_say_which_key_and_what_was_given() -> None:
    with pytest.raises(UserError, match=r"autoencoder\.mask_ratio: .*less than 1.*1\.5"):
        overridden(SMALL, {"autoencoder.mask_ratio": 1.5})
    with pytest.raises(UserError, match="k_min"):
        overridden(SMALL, {"pseudo_abnormal.k_min": 20})


def test_our_own_sentences_stand_without_the_prefix_of_pydantic() -> None:
    with pytest.raises(UserError, match=r"^These settings do not hold: image_size must lie between 8 and 4096 pixels"):
        overridden(PrepareSettings(), {"image_size": 0})
    with pytest.raises(UserError, match=r"hold: autoencoder\.training: give exactly one of epochs and steps"):
        overridden(SMALL, {"autoencoder.training.steps": None})


def test_a_toml_file_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[autoencoder]\nmask_ratio = 0.6\n[autoencoder.training]\nlr = 1e-4\n")
    assert read_overrides(path) == {"autoencoder.mask_ratio": 0.6, "autoencoder.training.lr": 1e-4}
    path.write_text("[autoencoder\n")
    with pytest.raises(UserError, match="TOML"):
        read_overrides(path)
    with pytest.raises(UserError, match="cannot be read"):
        read_overrides(tmp_path / "none.toml")


def test_the_intensity_follows_the_preparation_unless_it_is_said() -> None:
    plain = preparation_for("folder")
    body = overridden(plain, {"preparation": "body"})
    assert (plain.scaled_by, body.scaled_by) == ("percentile", "median")
    assert overridden(plain, {"preparation": "body", "intensity": "percentile"}).scaled_by == "percentile"


def test_what_shapes_the_settings_is_replaced_first() -> None:
    """Members of an ensemble say which settings there are, whatever the order in which they are given."""
    usual = method_named("ensemble").settings(Situation("small", "paper", (64, 64), modality="flair"))
    assert usual.members == ("anomae", "dae")
    given = {"rd4ad.training.steps": 7, "pca.components": 3, "members": "anomae,rd4ad,pca"}
    found = overridden(usual, given)
    assert found.members == ("anomae", "rd4ad", "pca")
    assert found.of("rd4ad").training.steps == 7
    assert found.of("pca").components == 3
    with pytest.raises(UserError, match=r"There is no setting 'rd4ad\.training\.steps'"):
        overridden(usual, {"rd4ad.training.steps": 7})
    with pytest.raises(UserError, match=r"There is no setting 'dae\.width'"):
        overridden(usual, {"members": "anomae,pca", "dae.width": 8})


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_numbers_that_are_none_are_refused(value):
    for name in ("dae", "mae-classifier", "one-line", "anovaegan"):
        settings = DETECTORS[name].settings(Situation("small", "paper", (64, 64), 1, False, None))
        for key in settable(settings):
            part = settings.model_dump()
            for step in key.split("."):
                part = part[step]
            if isinstance(part, float):
                with pytest.raises(UserError, match="finite"):
                    overridden(settings, {key: value})


def test_what_an_ensemble_was_prepared_from_is_not_set():
    settings = DETECTORS["ensemble"].settings(Situation("small", "paper", (64, 64), 1, False, None))
    for key in ("situation", "situation.modality", "modality"):
        with pytest.raises(UserError, match="There is no setting"):
            overridden(settings, {key: "flair"})
    assert overridden(settings, {"members": ["pca", "mean-image"]}).members == ("pca", "mean-image")


@pytest.mark.parametrize("name", DETECTORS)
def test_layer_decay_is_set_where_it_acts_alone(name: str) -> None:
    """It was taken, and written into run.json, by trainings that never looked at it."""
    settings = DETECTORS[name].settings(Situation("small", "paper", (64, 64), 1, False, None))
    taken = [key for key in settable(settings) if key.endswith("layer_decay")]
    assert taken == (["classifier.training.layer_decay"] if name == "mae-classifier" else [])
    if name == "mae-classifier":
        assert overridden(settings, {"layer_decay": 0.5}).classifier.training.layer_decay == 0.5
    with pytest.raises(UserError, match="There is no setting"):
        overridden(settings, {"autoencoder.training.layer_decay": 0.5})


@pytest.mark.parametrize("key", ["denoiser.device.precision", "denoiser.score", "top_share", "autoencoder.error"])
def test_what_has_no_effect_in_anomae_is_not_taken(key: str) -> None:
    settings = DETECTORS["anomae"].settings(Situation("small", "paper", (64, 64), 1, False, None))
    with pytest.raises(UserError, match=f"There is no setting '{key}' to be set here: it has no effect"):
        overridden(settings, {key: "fp32"})
    assert overridden(settings, {"precision": "fp32"}).device.precision == "fp32"


def test_both_of_a_pair_are_refused_whatever_their_order() -> None:
    """The last one named won without a word."""
    both = {"autoencoder.training.epochs": 1, "autoencoder.training.steps": 5}
    for given in (both, dict(reversed(both.items()))):
        with pytest.raises(UserError, match=r"Set one of autoencoder\.training\.\w+ and autoencoder\.\S+, not both"):
            overridden(SMALL, given)
    one = overridden(SMALL, {**both, "autoencoder.training.epochs": None}).autoencoder.training
    assert (one.epochs, one.steps) == (None, 5)


@pytest.mark.parametrize("name", DETECTORS)
def test_what_is_set_later_wins_however_the_keys_are_spelled(name: str) -> None:
    usual = method_named(name).settings(Situation("small", "paper", (96, 96)))
    known = settable(usual)
    for key in known:
        if not key.endswith((".steps", ".epochs")):
            continue
        other = {"steps": "epochs", "epochs": "steps"}[key.rpartition(".")[2]]
        wanted = overridden(usual, {key: 3})
        for short in [key[at:] for at in range(len(key)) if at == 0 or key[at - 1] == "."]:
            if sum(f".{one}".endswith(f".{short}") for one in known) == 1:
                earlier = f"{key.rpartition('.')[0]}.{other}"
                assert overridden(usual, layered({earlier: 2}, {short: 3})) == wanted
                assert (
                    overridden(usual, layered({f"{short.rpartition('.')[0]}.{other}".strip("."): 2}, {key: 3}))
                    == wanted
                )


def test_of_two_layers_neither_hides_what_is_wrong() -> None:
    steps = {"autoencoder.training.steps": 5}
    with pytest.raises(UserError, match="'epochs' is ambiguous"):
        overridden(SMALL, layered({"epochs": 3}, steps))
    with pytest.raises(UserError, match="not both"):
        overridden(SMALL, layered({}, steps | {"autoencoder.training.epochs": 3}))
    other = {"classifier.training.epochs": 3}
    assert layered(other, steps) == other | steps
    kept = layered({"autoencoder.training.epochs": 3}, {"autoencoder.training.steps": None})
    assert overridden(SMALL, kept).autoencoder.training.epochs == 3
