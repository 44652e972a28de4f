"""The service's HTTP: routes in, the service's methods called, one sentence for whatever is refused."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from fastapi.security import HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from anomae import __version__, pages
from anomae.serving.auth import COOKIE, SESSION_S, Doorkeeper
from anomae.serving.guard import Guard, who
from anomae.serving.jobs import Job
from anomae.serving.metrics import CONTENT_TYPE
from anomae.serving.refusals import Refused
from anomae.serving.service import Service, is_full
from anomae.serving.shapes import Accepted, Health, JobState, Sentence, Token, job_state
from anomae.serving.study_routes import add_study_routes
from anomae.serving.uploads import receive

_ASSETS = FilePath(__file__).parent / "assets"
# The look of study pages, and their switch between light and dark.
_SHARED = {name: FilePath(pages.__file__).parent / "assets" / name for name in ("page.css", "theme.js")}
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
_FORM = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {
            "type": "array",
            "items": {"type": "string", "format": "binary"},
            "description": "A zip, NIfTI and other volumes, DICOM files, pictures; may be repeated.",
        },
        "run": {"type": "string", "description": "Which of the served runs is to score it; the first where left out."},
    },
}
_NEWEST = 1000  # jobs that are listed whatever came of them
_LOOK_S, _QUIET_S = 0.25, 15.0
REFUSALS: dict[int | str, dict[str, Any]] = {401: {"model": Sentence}, 404: {"model": Sentence}}
JobId = Annotated[str, Path(pattern="^[0-9a-f]{16}$", description="Id of a job.")]


def create_app(service: Service, doorkeeper: Doorkeeper, *, secure: bool = False) -> FastAPI:
    """The application.  secure: it is reached by https, so that cookies go no other way."""

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(service.start)
        yield
        await run_in_threadpool(service.stop)

    app = FastAPI(
        title="anomae",
        version=__version__,
        description="Anomaly detection in medical images.  Research only, not for clinical use.",
        docs_url=None,  # these pages would load scripts from elsewhere
        redoc_url=None,
        lifespan=running,
    )
    app.add_middleware(Guard, metrics=service.metrics)
    _add_refusals(app)
    _add_pages(app, service, doorkeeper, secure)

    async def asks(request: Request, _: Annotated[Any, Depends(HTTPBearer(auto_error=False))]) -> str:
        return who(request, doorkeeper)

    _add_jobs(app, service, asks)
    add_study_routes(app, service, asks)
    return app


def _add_jobs(app: FastAPI, service: Service, asks: Callable[..., Any]) -> None:
    Holder = Annotated[str, Depends(asks)]

    def found(job: str) -> Job:
        known = service.jobs.find(job)
        if known is None:
            raise Refused(404, "There is no such job.")
        return known

    body = {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}
    too_much: dict[int | str, dict[str, Any]] = {
        status: {"model": Sentence} for status in (400, 401, 408, 413, 422, 429, 507)
    }

    @app.post(
        "/studies",
        status_code=202,
        response_model=Accepted,
        responses=too_much,
        openapi_extra={"requestBody": body},
    )
    async def send_study(request: Request, holder: Holder) -> Accepted:
        """Send a study; it is scored in its turn."""
        length = request.headers.get("content-length", "")
        study, folder = service.incoming()
        try:
            received = await receive(
                request.headers.get("content-type", ""),
                int(length) if length.isascii() and length.isdigit() else None,
                request.stream(),
                folder,
                service.limits,
            )
            await run_in_threadpool(service.accept, study, received)
        except ClientDisconnect as error:
            raise Refused(400, "The upload was cut short; send it again.") from error
        finally:
            await run_in_threadpool(service.discard, study)
        try:
            await run_in_threadpool(service.audit.note, holder, "sent", study=study, client=_client(request))
        except OSError:  # what cannot be noted is not done
            await run_in_threadpool(service.delete, study)
            raise
        return Accepted(job=study)

    @app.get("/jobs", response_model=list[JobState], responses={401: {"model": Sentence}})
    def list_jobs(
        holder: Holder, answer: Response, most: Annotated[int | None, Query(ge=1, le=10_000)] = None
    ) -> list[JobState]:
        """The newest jobs, the newest first: `most` of them.

        Where that is left out the newest 1,000, and of older ones all but those that are done and not flagged.
        X-Total-Count is how many jobs there are.
        """
        jobs = service.jobs.all()
        older = [] if most else [job for job in jobs[:-_NEWEST] if job.state != "done" or job.flag != 0]
        answer.headers["X-Total-Count"] = str(len(jobs))
        return [job_state(job) for job in reversed([*older, *jobs[-(most or _NEWEST) :]])]

    @app.get("/jobs/{job}", response_model=JobState, responses=REFUSALS)
    def read_job(job: JobId, holder: Holder) -> JobState:
        """How far a job is."""
        return job_state(found(job))

    @app.get("/jobs/{job}/events", responses={**REFUSALS, 200: {"content": {"text/event-stream": {}}}})
    async def follow_job(job: JobId, holder: Holder) -> StreamingResponse:
        """Server-sent events, each the job's state as JSON, until it is done or failed."""
        first = await run_in_threadpool(found, job)

        async def events() -> AsyncIterator[str]:
            known: Job | None = first
            told, silent_s = "", 0.0
            while known is not None and not service.stopping:
                text = job_state(known).model_dump_json()
                if text != told:
                    yield f"event: job\ndata: {text}\n\n"
                    told, silent_s = text, 0.0
                elif silent_s >= _QUIET_S:
                    yield ": still here\n\n"
                    silent_s = 0.0
                if known.state in ("done", "failed"):
                    return
                await asyncio.sleep(_LOOK_S)
                silent_s += _LOOK_S
                known = await run_in_threadpool(service.jobs.find, job)

        return StreamingResponse(events(), media_type="text/event-stream")

    @app.post(
        "/jobs/{job}/retry", status_code=202, response_model=Accepted, responses={**REFUSALS, 409: {"model": Sentence}}
    )
    def retry_job(job: JobId, request: Request, holder: Holder) -> Accepted:
        """Score a study anew whose job failed, for instance of a full disk."""
        found(job)
        service.retry(job)
        service.audit.note(holder, "asked again", study=job, client=_client(request))
        return Accepted(job=job)

    @app.get("/metrics", responses={401: {"model": Sentence}, 200: {"content": {"text/plain": {}}}})
    def read_metrics(holder: Holder) -> Response:
        """Numbers for Prometheus."""
        return Response(service.metrics.text(), media_type=CONTENT_TYPE)


