"""Who did what, when: a line of JSON each, with ids of studies and never a name, a file name or a patient."""

import threading
from datetime import UTC, datetime
from pathlib import Path

from anomae.files import append_json_line


class Audit:
    """The audit log, DIR/audit.jsonl; it is only ever appended to."""

    def __init__(self, file: Path) -> None:
        self._file, self._lock = file, threading.Lock()

    def note(self, who: str, did: str, *, study: str = "", status: int | None = None, client: str = "") -> None:
        """Append a line and hand it to the disk.

        who: the holder of a token, or "service".  did: a few fixed words.  study: its id.  status: of HTTP, where a
        request was refused.  client: the address it came from.  Raises OSError where it cannot be written.
        """
        facts = {"study": study, "status": status, "client": client}
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "who": who, "did": did}
        with self._lock:
            append_json_line(self._file, line | {key: value for key, value in facts.items() if value})
