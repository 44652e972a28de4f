"""Start the service and keep it up until it is told to stop; address, token and certificate are checked first."""

import ipaddress
import logging
import os
import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from anomae.errors import UserError
from anomae.extras import require
from anomae.serving.auth import Doorkeeper, own_token, read_tokens
from anomae.serving.limits import Limits
from anomae.serving.retention import checked_keep

_PACKAGES = ("fastapi", "uvicorn", "huey", "python_multipart", "prometheus_client")
_GOODBYE_S = 5


def serve(
    runs: Sequence[Path],
    data: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8042,
    token_file: Path | None = None,
    keep: str = "30d",
    limits: Limits | None = None,
    device: str | None = None,
    workers: int = 1,
    certificate: Path | None = None,
    key: Path | None = None,
    tell: Callable[[str], None],
) -> None:
    """Serve until SIGINT, of which KeyboardInterrupt is raised in the end, or SIGTERM.

    runs: fitted runs; the first scores what names none.  data: the service's folder.  port: 0 takes a free one.
    token_file: whose tokens are let in; demanded where `host` is not this machine alone.  Without one the service makes
    its own token.  certificate, key: PEM files for https.  tell: shown to who starts it: the address, the token once.
    Raises UserError where anything of this does not hold, and MissingExtra where the extra "serve" is missing.
    """
    for package in _PACKAGES:
        require(package, "serve")
    keep_s = checked_keep(keep)
    tokens = None if token_file is None else read_tokens(token_file)
    if tokens is None and not _is_loopback(host):
        raise UserError(
            f"--host {host} can be reached from other machines: write a token into a file that you alone can read, and "
            "give it with --token-file."
        )
    if (certificate is None) != (key is None):
        raise UserError("--certificate and --key belong together; give both.")
    for file in (certificate, key):
        if file is not None and not file.is_file():
            raise UserError(f"{file} does not exist.")
    os.umask(0o077)  # this process is the service's own: nobody else reads what it writes
    from anomae.serving.app import create_app
    from anomae.serving.service import Service

    uvicorn: Any = require("uvicorn", "serve")
    service = Service(runs, data, limits=limits, keep_s=keep_s, device=device, workers=workers)
    own = tokens is None
    known = tokens if tokens is not None else own_token(data / "token")
    listening = _listening(host, port)
    logging.getLogger("huey").setLevel(logging.ERROR)
    app = create_app(service, Doorkeeper(known), secure=certificate is not None)
    config = uvicorn.Config(
        app,
        access_log=False,  # who did what stands in the audit log
        log_level="warning",
        timeout_graceful_shutdown=_GOODBYE_S,
        server_header=False,
        date_header=True,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    address = f"[{host}]" if ":" in host else host
    scheme = "http" if certificate is None else "https"
    tell(f"anomae serves {', '.join(service.runs)} at {scheme}://{address}:{listening.getsockname()[1]}/")
    if own:
        tell(f"Token: {next(iter(known))}")
    tell("Research only, not for clinical use. Stop with Ctrl-C.")
    server = uvicorn.Server(config)
    service.leaving = lambda: bool(server.should_exit)
    # uvicorn stops in peace and then raises the signal anew, which would end this process as if it had failed.
    told: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda one, _: told.append(one))
    server.run(sockets=[listening])
    if signal.SIGINT in told:
        raise KeyboardInterrupt


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listening(host: str, port: int) -> socket.socket:
    """A socket that is bound, so that a port in use is told before anything starts."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)  # whoever asks once the address is told waits, and is not refused
    except (OSError, OverflowError) as error:
        listening.close()
        why = getattr(error, "strerror", None) or str(error)
        raise UserError(f"The service cannot listen on {host}, port {port} ({why}); choose another --port.") from error
    return listening
