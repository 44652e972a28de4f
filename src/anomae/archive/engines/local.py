"""Processes on this machine, each with a pipe of its own: one that dies is replaced, and it is known what it was at."""

import signal
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import ClassVar, Self

from anomae.archive.engines.engine import Outcome
from anomae.archive.worker import Answer, Job, Piece, score_piece
from anomae.workers import begin_worker, interrupts_kept, script_left_alone

_PATIENCE_S = 5.0


class LocalEngine:
    """Workers are started as pieces come, and ended with the block."""

    shared: ClassVar[bool] = False

    def __init__(self, job: Job, workers: int) -> None:
        """workers: processes."""
        self.slots, self._job = workers, job
        self._idle: list[_Worker] = []
        self._busy: dict[Connection, tuple[_Worker, Piece]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in [*self._idle, *(worker for worker, _ in self._busy.values())]:
            worker.end(0.0)

    def submit(self, piece: Piece) -> None:
        """Hand a piece to an idle worker, or to a new one."""
        worker = self._idle.pop() if self._idle else _Worker(self._job)
        try:
            worker.pipe.send(piece)
        except (BrokenPipeError, ConnectionResetError):  # it was ended while it had nothing to do
            worker.end(_PATIENCE_S)
            worker = _Worker(self._job)
            worker.pipe.send(piece)
        self._busy[worker.pipe] = (worker, piece)

    def outcomes(self) -> list[Outcome]:
        """Wait for answers; a pipe that closes says that its worker is gone."""
        found = []
        for pipe in connection.wait(list(self._busy)):
            assert isinstance(pipe, Connection)
            worker, piece = self._busy.pop(pipe)
            try:
                answer: Answer = pipe.recv()
            except (EOFError, ConnectionResetError):
                found.append(Outcome(piece, None, worker.end(_PATIENCE_S)))
            else:
                self._idle.append(worker)
                found.append(Outcome(piece, answer))
        return found


class _Worker:
    def __init__(self, job: Job) -> None:
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(target=_serve, args=(job, theirs), daemon=True)
        with script_left_alone(), interrupts_kept():
            self.process.start()
        theirs.close()  # the worker's alone, so that its end closes the pipe

    def end(self, patience_s: float) -> str:
        """Make sure that it is gone, after so many seconds by force; says how it went."""
        self.process.join(patience_s)
        if self.process.exitcode is None:
            self.process.terminate()
            self.process.join(_PATIENCE_S)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        self.pipe.close()
        code = self.process.exitcode or 0
        names = {number.value: number.name for number in signal.Signals}
        return f"signal {names.get(-code, -code)}" if code < 0 else f"exit code {code}"


def _serve(job: Job, pipe: Connection) -> None:
    begin_worker()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while True:
        try:
            piece = pipe.recv()
        except EOFError:
            return
        pipe.send(score_piece(job, piece))
