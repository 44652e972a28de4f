"""Which of `--set` belong to the cohort and which to the preparation, and which of them wins."""

from pathlib import Path

import pytest

from anomae.cli.settings import cohort_and_preparation, collected
from anomae.cohorts.folder import Folder
from anomae.cohorts.registry import open_cohort
from anomae.errors import UserError
from anomae.recipes.preparation import preparation_for


def test_the_content_of_a_folder_says_how_it_is_prepared() -> None:
    options, settings = cohort_and_preparation("folder", ["content=brain-mri", "brain_mask=nonzero"], None)
    assert options == {"content": "brain-mri"}
    assert settings == preparation_for("folder", "brain-mri").model_copy(update={"brain_mask": "nonzero"})
    assert (settings.preparation, settings.image_size) == ("brain", (128, 128))


def test_a_preparation_that_is_named_wins_over_the_content() -> None:
    _, settings = cohort_and_preparation("folder", ["content=pictures", "preparation=plain", "image_size=32"], None)
    assert (settings.preparation, settings.image_size, settings.scaled_by) == ("plain", (32, 32), "percentile")


def test_only_a_folder_has_a_content() -> None:
    with pytest.raises(UserError, match="There is no setting 'content'"):
        cohort_and_preparation("lgg", ["content=pictures"], None)


@pytest.mark.parametrize("name", ["none", "Null", "nan", "true", "1e5", "2020-01-01", "inf"])
def test_classes_may_be_called_what_numbers_and_switches_are(name: str) -> None:
    options, _ = cohort_and_preparation("folder", [f"healthy_name={name}", f"healthy={name}", "colour=true"], None)
    assert options == {"healthy_name": name, "healthy": name, "colour": True}
    folder = open_cohort("folder", "x", table="cases.csv", **options)
    assert isinstance(folder, Folder)


def test_none_is_no_text() -> None:
    with pytest.raises(UserError, match="The option healthy cannot be None"):
        open_cohort("folder", "x", healthy=None)
    assert cohort_and_preparation("brats", ["channel=none"], None)[0] == {"channel": None}


def test_the_command_line_wins_over_the_file_where_one_of_a_pair_holds(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[training]\nepochs = 3\nlr = 1e-3\n")
    for key in ("training.steps", "steps"):
        assert collected([f"{key}=5"], file) == {"training.epochs": None, "training.lr": 1e-3, key: 5}
    kept = {"training.epochs": 3, "training.lr": 1e-3, "training.steps": None}
    assert collected(["training.steps=none"], file) == kept
