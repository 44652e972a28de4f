"""Ctrl-C: whatever the command, one sentence and exit code 130."""

import sys
from pathlib import Path

import pytest

import anomae.cli
from anomae.cli.app import app


@pytest.mark.parametrize("command", ["score-archive", "prepare", "send"])
def test_ctrl_c_is_answered_with_one_sentence(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    """What is called is replaced by somebody who presses Ctrl-C; typer then says nothing."""

    def pressed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    given = {
        "score-archive": ["manifest.csv", "out", "--run", "run"],
        "prepare": ["folder", "scans", "store"],
        "send": ["127.0.0.1:1/A", "file"],
    }
    from anomae.archive import score_archive as archive
    from anomae.cli import archive_command, commands, data_commands, pacs_commands  # noqa: F401 - add their commands
    from anomae.pacs import send_files as files
    from anomae.stages import prepare as stage

    for module, name in ((archive, "score_archive"), (files, "send_files"), (stage, "prepare")):
        monkeypatch.setattr(module, name, pressed)
    assert app.registered_commands
    monkeypatch.setattr(sys, "argv", ["anomae", command, *given[command]])
    with pytest.raises(SystemExit) as ended:
        anomae.cli.main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "anomae: stopped. Give the same command again to go on from here.\n"


def test_other_ends_are_left_as_they_are(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(sys, "argv", ["anomae", "--version"])
    with pytest.raises(SystemExit) as ended:
        anomae.cli.main()
    assert ended.value.code == 0
    assert "stopped" not in capsys.readouterr().err
