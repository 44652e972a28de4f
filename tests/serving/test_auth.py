"""Tokens and sessions: only a holder gets in, and whoever logged out does not."""

from pathlib import Path

import pytest

from anomae.errors import UserError
from anomae.serving.auth import Doorkeeper, own_token, read_tokens


def token_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    file = folder / "tokens"
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)
    return file


def test_a_file_of_tokens(tmp_path: Path):
    text = f"# ours\n\n{'a' * 20}\nmaria {'b' * 30}\n"
    assert read_tokens(token_file(tmp_path, text)) == {"a" * 20: "token", "b" * 30: "maria"}


@pytest.mark.parametrize("text", ["", "short", f"a b {'c' * 20}", "\u00e4" * 20, f"{'a' * 20}\n{'a' * 20}"])
def test_a_weak_file_is_refused(tmp_path: Path, text: str):
    with pytest.raises(UserError, match="tokens"):
        read_tokens(token_file(tmp_path, text))


def test_a_file_that_others_read_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="chmod 600"):
        read_tokens(token_file(tmp_path, "a" * 30, 0o640))
    with pytest.raises(UserError, match="does not exist"):
        read_tokens(tmp_path / "none")


def test_the_own_token_is_made_once_and_is_private(tmp_path: Path):
    made = own_token(tmp_path / "token")
    assert own_token(tmp_path / "token") == made
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600
    assert len(next(iter(made))) >= 40
    assert own_token(tmp_path / "other") != made


def test_sessions_end():
    door = Doorkeeper({"x" * 20: "maria"})
    assert door.holder("x" * 20) == "maria"
    assert [door.holder(wrong) for wrong in ("", "x" * 19, "x" * 21, "\udc80")] == [None] * 4
    one, other = door.begin_session("maria"), door.begin_session("maria")
    assert door.session_holder(one) == door.session_holder(other) == "maria"
    door.end_session(one)
    door.end_session(one)
    assert (door.session_holder(one), door.session_holder(other)) == (None, "maria")
    assert door.session_holder("x" * 20) is None


def test_sessions_are_bounded(monkeypatch: pytest.MonkeyPatch):
    door = Doorkeeper({})
    first = door.begin_session("maria")
    for _ in range(1000):
        last = door.begin_session("maria")
    assert (door.session_holder(first), door.session_holder(last)) == (None, "maria")
    import anomae.serving.auth as auth

    now = auth.time.monotonic()
    monkeypatch.setattr(auth.time, "monotonic", lambda: now + auth.SESSION_S + 60)
    assert door.session_holder(last) is None
