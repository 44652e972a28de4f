"""What a run was begun with: the same goes on, anything else is refused, where and how often it computes apart."""

from pathlib import Path
from typing import Any

import pytest

from anomae.errors import UserError
from anomae.files import read_json, write_json
from anomae.runs.begun import begin, refuse_other
from anomae.runs.run import Run

FACTS: dict[str, Any] = {
    "store": "s",
    "store_fingerprint": "f",
    "detector": "ensemble",
    "recipe": "small",
    "profile": "paper",
    "seed": 0,
    "settings": {"members": "dae,pca", "settings": {"dae": {"width": 8, "device": {"checkpoint_minutes": 5}}}},
    "computed": {"precision": "fp32", "devices": 1, "nodes": 1},
}


def test_it_is_written_once_and_the_same_goes_on(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    assert begin(run, FACTS)
    assert not begin(run, FACTS)
    assert read_json(run.folder / "run.json") == FACTS


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": 1}, "begun with other seed"),
        ({"store_fingerprint": "g"}, "begun with other store_fingerprint"),
        ({"settings": {"members": "pca"}}, "begun with other members"),
        ({"settings": {**FACTS["settings"], "settings": {"dae": {"width": 9}}}}, "begun with other settings"),
        ({"computed": {"precision": "bf16", "devices": 1, "nodes": 1}}, "add --set device.precision=fp32"),
        ({"left_out": {"train": 1, "validation": 0}}, "learned from other slices"),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    run = Run(tmp_path)
    begin(run, FACTS)
    with pytest.raises(UserError, match=said):
        refuse_other(run, {**FACTS, **changes})
    assert read_json(tmp_path / "run.json") == FACTS


def test_how_often_a_member_keeps_a_checkpoint_may_change(tmp_path: Path) -> None:
    begin(Run(tmp_path), FACTS)
    member = {"dae": {"width": 8, "device": {"checkpoint_minutes": 1}}}
    refuse_other(Run(tmp_path), {**FACTS, "settings": {**FACTS["settings"], "settings": member}})


def test_what_is_no_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    write_json(tmp_path / "folder" / "mine.json", {})
    with pytest.raises(UserError, match="is not empty and is not a run"):
        begin(Run(tmp_path / "folder"), FACTS)
    with pytest.raises(UserError, match="is a file"):
        begin(Run(tmp_path / "folder" / "mine.json"), FACTS)
