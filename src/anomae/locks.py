"""One process at a time writes a folder; what a process that died had locked is taken over, and said."""

import errno
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from anomae.errors import UserError
from anomae.files import is_unfinished
from anomae.progress import say

LOCK = ".lock"


class FolderLock:
    """The right to write a folder, held from its making until `release`, or until the process ends in whatever way.

    The system keeps the lock, so a process that was killed holds none; the file FOLDER/.lock only tells who held it,
    and is removed at the end.
    """

    def __init__(self, folder: Path) -> None:
        """Take the lock of `folder`, making the folder where it is absent.

        Raises UserError where another process holds it or the folder cannot be written to.
        """
        self.path = folder / LOCK
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] = self._locked()
        except BlockingIOError as error:
            raise UserError(f"Another process is writing {folder}; wait for it, or stop it first.") from error
        except OSError as error:
            raise UserError(f"{folder} cannot be written to ({error.strerror}); name another folder.") from error
        try:
            self._tell_holder_before()
            self._file.seek(0)
            self._file.truncate()
            self._file.write(json.dumps({"host": socket.gethostname(), "process": os.getpid()}) + "\n")
            self._file.flush()
        except BaseException:
            self._file.close()
            raise

    def release(self) -> None:
        """Give the lock back; a second time does nothing."""
        if not self._file.closed:
            self.path.unlink(missing_ok=True)  # before it is unlocked: nobody else's file is removed
            self._file.close()

    def _locked(self) -> IO[str]:
        """The file, open and locked.  One that its holder removed meanwhile keeps nobody out, so it is tried again."""
        while True:
            file = self.path.open("a+", encoding="utf-8", errors="replace")
            try:
                _lock(file, self.path.parent)
                if self.path.exists() and os.path.samestat(os.fstat(file.fileno()), self.path.stat()):
                    return file
            except FileNotFoundError:
                pass  # removed between the two looks: the same case
            except BaseException:
                file.close()
                raise
            file.close()

    def _tell_holder_before(self) -> None:
        self._file.seek(0)
        if self._file.read().strip():
            say(f"An earlier process that wrote {self.path.parent} did not end well; its lock is taken over.")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The lock of `folder`, for as long as the block runs; see `FolderLock`."""
    lock = FolderLock(folder)
    try:
        yield
    finally:
        lock.release()


def holds_anything(folder: Path) -> bool:
    """Whether something else than a lock, or a file that a killed process left half written, lies in `folder`."""
    return folder.is_dir() and any(
        entry.name != LOCK and not (is_unfinished(entry) and entry.is_file()) for entry in folder.iterdir()
    )


def _lock(file: IO[str], folder: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
        say(f"The disk of {folder} keeps no locks: take care that no other process writes there.")
