"""Around every request: who asks, from which page, headers that keep browsers narrow, and counting."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request

from anomae.serving.auth import COOKIE, Doorkeeper
from anomae.serving.metrics import Metrics
from anomae.serving.refusals import Refused

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
# Of all answers but study pages, which are one file with everything inside.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
# What a study page runs can reach nothing, not even this service.
STUDY_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' 'wasm-unsafe-eval' blob:; style-src 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src data:; connect-src data: blob:; worker-src blob:; form-action 'none'; "
    "frame-ancestors 'none'; base-uri 'none'"
)


class Guard:
    """ASGI middleware: adds the headers, counts requests by method and status."""

    def __init__(self, app: Callable[[Message, Receive, Send], Awaitable[None]], metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                known = {name.lower() for name, _ in message["headers"]}
                for name, value in {**HEADERS, "Content-Security-Policy": POLICY}.items():
                    if name.lower().encode() not in known:
                        message["headers"].append((name.lower().encode(), value.encode()))
                method = scope["method"] if scope["method"] in ("GET", "HEAD", "POST", "DELETE") else "other"
                self._metrics.requests.labels(method, str(message["status"])).inc()
            await send(message)

        await self._app(scope, receive, guarded)


def who(request: Request, doorkeeper: Doorkeeper) -> str:
    """The holder of the token or session that a request comes with.  Raises Refused (401) where there is none.

    A session counts for changes only where the page that asks is the service's own.
    """
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind:
        found = doorkeeper.holder(token.strip()) if kind.lower() == "bearer" else None
    else:
        found = doorkeeper.session_holder(request.cookies.get(COOKIE, ""))
        if found is not None and request.method not in ("GET", "HEAD"):
            found = found if _asks_itself(request) else None
    if found is None:
        raise Refused(401, "Send the token of the service: Authorization: Bearer TOKEN.")
    return found


def _asks_itself(request: Request) -> bool:
    """Whether the page that asks is the service's own, by its Origin; one that is no address is none."""
    try:
        origin = urlsplit(request.headers.get("origin", "")).netloc
    except ValueError:
        return False
    return bool(origin) and origin == request.headers.get("host")
