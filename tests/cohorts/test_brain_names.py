"""The names in a folder that say brain: one look a folder, whatever lies in it, and never a stale one."""

import os

import pytest

from anomae.cohorts import brain_names
from anomae.cohorts.brain_files import brain_file, is_brain_file, unused_brains
from anomae.cohorts.file_roles import stem_of
from anomae.cohorts.mask_pairing import RoleSettings, pair


def folder_of(folder, scan, brain, count):
    paths = [folder / name.format(each) for each in range(count) for name in (scan, brain)]
    for path in paths:
        path.touch()
    os.utime(folder, (1e9, 1e9))  # as if it had been written long ago
    return sorted(paths)


@pytest.mark.parametrize(
    ("scan", "brain"),
    [("case{}.nii.gz", "case{}_Brain_Mask.nii.gz"), ("sub-{}_T1w.nii.gz", "sub-{}_desc-brain_mask.nii.gz")],
)
def test_the_work_grows_as_the_number_of_files(tmp_path, monkeypatch, scan, brain):
    calls = {"folders": 0, "stems": 0}

    def counted(name, call):
        def count(*args):
            calls[name] += 1
            return call(*args)

        return count

    monkeypatch.setattr(brain_names.os, "scandir", counted("folders", os.scandir))
    for where in ("brain_names", "brain_files", "mask_pairing"):
        monkeypatch.setattr(f"anomae.cohorts.{where}.stem_of", counted("stems", stem_of))
    paths = folder_of(tmp_path, scan, brain, 60)
    found = pair(paths, tmp_path, RoleSettings(classes=False))
    assert (len(found.lesions), len(found.brains)) == (60, 60)
    assert unused_brains(found.brains, found.lesions) == []
    assert calls["folders"] == 1
    assert calls["stems"] <= 12 * len(paths)


@pytest.mark.parametrize("settled", [False, True])
def test_a_folder_that_was_changed_is_looked_at_again(tmp_path, settled):
    scan, brain = tmp_path / "a.nii", tmp_path / "a_brain.nii"
    scan.touch()
    if settled:
        os.utime(tmp_path, (1e9, 1e9))
    for _ in range(20):
        assert brain_file(scan) is None
        brain.touch()
        assert brain_file(scan) == brain
        assert is_brain_file(brain)
        brain.unlink()


def test_of_several_brains_the_usual_name_is_taken(tmp_path):
    names = ["a-BET-mask.nii", "a_BRAIN.nii", "a_bet.nii.gz", "a_brain.npy", "a_brain_mask.nii", "sub_brain.nii"]
    for name in ("a.nii", *names):
        (tmp_path / name).touch()
    for wanted in ("a_brain.npy", "a_brain_mask.nii", "a_bet.nii.gz", "a-BET-mask.nii", "a_BRAIN.nii", None):
        assert brain_file(tmp_path / "a.nii") == (tmp_path / wanted if wanted else None)
        if wanted:
            (tmp_path / wanted).unlink()
