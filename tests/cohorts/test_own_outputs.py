"""Folders that this program wrote are known by what lies in them, and no others are."""

import json
from pathlib import Path

import pytest

from anomae.cohorts.own_outputs import is_output_folder, without_outputs

OURS = {
    "scoring.json": {"detector": "mae", "overlay_scale": None},
    "run.json": {"store_fingerprint": "x", "settings": {}},
    "prepare.json": {"fingerprint": "x", "settings": {}},
}


@pytest.mark.parametrize("name", OURS)
def test_ours_is_known_and_one_of_that_name_is_not(tmp_path: Path, name: str) -> None:
    scan, inner = tmp_path / "p1" / "scan.nii", tmp_path / "out" / "maps" / "scan.nii"
    inner.parent.mkdir(parents=True)
    (tmp_path / "out" / name).write_text(json.dumps(OURS[name]))
    assert without_outputs([scan, inner], tmp_path) == ([scan], [tmp_path / "out"])
    for other in ('{"subject": 1}', "[]", "no JSON", "\udce9".encode("utf-8", "surrogateescape").decode("latin-1")):
        (tmp_path / "out" / name).write_text(other, encoding="utf-8")
        assert without_outputs([scan, inner], tmp_path) == ([scan, inner], [])


@pytest.mark.parametrize("line", [{"format": "anomae scoring 2"}, {"request": {"cohort": "folder"}}])
def test_one_that_was_stopped_is_known_by_its_journal(tmp_path: Path, line: dict) -> None:
    assert not is_output_folder(tmp_path)
    (tmp_path / "journal.jsonl").write_text(json.dumps(line) + "\n{")
    assert is_output_folder(tmp_path)
    (tmp_path / "journal.jsonl").write_text(json.dumps({"step": 1}) + "\n")
    assert not is_output_folder(tmp_path)
