"""Stage `phantom`: a new folder, never somebody else's."""

import subprocess
import sys

import pytest

from anomae.errors import UserError
from anomae.locks import locked
from anomae.phantoms import layouts
from anomae.stages.phantom import phantom


def names_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


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
    with pytest.raises(UserError, match="cannot be written as"):
        phantom(tmp_path / "other", layout="lgg", file_format="png")
    assert not (tmp_path / "other").exists()


def interrupted(*_):
    raise KeyboardInterrupt  # as Ctrl-C does; a shell's background processes ignore the signal itself


def test_what_was_stopped_or_killed_is_written_by_the_same_command(tmp_path, monkeypatch):
    """The command line says so; it was refused, as the folder was not empty."""
    asked = {"layout": "lgg", "count": 2, "shape": (8, 16, 16)}
    whole = names_below(phantom(tmp_path / "whole", **asked))
    out = tmp_path / "new"
    with monkeypatch.context() as stopped:
        stopped.setattr(layouts.Silent, "advance", interrupted)
        with pytest.raises(KeyboardInterrupt):
            phantom(out, **asked)
    assert not out.exists()
    (out / ".part-phantom").mkdir(parents=True)
    (out / ".part-phantom" / "left.csv").touch()
    with locked(out), pytest.raises(UserError, match="Another process"):
        phantom(out, **asked)
    assert names_below(phantom(out, **asked)) == whole


@pytest.mark.parametrize("layout", ["brats2020", "dicom", "lgg-tiffs"])
def test_a_full_disk_is_told_in_one_sentence_with_the_file(tmp_path, layout):
    """A limit on file sizes stands for one; pydicom puts a trace of the program into the words of the system."""
    program = (
        "import resource, signal, sys\n"
        "from anomae.cli import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        f"sys.argv = ['anomae', 'phantom', 'out', '--layout', '{layout}', '--count', '1']\n"
        "main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 2, ended.stderr
    (said,) = [line for line in ended.stderr.splitlines() if line.startswith("anomae: ")]
    assert said.startswith("anomae: out/")
    assert not {"Traceback", "defect"} & set(said.split())
    assert not (tmp_path / "out").exists()
