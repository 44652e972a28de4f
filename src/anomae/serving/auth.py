"""Who may ask: whoever has a token, in a header or, for a browser, in a session cookie that logging out ends."""

import hashlib
import hmac
import os
import secrets
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from anomae.errors import UserError

COOKIE = "anomae_session"
SESSION_S = 12 * 3600
_SHORTEST = 20
_MOST_SESSIONS = 1000
_HOLDER = "token"


def read_tokens(file: Path) -> dict[str, str]:
    """The tokens of a file, a line each: TOKEN, or NAME TOKEN, where the audit log is to tell holders apart.

    Returns token -> name.  Lines that begin with # are notes.  Raises UserError where the file is missing, others than
    its owner may read it, or a token is short or there twice.
    """
    try:
        if file.stat().st_mode & 0o077:
            raise UserError(f"{file} can be read by others; give the command `chmod 600 {file}`.")
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise UserError(f"{file} does not exist; write a token of {_SHORTEST} characters or more into it.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read as text ({error}).") from error
    tokens: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        parts = line.split()
        if not parts or parts[0].startswith("#"):
            continue
        name, token = (_HOLDER, parts[0]) if len(parts) == 1 else (parts[0], parts[-1])
        if len(parts) > 2 or len(token) < _SHORTEST or not token.isascii() or token in tokens:
            raise UserError(
                f"{file}, line {number}: write TOKEN or NAME TOKEN, each token once, of {_SHORTEST} or more ASCII "
                "characters, such as `python3 -c 'import secrets; print(secrets.token_urlsafe())'` prints."
            )
        tokens[token] = name
    if not tokens:
        raise UserError(f"{file} has no token; write one of {_SHORTEST} characters or more into it.")
    return tokens


def own_token(file: Path) -> dict[str, str]:
    """The service's own token, made at its first start and kept in `file`, which its owner alone may read."""
    if not file.exists():
        handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as content:
            content.write(secrets.token_urlsafe(32) + "\n")
    return read_tokens(file)


class Doorkeeper:
    """Knows tokens and the sessions of browsers.  Sessions are kept in memory: a restart asks for the token again."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        """tokens: token -> the name of its holder."""
        self._tokens = {_digest(token): name for token, name in tokens.items()}
        self._sessions: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def holder(self, token: str) -> str | None:
        """The name of the holder of a token; None where it is none."""
        asked = _digest(token)
        found = [name for known, name in self._tokens.items() if hmac.compare_digest(known, asked)]
        return found[0] if found else None

    def begin_session(self, holder: str) -> str:
        """A new session; returns what the cookie holds."""
        session = secrets.token_urlsafe(32)
        with self._lock:
            now = time.monotonic()
            self._sessions = {key: one for key, one in self._sessions.items() if one[1] > now}
            while len(self._sessions) >= _MOST_SESSIONS:
                self._sessions.pop(next(iter(self._sessions)))
            self._sessions[_digest(session)] = (holder, now + SESSION_S)
        return session

    def session_holder(self, session: str) -> str | None:
        """Whose session this is; None where it is none, or over."""
        with self._lock:
            found = self._sessions.get(_digest(session))
        return found[0] if found is not None and found[1] > time.monotonic() else None

    def end_session(self, session: str) -> None:
        """Log out."""
        with self._lock:
            self._sessions.pop(_digest(session), None)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
