"""A run that was refused before anything was learned leaves nothing behind."""

from collections.abc import Iterator
from contextlib import contextmanager

from anomae.errors import UserError
from anomae.locks import LOCK
from anomae.runs.run import Run


@contextmanager
def nothing_left_of_a_refusal(run: Run, new: bool) -> Iterator[None]:
    """Where the block raises UserError and the folder holds run.json alone, remove it: other settings may follow.

    new: whether run.json was written just now.
    """
    try:
        yield
    except UserError:
        if new and {path.name for path in run.folder.iterdir()} <= {"run.json", LOCK}:
            (run.folder / "run.json").unlink(missing_ok=True)
        raise
