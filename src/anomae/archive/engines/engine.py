"""What an engine is, and which there are."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from anomae.archive.worker import Answer, Job, Piece
from anomae.errors import UserError
from anomae.extras import require

Name = Literal["local", "dask", "ray"]
# Engine -> package that it needs -> the extra that it comes with.
_EXTRAS: dict[str, dict[str, str]] = {
    "local": {},
    "dask": {"dask": "cluster", "distributed": "cluster"},
    "ray": {"ray": "ray"},
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """A piece that left its worker.  answer: None where the worker was ended over it, and `ended` says how.

    lost: that was not for its files, as far as is known: its machine went, or the scheduler forgot it.
    """

    piece: Piece
    answer: Answer | None
    ended: str = ""
    lost: bool = False


class Engine(Protocol):
    """Scores pieces in processes of their own."""

    @property
    def slots(self) -> int:
        """How many pieces are scored at once."""
        ...

    @property
    def shared(self) -> bool:
        """Whether a worker that dies may take other pieces with it, that wait for it or run beside in threads."""
        ...

    def submit(self, piece: Piece) -> None:
        """Hand a piece over; no more than `slots` are under way at once."""
        ...

    def outcomes(self) -> list[Outcome]:
        """Wait until at least one piece is done, and return those that are."""
        ...


def opened(name: str, job: Job, workers: int, address: str | None) -> AbstractContextManager[Engine]:
    """An engine whose workers end with the block.

    workers: how many.  address: of a Dask scheduler or Ray cluster that runs already; None: one is started here.
    Raises UserError for an unknown name, and MissingExtra where its package is not installed.
    """
    checked(name, address)
    if name == "dask":
        from anomae.archive.engines.dask import DaskEngine

        return DaskEngine(job, workers, address)
    if name == "ray":
        from anomae.archive.engines.ray import RayEngine

        return RayEngine(job, workers, address)
    from anomae.archive.engines.local import LocalEngine

    return LocalEngine(job, workers)


def checked(name: str, address: str | None) -> str:
    """The name, where there is such an engine and its package.  Raises as `opened` does, and starts nothing."""
    if name not in _EXTRAS:
        raise UserError(f"There is no engine {name!r}; there are local, dask and ray.")
    if name == "local" and address is not None:
        raise UserError("--address is for the engines dask and ray; local has its workers on this machine.")
    for package, extra in _EXTRAS[name].items():
        require(package, extra)
    return name
