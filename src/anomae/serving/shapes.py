"""The shapes of what the service answers, for the OpenAPI document."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from anomae.serving.jobs import Job


class Sentence(BaseModel):
    """Why a request was refused."""

    detail: str


class Accepted(BaseModel):
    """A study was taken."""

    job: str = Field(description="Id of the job, and of its study.")


class Progress(BaseModel):
    """How far a job is."""

    done: int
    total: int = Field(description="0 where it is not known yet.")
    unit: Literal["scans"] = "scans"


class JobState(BaseModel):
    """A job as it is now."""

    job: str
    state: Literal["queued", "running", "done", "failed"]
    progress: Progress
    run: str
    study: str | None = Field(description="Id of the study, once it is done.")
    error: str | None = Field(description="Why it failed; files by their numbers, in the order of their names.")
    note: str | None = Field(description="What is to be known though it did not fail; files likewise.")
    flag: bool | None = Field(description="Whether any scan is flagged; null where none could be, or not yet.")
    scans: int | None
    findings: int | None
    results: list[str] = Field(
        description="Which of map.nii.gz, map.tiff, seg.dcm and sr.dcm its first scan has; none before it is done."
    )
    files: int
    bytes: int
    sent_at: float = Field(description="Unix time.")
    begun_at: float | None
    ended_at: float | None


class Health(BaseModel):
    """The service answers."""

    status: Literal["ok"] = "ok"
    version: str


class Study(BaseModel, extra="allow"):
    """What a model says of a study.  Research only, not for clinical use."""

    study: str
    run: str
    flag: bool | None = Field(description="Whether any scan is flagged; null where none could be.")
    scans: list[dict[str, Any]] = Field(
        description="Each with score, flag, why it has none, findings and slice scores."
    )
    findings: int
    notes: list[str]


class Token(BaseModel):
    """What a person logs in with."""

    token: str = Field(max_length=1000)


def job_state(job: Job) -> JobState:
    """What is answered about a job."""
    return JobState(
        job=job.id,
        state=job.state,
        progress=Progress(done=job.done, total=job.total),
        run=job.run,
        study=job.id if job.state == "done" else None,
        error=job.error or None,
        note=job.note or None,
        flag=None if job.flag is None else bool(job.flag),
        scans=job.scans,
        findings=job.findings,
        results=(job.results or "").split(),
        files=job.files,
        bytes=job.bytes,
        sent_at=job.sent_at,
        begun_at=job.begun_at,
        ended_at=job.ended_at,
    )
