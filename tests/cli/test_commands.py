"""The command line: help at once and without torch, exit codes, and one sentence for what is wrong."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest

from anomae import __version__
from anomae.cli import main
from anomae.errors import UserError
from anomae.slices.index import read_index
from anomae.volumes.read import read_volume
from anomae.volumes.write import write_picture

FIVE = ("prepare", "fit", "score", "evaluate", "compare", "demo", "phantom", "inspect-data", "recipes")


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["anomae", *arguments])
    code = 0
    try:
        main()
    except SystemExit as left:
        code = int(left.code or 0)
    written = capsys.readouterr()
    return code, written.out, written.err


@pytest.fixture
def anomae(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    return lambda *arguments: run(monkeypatch, capsys, *arguments)


def test_help_names_every_command_and_each_has_its_own(anomae) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = anomae("--help")
    assert code == 0
    for command in FIVE:
        assert command in out
        code, own, _ = anomae(command, "--help")
        assert code == 0
        assert "Usage: anomae " + command in own


def test_version(anomae) -> None:  # type: ignore[no-untyped-def]
    assert anomae("--version")[:2] == (0, f"anomae {__version__}\n")


def test_help_loads_neither_torch_nor_readers() -> None:
    program = (
        "import sys; sys.argv = ['anomae', 'fit', '--help']\n"
        "from anomae.cli import main\n"
        "try:\n    main()\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'SimpleITK', 'sklearn', 'matplotlib', 'pydicom', 'scipy', 'skimage'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("prepare", "bratz", "here", "there"), "Did you mean brats"),
        (("prepare", "lgg", "nowhere", "there"), "nowhere"),
        (("prepare", "lgg", "nowhere", "there", "--set", "image_sise=32"), "Did you mean image_size?"),
        (("prepare", "lgg", "nowhere", "there", "--set", "image_size"), "not of the form key=value"),
        (("fit", "nowhere", "run"), "make a store with `anomae prepare`"),
        (("prepare", "brats2020", "", "there"), "An argument is empty; is a variable unset?"),
        (("fit", "store", " "), "An argument is empty"),
        (("compare", "", "", "--out", "x"), "An argument is empty"),
        (("evaluate", "--scores", "s.csv", "--labels", "l.csv", "--out", ""), "--out is empty; is a variable unset?"),
        (("evaluate", "--scores=", "--labels", "l.csv"), "--scores is empty"),
        (("score", "nowhere", "--device", "gpu"), "--device is 'gpu'; it is auto, cpu or cuda."),
        (
            ("score", "nowhere", "s.nii", "--out", "o", "--precision", "fp16"),
            "--precision is 'fp16'; it is auto, bf16 or",
        ),
        (("score-archive", "m.csv", "o", "--run", "nowhere", "--device", "gpu"), "--device is 'gpu'"),
        (("watch", "https://nowhere", "run", "--out", "o", "--device", "gpu"), "--device is 'gpu'"),
        (("score", "nowhere"), "not fitted yet"),
        (("score", "nowhere", "scan.nii.gz"), "--out DIR"),
        (("score", "nowhere", "scan.nii.gz", "--out", "out"), "nothing fitted"),
        (("evaluate", "nowhere"), "anomae fit"),
        (("evaluate",), "Give RUN, or all of"),
        (("compare", "nowhere", "--out", "out"), "two runs or more"),
        (("compare", "nowhere", "there", "--out", "out"), "anomae fit"),
        (("recipes", "brats2021"), "Did you mean brats2020?"),
        (("reproduce", "lgg", "--detector", "patchcor"), "Did you mean patchcore?"),
        (("reproduce", "lgg", "--set", "patchcore=3"), "names no detector; write DETECTOR.key=value"),
        (("reproduce", "lgg", "--set", "patchcor.memory=3"), "Did you mean patchcore?"),
        (("reproduce", "lgg", "--detector", "pca", "--seeds", "0;1"), "like 0,1,2"),
        (("reproduce", "phantom", "--detector", "pca", "--set", "ast.x=1"), "no run of it is chosen"),
    ],
)
def test_a_users_error_is_one_sentence_and_exit_code_2(  # type: ignore[no-untyped-def]
    anomae, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = anomae(*arguments)
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_recipes_are_listed_and_shown_as_set_takes_them(anomae) -> None:  # type: ignore[no-untyped-def]
    assert "brats2020" in anomae("recipes")[1]
    assert "reproduce-small-patches  " in anomae("recipes")[1]
    assert "situation" not in anomae("recipes", "lgg", "--detector", "ensemble")[1]
    shown = anomae("recipes", "brats2020", "--detector", "mae-classifier", "--profile", "released")[1].splitlines()
    assert "classifier.training.layer_decay=0.75" in shown
    usual = anomae("recipes", "lgg")[1].splitlines()
    assert "sources=['features', 'pixels', 'mirror']" in usual
    assert "measure=none" in usual
    assert "# on FLAIR and T2: measure=brightest_spot_9" in usual
    assert "# not of aligned brains: sources=['features', 'pixels']" in usual
    assert "autoencoder.training.steps=none" in shown


def test_options_of_cohort_and_preparation_are_told_apart(tmp_path: Path, anomae) -> None:  # type: ignore[no-untyped-def]
    code, out, err = anomae(
        "prepare",
        "phantom",
        "heads:6",
        str(tmp_path / "store"),
        "--set",
        "size=10x40x40",
        "--set",
        "image_size=32",
        "--modality",
        "t1",
        "--workers",
        "0",
    )
    assert (code, f"Store: {tmp_path / 'store'}" in out) == (0, True), err
    code, out, _ = anomae("inspect-data", "phantom", "heads:6", "--set", "size=10x40x40")
    assert code == 0
    assert "cases: 6" in out


def test_reproduce_hands_on_detectors_seeds_folds_and_settings(  # type: ignore[no-untyped-def]
    anomae, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, object] = {}

    def stage(*_: object, **options: object) -> None:
        given.update(options)
        raise UserError("called")

    monkeypatch.setattr("anomae.reproduction.run_all.reproduce", stage)
    words = "reproduce phantom --detector pca --detector ast --seeds 0,7 --folds 3"
    settings = ("pca.components=4", "ast.flow.steps=9", "ast.teacher.weights=random")
    assert anomae(*words.split(), *(word for one in settings for word in ("--set", one)))[2] == "anomae: called\n"
    assert (given["detectors"], given["seeds"], given["folds"]) == (["pca", "ast"], [0, 7], 3)
    assert given["overrides"] == {"pca": {"components": 4}, "ast": {"flow.steps": 9, "teacher.weights": "random"}}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_what_the_disk_refuses_is_told(anomae, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("anomae.stages.prepare.prepare", raising(OSError(number, os.strerror(number), "store/a.npy")))
    code, _, err = anomae("prepare", "phantom", "heads:4", str(tmp_path / "store"))
    assert (code, err) == (
        2,
        f"anomae: store/a.npy: {os.strerror(number)}.  Put that right and give the same command again.\n",
    )


def test_a_full_disk_that_nothing_names_is_told_as_one(anomae, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("anomae.stages.prepare.prepare", raising(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
    code, _, err = anomae("prepare", "phantom", "heads:4", str(tmp_path / "store"))
    assert code == 2
    assert err.startswith("anomae: a disk (or the temporary folder, TMPDIR): No space left on device.  Put that right")


def raising(error: Exception):  # type: ignore[no-untyped-def]
    def stage(*_: object, **__: object) -> None:
        raise error

    return stage


DEFECTS = [
    TypeError("no\nlen()"),
    AttributeError("'NoneType' object has no attribute 'x'"),
    KeyError("rows"),
    OSError(errno.EBADF, os.strerror(errno.EBADF)),
]


@pytest.mark.parametrize("error", DEFECTS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("asked", ["no", "first", "last", "environment"])
def test_a_defect_of_ours_is_one_line_and_its_traceback_where_asked_for(  # type: ignore[no-untyped-def]
    anomae, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, asked: str
) -> None:
    monkeypatch.setattr("anomae.stages.prepare.prepare", raising(error))
    monkeypatch.delenv("ANOMAE_DEBUG", raising=False)
    if asked == "environment":
        monkeypatch.setenv("ANOMAE_DEBUG", "1")
    arguments = ["prepare", "phantom", "heads:4", str(tmp_path / "store")]
    arguments = {"first": ["--debug", *arguments], "last": [*arguments, "--debug"]}.get(asked, arguments)
    code, out, err = anomae(*arguments)
    assert (code, out) == (1, "")
    *before, last = err.splitlines()
    assert last.startswith(f"anomae: a defect of the program ({type(error).__name__}: ")
    assert "please report it" in last
    if asked == "no":
        assert before == []
    else:
        assert before[0].startswith("Traceback")
        assert any("in stage" in line for line in before)


def test_debug_shows_where_a_users_error_came_from_too(anomae, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("ANOMAE_DEBUG", "0")
    assert "Traceback" not in anomae("recipes", "brats2021")[2]
    code, _, err = anomae("recipes", "brats2021", "--debug")
    assert code == 2
    assert err.startswith("Traceback")
    assert "Did you mean brats2020?" in err.splitlines()[-1]


def test_what_readers_warn_of_is_not_printed_by_the_command(tmp_path: Path) -> None:
    """pydicom quotes what stands in a file, and so may quote a patient."""
    header = pydicom.Dataset()
    header.file_meta = pydicom.dataset.FileMetaDataset()
    header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    header.SOPClassUID = pydicom.uid.CTImageStorage
    header.SOPInstanceUID = "1.2.3"
    header.Modality, header.PatientID = "CT", "Doe"
    header.Rows = header.Columns = 8
    header.BitsAllocated = header.BitsStored = 16
    header.HighBit, header.PixelRepresentation, header.SamplesPerPixel = 15, 0, 1
    header.PhotometricInterpretation = "MONOCHROME2"
    header.PixelData = bytes(range(128)) + bytes(66)  # longer than the picture: pydicom warns of it
    files = [tmp_path / "scans" / ("abnormal" if n > 4 else "healthy") / f"{n}" / "a.dcm" for n in range(7)]
    for number, file in enumerate(files):
        file.parent.mkdir(parents=True)
        header.PatientID = f"Doe{number}"
        header.save_as(file, enforce_file_format=True)
    with pytest.warns(UserWarning, match="excess padding"):
        read_volume(files[0])
    command = [sys.executable, "-m", "anomae", "prepare", "folder", str(tmp_path / "scans"), str(tmp_path / "store")]
    for workers, more in (("0", []), ("1", []), ("0", ["--debug"])):
        shutil.rmtree(tmp_path / "store", ignore_errors=True)
        options = ["--set", "image_size=8", "--set", "intensity=full_range", "--workers", workers, *more]
        done = subprocess.run([*command, *options], capture_output=True, encoding="utf-8", check=False)
        assert done.returncode == 0, done.stderr
        assert ("excess padding" in done.stderr) == bool(more)


def test_notes_of_scans_are_told_once_each_and_bounded(capsys):
    from anomae.cli.summaries import noticed_in_scans

    noticed_in_scans({"a.nii": ["tilted", "padded"], "b.nii": ["tilted"]})
    assert capsys.readouterr().out.splitlines() == ["Note: a.nii and 1 more: tilted", "Note: a.nii: padded"]
    noticed_in_scans({"a.nii": [f"note {number}" for number in range(25)]})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 21
    assert lines[-1].startswith("... and 5 more notes")


def test_a_table_says_what_files_are(tmp_path: Path, anomae) -> None:  # type: ignore[no-untyped-def]
    source, table = tmp_path / "scans", tmp_path / "cases.csv"
    for number in range(8):
        picture = np.random.default_rng(number).integers(0, 255, (16, 16))
        write_picture(source / ("yes" if number > 5 else "no") / "set 1" / f"{number}.png", picture)
    lines = ["File;Patient;Label;Split", *(f"no/set 1/{number}.png;P{number // 2};;train" for number in range(4))]
    lines += [
        "no/set 1/4.png;P4;;val",
        "no/set 1/5.png;P5;;test",
        "yes/set 1/6.png;P6;;Test",
        "yes/set 1/7.png;P7;0;val",
    ]
    table.write_text("\n".join(lines), encoding="utf-8")
    asked = ("prepare", "folder", str(source), str(tmp_path / "store"), "--set", "image_size=16", "--workers", "0")
    code, out, err = anomae(*asked, "--table", str(table))
    assert (code, "by the table" in err) == (0, True), out + err
    index = read_index(tmp_path / "store" / "index.csv")
    found = zip(index.case.tolist(), index.patient.tolist(), index.label.tolist(), index.split.tolist(), strict=True)
    assert list(found) == [
        *((f"no/set 1/{number}.png", f"P{number // 2}", 0, "train") for number in range(4)),
        ("no/set 1/4.png", "P4", 0, "validation"),
        ("no/set 1/5.png", "P5", 0, "test"),
        ("yes/set 1/6.png", "P6", 1, "test"),
        ("yes/set 1/7.png", "P7", 0, "validation"),
    ]
    table.write_text("file,split\nno/set 1/0.png,holdout\n", encoding="utf-8")
    code, _, err = anomae(*asked[:3], str(tmp_path / "other"), "--table", str(table))
    assert (code, "line 2, has the split 'holdout'" in err, err.count("\n")) == (2, True, 1)
