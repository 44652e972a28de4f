"""Ray: workers on this machine, or on the cluster whose address is given."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, ClassVar, Self

from anomae.archive.engines.engine import Outcome
from anomae.archive.worker import Job, Piece, score_piece
from anomae.errors import UserError
from anomae.extras import require


class RayEngine:
    """Tasks that are not tried again by Ray: a piece whose worker dies is taken apart until the file is found.

    One whose machine goes is given again.
    """

    shared: ClassVar[bool] = False

    def __init__(self, job: Job, workers: int, address: str | None) -> None:
        """workers: how many pieces at once, each on one core as Ray counts them.

        Raises MissingExtra without the extra `ray`, UserError where no cluster is found at `address`.
        """
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reports its use to its makers otherwise
        self._ray = require("ray", "ray")
        self.slots, self._job, self._elsewhere = workers, job, address is not None
        self._pieces: dict[Any, Piece] = {}
        options = {"num_cpus": workers, "include_dashboard": False} if address is None else {"address": address}
        try:
            self._ray.init(configure_logging=False, log_to_driver=False, **options)
        except ConnectionError as error:
            raise UserError(f"No Ray cluster answers at {address}; start one, or leave --address out.") from error
        self._score = self._ray.remote(max_retries=0, num_cpus=1)(score_piece)
        self._shared = self._ray.put(job)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ray.shutdown()

    def submit(self, piece: Piece) -> None:
        """Hand a piece to Ray."""
        with self._answering():
            self._pieces[self._score.remote(self._shared, piece)] = piece

    def outcomes(self) -> list[Outcome]:
        """Wait for answers."""
        with self._answering():
            done, _ = self._ray.wait(list(self._pieces), num_returns=1)
            return [self._outcome(reference, self._pieces.pop(reference)) for reference in done]

    def _outcome(self, reference: Any, piece: Piece) -> Outcome:
        errors = self._ray.exceptions
        try:
            return Outcome(piece, self._ray.get(reference))
        except (errors.WorkerCrashedError, errors.OutOfMemoryError) as error:
            return Outcome(piece, None, type(error).__name__)
        except errors.NodeDiedError as error:
            if not self._elsewhere:  # the only machine: without its helper nothing goes on
                raise
            return Outcome(piece, None, type(error).__name__, lost=True)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """What is Ray's own trouble is no defect of this program; what a task raises would be."""
        try:
            yield
        except self._ray.exceptions.RayTaskError:
            raise
        except self._ray.exceptions.RayError as error:
            raise UserError(
                f"Ray does not go on ({type(error).__name__}): its processes on this machine, or the cluster, were "
                "ended; give the same command again."
            ) from error
