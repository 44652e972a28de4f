"""Dask: a cluster of processes on this machine, or the one whose scheduler's address is given."""

import logging
from types import TracebackType
from typing import Any, ClassVar, Self

from anomae.archive.engines.engine import Outcome
from anomae.archive.worker import Job, Piece, score_piece
from anomae.errors import UserError
from anomae.extras import require


class DaskEngine:
    """A worker that dies is replaced by its nanny, and what it was at, or was to be at next, comes back as ended."""

    shared: ClassVar[bool] = True

    def __init__(self, job: Job, workers: int, address: str | None) -> None:
        """workers: processes, where no `address` is given; else those that the scheduler has when this starts.

        Raises MissingExtra without the extra `cluster`, UserError where the scheduler cannot be reached or has no
        worker.
        """
        self._dask, self._distributed = require("dask", "cluster"), require("distributed", "cluster")
        self._job, self._pieces = job, dict[Any, Piece]()
        self._cluster: Any = None
        # A piece whose worker dies is not given to another one as it is: it is taken apart until the file is found.
        with self._dask.config.set({"distributed.scheduler.allowed-failures": 0}):
            if address is None:
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
        workers = len(self._client.scheduler_info(n_workers=-1)["workers"])
        if not workers:
            self._client.close()
            raise UserError(f"The Dask scheduler at {address} has no worker; start some with `dask worker {address}`.")
        self.slots = workers

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.cancel(list(self._pieces))
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()

    def submit(self, piece: Piece) -> None:
        """Hand a piece to the scheduler."""
        self._pieces[self._client.submit(score_piece, self._job, piece, pure=False)] = piece

    def outcomes(self) -> list[Outcome]:
        """Wait for answers."""
        done = self._distributed.wait(list(self._pieces), return_when="FIRST_COMPLETED").done
        found = []
        for future in done:
            piece = self._pieces.pop(future)
            if future.status == "finished":
                found.append(Outcome(piece, future.result()))
                continue
            error = future.exception() if future.status == "error" else None
            if error is not None and not isinstance(error, self._distributed.KilledWorker):
                raise error
            found.append(Outcome(piece, None, "its worker was lost"))
        return found
