"""Whether a web server gave all of what it was asked for: its status, and the boundary that closes several parts."""

from collections.abc import Iterator
from email.message import Message
from typing import Any

from anomae.errors import UserError

_PARTIAL = 206


class PartialAnswer(UserError):
    """A server gave a part of what it was asked for; it may give all another time."""


def require_whole(answer: Any) -> None:
    """Make sure that no part of a `requests` answer passes for all of it; to be called before its body is read.

    Raises PartialAnswer where the status says that it is a part, and, once the body is read to its end, where that is
    of several parts (multipart) without the boundary that closes them: a connection that ends between two of them ends
    like any other where no length was told.
    """
    if answer.status_code == _PARTIAL:
        raise PartialAnswer("The server gave only a part of what it was asked for: status 206.")
    kind = Message()
    kind["Content-Type"] = answer.headers.get("Content-Type", "")
    boundary = kind.get_boundary()
    if boundary is not None:
        answer.raw = _Closed(answer.raw, f"--{boundary}--".encode())


class _Closed:
    """The raw body of an answer, which has to hold `closing`, at its beginning or at that of a line."""

    def __init__(self, raw: Any, closing: bytes) -> None:
        self._raw, self._closing = raw, b"\n" + closing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def stream(self, amount: int = 2**16, decode_content: bool | None = None) -> Iterator[bytes]:
        closed, tail = False, b"\n"
        for piece in self._raw.stream(amount, decode_content=decode_content):
            if not closed:
                seen = tail + piece
                closed, tail = self._closing in seen, seen[1 - len(self._closing) :]
            yield piece
        if not closed:
            raise PartialAnswer("The server's answer breaks off before its end.")
