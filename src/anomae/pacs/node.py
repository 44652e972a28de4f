"""A DICOM node: host, port and AE title; TLS between two of them; which hosts need a word of warning."""

import re
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anomae.errors import UserError
from anomae.pacs.connection import is_loopback
from anomae.progress import say

_NODE = re.compile(r"(?P<host>[A-Za-z0-9.-]{1,253}):(?P<port>[0-9]{1,5})/(?P<title>.+)")
_TITLE = re.compile(r"[ -\[\]-~]{1,16}")  # no backslash, no control character
_HANDSHAKE_S = 30.0  # for each piece of a handshake


@dataclass(frozen=True, slots=True)
class Node:
    """Where a DICOM node listens and what it is called."""

    host: str
    port: int
    title: str

    @property
    def name(self) -> str:
        """As it was given."""
        return f"{self.host}:{self.port}/{self.title}"


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Files of our certificate and key, and of the certificates to trust in the other node; all or none."""

    certificate: Path
    key: Path
    ca: Path


def checked_node(text: str) -> Node:
    """From HOST:PORT/AET.  Raises UserError where it is none."""
    match = _NODE.fullmatch(text)
    if match is None or not 0 < int(match["port"]) < 65536:
        raise UserError(f"{text[:80]!r} is no DICOM node; write HOST:PORT/AET, such as 127.0.0.1:4242/ORTHANC.")
    return Node(match["host"], int(match["port"]), checked_title(match["title"]))


def checked_title(text: str) -> str:
    """An AE title.  Raises UserError where it is none."""
    if not _TITLE.fullmatch(text) or not text.strip():
        raise UserError(f"{text[:40]!r} is no AE title: 1 to 16 ASCII characters without a backslash.")
    return text.strip()


def checked_tls(certificate: Path | None, key: Path | None, ca: Path | None) -> TlsFiles | None:
    """From the command line; None where none is given.  Raises UserError where one is missing or no file."""
    given = {"--tls-cert": certificate, "--tls-key": key, "--tls-ca": ca}
    if not any(given.values()):
        return None
    for option, path in given.items():
        if path is None or not path.is_file():
            raise UserError(
                f"TLS needs --tls-cert, --tls-key and --tls-ca, all three files; {option} is missing or none."
            )
    assert certificate is not None
    assert key is not None
    assert ca is not None
    return TlsFiles(certificate, key, ca)


class _LateHandshake(ssl.SSLContext):
    """Shakes hands in the thread of a connection: who connects and says nothing keeps nobody else waiting."""

    def wrap_socket(self, sock: socket.socket, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        sock.settimeout(_HANDSHAKE_S)
        return super().wrap_socket(sock, *arguments, **{**options, "do_handshake_on_connect": False})


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """Of a node that accepts only who has a certificate of `files.ca`.  Raises UserError for files that are none."""
    context = _LateHandshake(ssl.PROTOCOL_TLS_SERVER)
    _load(context, files)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """Of a node that sends only to who has a certificate of `files.ca` for its host name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks certificate and host name
    _load(context, files)
    return context


def refuse_open_door(host: str, allowed: tuple[str, ...], tls: TlsFiles | None) -> None:
    """Raises UserError where another machine could send images and nobody said who may; warns where no TLS is used."""
    if is_loopback(host):
        return
    if not allowed:
        raise UserError(
            f"Listening on {host} lets other machines send images: say which AE titles may, with --allow, or listen on "
            "127.0.0.1."
        )
    if tls is None:
        say(
            f"Doubt: images travel to {host} unencrypted, and an AE title is no password: anybody on this network can "
            "call themselves so. Use --tls-cert, --tls-key and --tls-ca, or a network of their own."
        )


def _load(context: ssl.SSLContext, files: TlsFiles) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(files.certificate, files.key)
        context.load_verify_locations(files.ca)
    except (ssl.SSLError, OSError) as error:
        raise UserError(
            f"The files of --tls-cert, --tls-key and --tls-ca do not fit ({type(error).__name__})."
        ) from error
