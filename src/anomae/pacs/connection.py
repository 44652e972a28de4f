"""HTTP to one archive and nobody else: credentials, certificates, and limits on size and time of what it answers."""

import ipaddress
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from anomae.answers import require_whole
from anomae.errors import UserError
from anomae.extras import require
from anomae.pacs.errors import ArchiveRefuses, StudyTrouble
from anomae.progress import say

EXTRA = "pacs"
_CONNECT_S, _READ_S = 10.0, 60.0  # to connect; between two pieces of an answer
MOST_LIST_BYTES = 2**26
_LONGEST_SECRET = 16384
_HEADER_S = 3600.0  # an answer may take so long in all


@dataclass(frozen=True, slots=True)
class Credentials:
    """A token, or a user and a password, read from files: what stands on a command line is seen by others.

    repr never shows them.
    """

    token: str = field(default="", repr=False)
    user: str = ""
    password: str = field(default="", repr=False)

    def __bool__(self) -> bool:
        return bool(self.token or self.user)


def read_credentials(token_file: Path | None, user: str | None, password_file: Path | None) -> Credentials:
    """From files that hold the secret alone.  Raises UserError where they do not fit together or hold none."""
    if token_file is not None and (user is not None or password_file is not None):
        raise UserError("Give either --token-file, or --user and --password-file.")
    if (user is None) != (password_file is None):
        raise UserError("--user and --password-file belong together; a password is never given on the command line.")
    if token_file is not None:
        return Credentials(token=_secret(token_file))
    if user is not None and password_file is not None:
        if not user or ":" in user or not user.isprintable():
            raise UserError("--user is empty or holds a colon or a control character.")
        return Credentials(user=user, password=_secret(password_file))
    return Credentials()


def _secret(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(_LONGEST_SECRET + 1).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as a file that holds a secret ({type(error).__name__}).") from error
    if not text or len(text) > _LONGEST_SECRET or not text.isprintable():
        raise UserError(f"{path} does not hold one secret on one line.")
    return text


def checked_url(url: str, credentials: Credentials) -> str:
    """The URL of an archive without a slash at its end.

    Raises UserError where it is no http or https URL, names a user, or would send credentials unencrypted to another
    machine; says so where only images would travel unencrypted.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UserError("The URL of the archive is none; write it like https://pacs.example.org/dicom-web.") from error
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise UserError("The URL of the archive must look like https://pacs.example.org/dicom-web.")
    if "@" in parts.netloc:
        raise UserError("The URL names a user; give --user and --password-file, as others can see a command line.")
    if ":" in host:
        raise UserError("An IPv6 address cannot stand in the URL of an archive; give its name.")
    if parts.scheme == "http" and not is_loopback(host):
        if credentials:
            raise UserError("Over http anybody on the way could read the credentials; give an https URL.")
        say("Doubt: the archive is asked over http, so images travel unencrypted; give an https URL if it has one.")
    return url.rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether a name or address is of this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@dataclass
class Limits:
    """How much one answer may hold: in all, and between two calls of `next_part`; the adapter counts.

    complete: whether it must be all of what was asked for; a list may be told page by page.
    """

    whole: int = MOST_LIST_BYTES
    part: int = MOST_LIST_BYTES
    complete: bool = False
    seen: int = 0
    seen_of_part: int = 0
    ends: float = 0.0

    def begin(self) -> None:
        """A new answer begins."""
        self.seen = self.seen_of_part = 0
        self.ends = time.monotonic() + _HEADER_S

    def next_part(self) -> None:
        """A part was taken out of the answer."""
        self.seen_of_part = 0

    def count(self, size: int) -> None:
        """Raises StudyTrouble where there is too much, or it takes too long."""
        self.seen += size
        self.seen_of_part += size
        if self.seen > self.whole or self.seen_of_part > self.part:
            raise StudyTrouble(f"The archive answers with more than {min(self.whole, self.part)} bytes, the limit.")
        if time.monotonic() > self.ends:
            raise StudyTrouble(f"An answer of the archive takes longer than {_HEADER_S:.0f} s, the limit.")


class _Counted:
    """The raw answer of a server, counted once it is unpacked."""

    def __init__(self, raw: Any, limits: Limits) -> None:
        self._raw, self._limits = raw, limits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def stream(self, amount: int = 2**16, decode_content: bool | None = None) -> Iterator[bytes]:
        for piece in self._raw.stream(amount, decode_content=decode_content):
            self._limits.count(len(piece))
            yield piece


class _OneArchive:
    """An adapter of requests that asks one origin alone, wherever it is redirected to, and counts the answers."""

    def __init__(self, adapter: Any, origin: tuple[str, str | None, int | None], limits: Limits) -> None:
        self._adapter, self._origin, self._limits = adapter, origin, limits
        self._response: Any = None

    def send(self, request: Any, **options: Any) -> Any:
        if _origin(request.url) != self._origin:
            raise ArchiveRefuses("The archive redirects to another address; give that as its URL if you trust it.")
        self._limits.begin()
        options["timeout"] = options.get("timeout") or (_CONNECT_S, _READ_S)
        response = self._response = self._adapter.send(request, **options)
        response.raw = _Counted(response.raw, self._limits)
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind.endswith("json"):  # dicomweb-client does not read what was not stored where a charset stands behind it
            response.headers["Content-Type"] = kind
        if self._limits.complete:
            require_whole(response)
        return response

    def end_answer(self) -> None:
        """Close the connection of an answer that was not read to its end; others may be used again."""
        response, self._response = self._response, None
        if response is not None:
            response.close()

    def close(self) -> None:
        self.end_answer()
        self._adapter.close()


def open_session(url: str, credentials: Credentials, ca: Path | None, limits: Limits) -> Any:
    """A requests session for the archive at `url` alone.

    ca: a file of certificates to trust in place of the system's; certificates are always checked.
    """
    requests = require("requests", EXTRA)
    if ca is not None and not ca.is_file():
        raise UserError(f"{ca} (--ca) is no file of certificates.")
    session = requests.Session()
    adapter = _OneArchive(requests.adapters.HTTPAdapter(max_retries=0), _origin(url), limits)
    session.adapters.clear()
    for scheme in ("http://", "https://"):
        session.mount(scheme, adapter)
    session.max_redirects = 3
    if is_loopback(urlsplit(url).hostname or ""):
        session.trust_env = False  # no proxy lies between a machine and itself
    if ca is not None:
        session.verify = str(ca)
    # An auth of our own also keeps requests from looking for one in ~/.netrc.
    session.auth = _Authorization(credentials)
    return session


class _Authorization:
    """Puts the credentials on each request."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def __call__(self, request: Any) -> Any:
        if self._credentials.token:
            request.headers["Authorization"] = f"Bearer {self._credentials.token}"
        elif self._credentials.user:
            from requests.auth import HTTPBasicAuth

            user, password = self._credentials.user.encode(), self._credentials.password.encode()
            return HTTPBasicAuth(user, password)(request)
        return request


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
