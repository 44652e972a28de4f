"""pull, watch and receive as typed: what is refused, in one sentence, before anything is asked or opened."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from anomae.cli import pacs_commands  # noqa: F401 - adds its commands
from anomae.cli.app import app
from anomae.errors import UserError

URL = "http://127.0.0.1:9/dicom-web"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["pull", URL, "run", "--out", "out"], "Say which studies"),
        (["pull", URL, "run", "--out", "out", "--study", "x"], "no UID"),
        (["pull", "http://pacs/x", "run", "--out", "out", "--study", "1.2", "--token-file", "token"], "https"),
        (["pull", URL, "run", "--out", "out", "--study", "1.2", "--user", "me"], "--password-file"),
        (["pull", URL, "run", "--out", "out", "--study", "1.2"], "holds nothing fitted"),
        (
            ["pull", URL, "run", "--out", "out", "--study", "1.2", "--threshold", "nan"],
            "A threshold is a finite number, not nan",
        ),
        (["watch", URL, "run", "--out", "out", "--threshold", "inf"], "A threshold is a finite number, not inf"),
        (["receive", "run", "--out", "out", "--aet", "A", "--port", "11112", "--threshold", "-inf"], "finite number"),
        (["watch", URL, "run", "--out", "out", "--since", "today"], "give a day"),
        (["watch", URL, "run", "--out", "out", "--ca", "missing"], "--ca"),
        (["receive", "run", "--out", "out", "--aet", "A\\B", "--port", "11112"], "no AE title"),
        (["receive", "run", "--out", "out", "--aet", "A", "--port", "11112", "--host", "0.0.0.0"], "--allow"),
        (["receive", "run", "--out", "out", "--aet", "A", "--port", "11112", "--send", "pacs"], "HOST:PORT/AET"),
        (["receive", "run", "--out", "out", "--aet", "A", "--port", "11112", "--send-tls"], "--tls-cert"),
    ],
)
def test_what_is_refused(arguments: list[str], told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret")
    monkeypatch.chdir(tmp_path)
    ended = CliRunner().invoke(app, arguments)
    assert isinstance(ended.exception, UserError)
    assert ended.exception.exit_code == 2
    assert told in str(ended.exception)
    assert "s3cret" not in str(ended.exception)
    assert not (tmp_path / "out").exists()
