"""What the service refuses: bounds on uploads, on the process that scores, and on the queue, in one settings object."""

from dataclasses import dataclass

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one service.

    upload_bytes: of one request.  files: of one study, unpacked.  unpacked_bytes: of one study, unpacked.  ratio: of
    unpacked to packed bytes, looked at from `ratio_from_bytes` on.  upload_s: until an upload has arrived.
    memory_bytes: resident memory of the process that scores, with its children.  job_s: until a job is done.
    attempts: how often a job may kill that process.  waiting: jobs in the queue.  free_bytes: kept free on the disk.
    """

    upload_bytes: int = 2 * GIB
    files: int = 10_000
    unpacked_bytes: int = 8 * GIB
    ratio: int = 200
    ratio_from_bytes: int = 64 << 20
    upload_s: float = 900.0
    memory_bytes: int = 8 * GIB
    job_s: float = 3600.0
    attempts: int = 3
    waiting: int = 1000
    free_bytes: int = GIB // 2
