"""A folder of DICOM results: written once, anew where other results are asked for, and honest about what is missing."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from anomae.dicom_results.folder import DicomFolder, remove_outdated
from anomae.errors import UserError
from anomae.inference.decision import Rules, rules_of
from anomae.inference.study import Study


@pytest.fixture
def study(scans: Callable) -> Study:
    return scans("MR", "axial")[2]


def opened(folder: Path, study: Study, kinds: str = "sr", root: str | None = None, rules: Rules | None = None):
    return DicomFolder(folder, kinds, root, rules or study.decision.rules, False)


def test_results_are_there_once_and_anew_where_something_else_is_asked(tmp_path: Path, study: Study) -> None:
    results = opened(tmp_path, study)
    assert not results.is_complete("scan")
    results.write(study)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scan-sr.dcm", "scan.json"]
    assert opened(tmp_path, study).is_complete("scan")
    assert not opened(tmp_path, study).is_complete("another")
    assert not opened(tmp_path, study, kinds="sr,pm").is_complete("scan")
    assert not opened(tmp_path, study, root="1.2").is_complete("scan")
    assert not opened(tmp_path, study, rules=rules_of(None, threshold=0.3)).is_complete("scan")
    (tmp_path / "scan.json").write_text('{"files": 3')
    assert not opened(tmp_path, study).is_complete("scan")
    results.write(study)
    (tmp_path / "scan-sr.dcm").unlink()
    assert not opened(tmp_path, study).is_complete("scan")


def test_what_is_missing_is_said_now_and_when_it_is_not_written_again(tmp_path: Path, study: Study) -> None:
    bare = replace(study, result=replace(study.result, map=None), regions=None)
    opened(tmp_path, study, kinds="sr,pm").write(bare)
    again = opened(tmp_path, study, kinds="sr,pm")
    assert again.is_complete("scan")
    assert again.notes == {"scan": ["No scan-pm.dcm: this detector draws no map."]}
    again.say_what_is_missing(1)


def test_a_scan_that_is_no_dicom_is_refused_and_others_are_not(tmp_path: Path, study: Study) -> None:
    results = opened(tmp_path, study)
    results.write(study)
    results.write(replace(study, name="picture", volume=None))
    assert set(results.refused) == {"picture"}
    results.say_what_is_missing(2)
    again = opened(tmp_path, study)
    assert again.is_complete("picture")
    with pytest.raises(UserError, match=r"1 of 1 scan.*a picture in colour is none"):
        again.say_what_is_missing(1)


def test_wrong_orders_are_refused_before_anything(tmp_path: Path, study: Study) -> None:
    for kinds, root in (("seg,xyz", None), ("seg", "nine")):
        with pytest.raises(UserError):
            opened(tmp_path / "out", study, kinds=kinds, root=root)
    assert not (tmp_path / "out").exists()


def test_results_of_a_scan_whose_files_are_gone_are_refused(
    tmp_path: Path, scans: Callable, study_of: Callable
) -> None:
    folder = Path(shutil.copytree(scans("MR", "axial")[0], tmp_path / "scan"))
    study = study_of(folder)
    shutil.rmtree(folder)
    results = opened(tmp_path / "out", study)
    results.write(study)
    assert "is missing" in results.refused["scan"]


def test_results_that_a_scoring_without_dicom_left_behind_are_removed(tmp_path: Path, study: Study) -> None:
    rules, folder = study.decision.rules, tmp_path / "dicom"
    assert remove_outdated(folder, {"one"}, rules, False) == 0
    for name in ("one", "two", "one-2"):
        opened(folder, study).write(replace(study, name=name))
    (folder / "notes.json").write_text('{"files": ["two-sr.dcm"]}')  # none of ours
    (folder / "else.dcm").touch()
    assert remove_outdated(folder, set(), rules, False) == 0
    assert remove_outdated(folder, {"one"}, rules, False) == 1
    left = ["else.dcm", "notes.json", "one-2-sr.dcm", "one-2.json", "two-sr.dcm", "two.json"]
    assert sorted(path.name for path in folder.iterdir()) == left
    assert remove_outdated(folder, set(), rules_of(None, threshold=0.3), False) == 2
    assert sorted(path.name for path in folder.iterdir()) == ["else.dcm", "notes.json"]
