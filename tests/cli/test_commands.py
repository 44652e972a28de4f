"""The command line: help at once and without torch, exit codes, and one sentence for what is wrong."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from anomae import __version__
from anomae.cli import main

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
        (("prepare", "brats", "here", "there"), "Did you mean brats2020"),
        (("prepare", "lgg", "nowhere", "there"), "nowhere"),
        (("prepare", "lgg", "nowhere", "there", "--set", "image_sise=32"), "Did you mean image_size?"),
        (("prepare", "lgg", "nowhere", "there", "--set", "image_size"), "not of the form key=value"),
        (("fit", "nowhere", "run"), "make a store with `anomae prepare`"),
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
    shown = anomae("recipes", "brats2020", "--detector", "mae-classifier", "--profile", "released")[1].splitlines()
    assert "classifier.training.layer_decay=0.75" in shown
    assert "sources=['features', 'pixels', 'mirror']" in anomae("recipes", "lgg")[1].splitlines()
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

    class Called(Exception):
        pass

    def stage(*_: object, **options: object) -> None:
        given.update(options)
        raise Called

    monkeypatch.setattr("anomae.reproduction.run_all.reproduce", stage)
    with pytest.raises(Called):
        anomae(
            "reproduce",
            "phantom",
            "--detector",
            "pca",
            "--detector",
            "ast",
            "--seeds",
            "0,7",
            "--folds",
            "3",
            "--set",
            "pca.components=4",
            "--set",
            "ast.flow.steps=9",
            "--set",
            "ast.teacher.weights=random",
        )
    assert (given["detectors"], given["seeds"], given["folds"]) == (["pca", "ast"], [0, 7], 3)
    assert given["overrides"] == {"pca": {"components": 4}, "ast": {"flow.steps": 9, "teacher.weights": "random"}}


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, 2), (errno.EACCES, 2), (errno.EBADF, None)])
def test_what_the_disk_refuses_is_told_and_other_defects_are_not_hidden(  # type: ignore[no-untyped-def]
    anomae, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: int | None
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "store/slices.npy")

    monkeypatch.setattr("anomae.stages.prepare.prepare", refuse)
    arguments = ("prepare", "phantom", "heads:4", str(tmp_path / "store"))
    if code is None:
        with pytest.raises(OSError, match="slices"):
            anomae(*arguments)
    else:
        assert anomae(*arguments)[0] == code
        assert anomae(*arguments)[2].startswith(f"anomae: store/slices.npy: {os.strerror(number)}.")
