"""The order in which jobs are scored: huey on SQLite, its messages JSON; what it loses in a crash, `Jobs` knows."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from anomae.extras import require


class Queue:
    """Jobs that wait.  `step` scores the next one."""

    def __init__(self, file: Path, score: Callable[[str], None]) -> None:
        """score: what is called with the id of a job."""
        huey, registry = require("huey", "serve"), require("huey.registry", "serve")
        serializer = require("huey.serializer", "serve").Serializer

        class _Json(serializer):  # type: ignore[misc, valid-type]  # huey pickles, if it is let
            def _serialize(self, message: Any) -> bytes:
                return json.dumps(message._asdict()).encode()

            def _deserialize(self, content: bytes) -> Any:
                return registry.Message(**json.loads(bytes(content)))

        self._huey = huey.SqliteHuey(
            "anomae", filename=str(file), results=False, serializer=_Json(), strict_fifo=True, fsync=True
        )
        self._score = self._huey.task(name="score")(score)

    def put(self, job: str) -> None:
        """Append a job."""
        self._score(job)

    def refill(self, jobs: Iterable[str]) -> None:
        """Forget what waits and append these: after a crash, what was taken and not finished must be there again."""
        self._huey.flush()
        for job in jobs:
            self.put(job)

    def step(self) -> bool:
        """Score the next job; False, at once, where none waits."""
        task = self._huey.dequeue()
        if task is None:
            return False
        self._huey.execute(task)
        return True

    def close(self) -> None:
        """Close the file."""
        self._huey.storage.close()
