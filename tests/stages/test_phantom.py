"""Stage `phantom`: a new folder, never somebody else's."""

import pytest

from anomae.errors import UserError
from anomae.stages.phantom import phantom


def test_it_writes_a_new_folder_and_says_how_far_it_is(watched, tmp_path, capsys):
    out = phantom(tmp_path / "new", layout="lgg", count=2, seed=1, shape=(8, 16, 16))
    assert out == tmp_path / "new"
    assert (out / "patients.csv").is_file()
    assert "2/2 patients" in capsys.readouterr().err


def test_an_empty_folder_is_taken_and_silence_kept(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    phantom(str(tmp_path / "empty"), layout="arrays", count=2, shape=(8, 16, 16))
    assert (tmp_path / "empty/slices.npz").is_file()
    assert capsys.readouterr().err == ""


def test_what_is_there_is_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("keep")
    for out in (tmp_path / "mine", tmp_path / "mine/notes.txt"):
        with pytest.raises(UserError, match="not an empty folder"):
            phantom(out, count=1, shape=(8, 16, 16))
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_options_are_handed_on(tmp_path):
    phantom(tmp_path / "set", layout="folder", count=2, shape=(8, 16, 16), file_format="nrrd")
    assert (tmp_path / "set/healthy/patient_001/scan.nrrd").is_file()
    with pytest.raises(UserError, match="brats2020"):
        phantom(tmp_path / "other", layout="brats2077")