def _add_pages(app: FastAPI, service: Service, doorkeeper: Doorkeeper, secure: bool) -> None:
    @app.get("/health", response_model=Health)
    def read_health() -> Health:
        """Whether the service answers; asks for no token."""
        return Health(version=__version__)

    @app.get("/", include_in_schema=False)
    def read_page() -> FileResponse:
        return FileResponse(_ASSETS / "worklist.html", media_type=_TYPES[".html"])

    @app.get("/assets/{name}", include_in_schema=False)
    def read_asset(name: str) -> FileResponse:
        known = {file.name: file for file in _ASSETS.iterdir() if file.suffix in (".css", ".js")} | _SHARED
        if name not in known:
            raise Refused(404, "There is no such file.")
        return FileResponse(known[name], media_type=_TYPES[known[name].suffix])

    @app.post("/login", status_code=204, responses={401: {"model": Sentence}, 422: {"model": Sentence}})
    def log_in(token: Token, request: Request) -> Response:
        """Begin a session of a browser."""
        holder = doorkeeper.holder(token.token.strip())
        if holder is None:
            service.audit.note("nobody", "refused", status=401, client=_client(request))
            raise Refused(401, "That is not the token of this service.")
        service.audit.note(holder, "logged in", client=_client(request))
        answer = Response(status_code=204)
        session = doorkeeper.begin_session(holder)
        answer.set_cookie(COOKIE, session, max_age=SESSION_S, httponly=True, samesite="strict", secure=secure)
        return answer

    @app.post("/logout", status_code=204)
    def log_out(request: Request) -> Response:
        """End the session."""
        session = request.cookies.get(COOKIE, "")
        holder = doorkeeper.session_holder(session)
        doorkeeper.end_session(session)
        if holder is not None:
            service.audit.note(holder, "logged out", client=_client(request))
        answer = Response(status_code=204)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=secure)
        return answer

    @app.get("/runs", responses={401: {"model": Sentence}})
    def list_runs(request: Request) -> list[str]:
        """The names of the runs that are served; the first scores what names none."""
        who(request, doorkeeper)
        return list(service.runs)


def _add_refusals(app: FastAPI) -> None:
    def said(status: int, sentence: str) -> JSONResponse:
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
        return JSONResponse({"detail": sentence}, status, headers=headers)

    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> JSONResponse:
        return said(error.status, str(error))

    @app.exception_handler(HTTPException)
    async def not_there(_: Request, error: HTTPException) -> JSONResponse:
        return said(error.status_code, str(error.detail))

    @app.exception_handler(RequestValidationError)
    async def not_understood(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        if first["loc"][0] == "path":
            return said(404, "There is no such study.")
        where = ".".join(str(part) for part in first["loc"])
        return said(422, f"The request is not understood: {where}: {first['msg']}.")

    async def no_room(_: Request, error: Exception) -> JSONResponse:
        full = is_full(error)
        if full is None:
            raise error
        return said(full.status, str(full))

    for kind in (OSError, sqlite3.OperationalError):
        app.exception_handler(kind)(no_room)


def _client(request: Request) -> str:
    return "" if request.client is None else request.client.host
