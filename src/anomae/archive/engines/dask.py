"""Dask: a cluster of processes on this machine, or the one whose scheduler's address is given."""

import logging
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from types import TracebackType
from typing import Any, ClassVar, Self

from anomae.archive.engines.engine import Outcome
from anomae.archive.worker import Job, Piece, score_piece
from anomae.errors import UserError
from anomae.extras import require
from anomae.progress import say
from anomae.workers import interrupts_kept

PATIENCE_S = 60.0  # without an answer, after which it is looked whether anybody works


class DaskEngine:
    """A worker that dies is replaced by its nanny, and what it was at, or was to be at next, comes back as ended."""

    shared: ClassVar[bool] = True

    def __init__(self, job: Job, workers: int, address: str | None) -> None:
        """workers: processes, where no `address` is given; else those that the scheduler has when this starts.

        Raises MissingExtra without the extra `cluster`, UserError where the scheduler cannot be reached or has no
        worker.
        """
        self._dask, self._distributed = require("dask", "cluster"), require("distributed", "cluster")
        # What Dask makes of a scheduler that is gone.
        self._gone = (OSError, CancelledError, self._distributed.client.ClosedClientError)
        self._job, self._pieces, self._without_workers = job, dict[Any, Piece](), False
        self._quiet = ExitStack()
        self._quiet.enter_context(_quieted())
        self._cluster: Any = None
        try:
            self._open(workers, address)
        except BaseException:
            self._quiet.close()
            raise

    def _open(self, workers: int, address: str | None) -> None:
        # A piece whose worker dies is not given to another one as it is: it is taken apart until the file is found.
        with self._dask.config.set({"distributed.scheduler.allowed-failures": 0}):
            if address is None:
                with interrupts_kept():  # kept by Dask's own thread too, which starts workers later on
                    self._cluster = self._distributed.LocalCluster(
                        n_workers=workers,
                        threads_per_worker=1,
                        processes=True,
                        dashboard_address="127.0.0.1:0",
                        silence_logs=logging.CRITICAL,  # that a worker was ended is told by this program, with its file
                    )
            try:
                self._client = self._distributed.Client(self._cluster or address, timeout=30)
            except OSError as error:
                raise UserError(
                    f"No Dask scheduler answers at {address}; start one, or leave --address out."
                ) from error
        self._address = address or self._cluster.scheduler_address
        workers = self._workers()
        if not workers:
            self._client.close()
            raise UserError(f"The Dask scheduler at {address} has no worker; start some with `dask worker {address}`.")
        self.slots = workers

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._quiet:
            with suppress(*self._gone):
                self._client.cancel(list(self._pieces))
            with suppress(*self._gone):
                self._client.close()
            if self._cluster is not None:
                self._cluster.close()

    def submit(self, piece: Piece) -> None:
        """Hand a piece to the scheduler."""
        with self._answering():
            self._pieces[self._client.submit(score_piece, self._job, piece, pure=False)] = piece

    def outcomes(self) -> list[Outcome]:
        """Wait for answers; where there is nobody left who could give one, say so and wait on."""
        with self._answering():
            while not (done := self._done()):
                self._say_if_nobody_works()
        self._without_workers = False
        return [self._outcome(future, self._pieces.pop(future)) for future in done]

    def _done(self) -> list[Any]:
        """The futures that will change no more; none where that takes long."""
        try:
            return list(
                self._distributed.wait(list(self._pieces), timeout=PATIENCE_S, return_when="FIRST_COMPLETED").done
            )
        except self._distributed.TimeoutError:
            return []
        except CancelledError:
            if self._client.status != "running":
                raise
            return [future for future in self._pieces if future.status != "pending"]

    def _outcome(self, future: Any, piece: Piece) -> Outcome:
        if future.status == "finished":
            with self._answering():
                return Outcome(piece, future.result())
        if future.status != "error":  # cancelled or lost: the scheduler was told to forget it
            return Outcome(piece, None, "Dask forgot it", lost=True)
        error = future.exception()
        if not isinstance(error, self._distributed.KilledWorker):
            raise error
        return Outcome(piece, None, "its worker was lost")

    def _workers(self) -> int:
        return len(self._client.scheduler_info(n_workers=-1)["workers"])

    def _say_if_nobody_works(self) -> None:
        nobody = not self._workers()
        if nobody and not self._without_workers:
            say(
                f"The scheduler at {self._address} has no worker any more; start some, or stop with Ctrl-C and go on "
                "later."
            )
        self._without_workers = nobody

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except self._gone as error:
            raise UserError(
                f"The Dask scheduler at {self._address} does not answer any more; give the same command again."
            ) from error


@contextmanager
def _quieted() -> Iterator[None]:
    """Nothing is printed of what Dask logs: its pages of tracebacks tell less than this program's one sentence."""
    handlers = {handler: handler.level for handler in logging.getLogger("distributed").handlers}
    for handler in handlers:
        handler.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for handler, level in handlers.items():
            handler.setLevel(level)
