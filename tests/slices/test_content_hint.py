"""Recommended: brain preparation where all scans are MR of heads or of no named part, a window where all are CT."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anomae.files import write_json
from anomae.slices.content_hint import brain_sentence, ct_sentence
from anomae.slices.index import COLUMNS
from anomae.slices.store import SliceStore

MR = {"modality": "MR", "body_part": "HEAD"}


def store(folder: Path, *cases: dict[str, str], **changed: Any) -> SliceStore:
    """A store whose scans have these headers."""
    np.save(folder / "slices.npy", np.zeros((1, 1, 8, 8), np.float16))
    known = {"row": "0", "case": "0", "patient": "0", "slice": "0", "split": "train", "label": "0", "empty": "0"}
    (folder / "index.csv").write_text(f"{','.join(COLUMNS)}\n{','.join(known.get(name, '') for name in COLUMNS)}\n")
    write_json(folder / "cases.json", {str(number): case for number, case in enumerate(cases)})
    facts = {"format": 2, "cohort": "folder", "options": {}, "settings": {"preparation": "plain"}}
    write_json(folder / "prepare.json", {**facts, **changed})
    return SliceStore(folder)


def test_it_is_recommended_for_heads(tmp_path: Path) -> None:
    said = brain_sentence(store(tmp_path, MR, {**MR, "body_part": "Brain "}))
    assert said.startswith("all 2 scans are DICOM MR of a head; if they are brains")
    assert "--set content=brain-mri" in said


@pytest.mark.parametrize("cases", [[{"modality": "MR"}], [{"modality": "MR"}, MR]])
def test_it_is_said_where_no_part_is_named(cases: list[dict[str, str]], tmp_path: Path) -> None:
    assert "of a head or of a part that is not named; if they are brains" in brain_sentence(store(tmp_path, *cases))


@pytest.mark.parametrize(
    "cases",
    [
        [{}],  # no DICOM: NIfTI, pictures
        [MR, {}],
        [MR, {"modality": "CT", "body_part": "HEAD"}],
        [MR, {"modality": "MR", "body_part": "KNEE"}],
        [],
    ],
)
def test_nothing_is_said_of_other_scans(cases: list[dict[str, str]], tmp_path: Path) -> None:
    assert brain_sentence(store(tmp_path, *cases)) == ""


@pytest.mark.parametrize(
    "changed",
    [
        {"options": {"content": "other"}},
        {"settings": {"preparation": "body"}},
        {"cohort": "lgg"},
    ],
)
def test_nothing_is_said_where_the_user_has_chosen(changed: dict[str, Any], tmp_path: Path) -> None:
    assert brain_sentence(store(tmp_path, MR, **changed)) == ""


CT = {"modality": "CT", "body_part": "CHEST"}
AUTO = {"settings": {"preparation": "plain", "intensity": "auto"}}


@pytest.mark.parametrize("preparation", ["plain", "body"])
def test_a_window_is_recommended_for_ct(preparation: str, tmp_path: Path) -> None:
    said = ct_sentence(store(tmp_path, CT, CT, settings={"preparation": preparation, "intensity": "auto"}))
    assert said.startswith("all 2 scans are DICOM CT and were scaled one by one")
    assert "--set intensity=window" in said


@pytest.mark.parametrize(
    ("cases", "changed"),
    [
        ([CT, MR], AUTO),
        ([CT, {}], AUTO),
        ([], AUTO),
        ([CT], {"settings": {"preparation": "plain", "intensity": "window"}}),
        ([CT], {**AUTO, "cohort": "luna16"}),
    ],
)
def test_no_window_is_recommended_otherwise(
    cases: list[dict[str, str]], changed: dict[str, Any], tmp_path: Path
) -> None:
    assert ct_sentence(store(tmp_path, *cases, **changed)) == ""
