"""An entry of the manifest as scans on this machine's disk: as it is, fetched through fsspec, or from DICOMweb."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from anomae.archive.beside import belonging_to, may_need_others
from anomae.archive.dicomweb import Incomplete, fetch_dicomweb, is_dicomweb
from anomae.archive.manifest import is_url
from anomae.archive.statuses import passes, status_of, why_for_good
from anomae.cohorts.own_outputs import without_outputs
from anomae.cohorts.scans_below import without_masks
from anomae.errors import FULL_DISK, MissingExtra, NotWritten, UnreadableScan, UserError
from anomae.extras import require
from anomae.volumes.headers import parsing, unreadable
from anomae.volumes.read import look_for_scans

MOST_BYTES = 2**35  # of one entry that are fetched; a larger one is refused before it fills the disk
WAITS_S = (1.0, 5.0)  # before a second and a third try, where the network fails
_FOR_GOOD = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
_NOT_LISTED = "What lies beside the file could not be listed: a brain mask there would not be seen."


@dataclass(frozen=True, slots=True)
class Fetched:
    """What an entry led to.

    file: as the manifest names it.  root: where it lies on this machine.  scans: below it.  passed_over: what was left
    out, a sentence each.  doubt: why a brain mask beside it may have been missed, "" where none was.
    """

    file: str
    root: Path
    scans: list[Path]
    passed_over: list[str]
    doubt: str = ""

    def name_of(self, scan: Path) -> str:
        """How `scan` is called in tables: by path or URL, never by where it was fetched to."""
        inner = scan.relative_to(self.root).as_posix() if scan.is_relative_to(self.root) else "."
        if inner == ".":
            return self.file
        if is_dicomweb(self.file) and "/series/" not in self.file:
            inner = f"series/{inner}"
        return f"{self.file.rstrip('/')}/{inner}"

    def told(self, sentence: str) -> str:
        """A sentence about a scan with the path or URL of the manifest in place of where it was fetched to."""
        if not is_url(self.file) or self.file.startswith("file://"):
            return sentence  # nothing was fetched
        sentence = sentence.replace(str(self.root), self.file)
        if self.root.is_file():  # what came with it lies beside it
            sentence = sentence.replace(str(self.root.parent), self.file.rpartition("/")[0])
        return sentence


class Listings:
    """The files of the remote folder that was asked for last: it is listed once, not once for each file in it."""

    def __init__(self) -> None:
        self._asked: tuple[Any, str] | None = None
        self._files: dict[str, str] = {}

    def beside(self, system: Any, path: str, needed: bool) -> dict[str, str]:
        """Name -> path of the files in the folder of `path`; {} where the file system or server does not list them.

        needed: whether the file is none without others; what fails for now is raised then, and tried again else.
        """
        parent = path.rpartition("/")[0] or ("/" if path.startswith("/") else "")
        if self._asked != (system, parent):
            self._files = _files_in(system, parent, () if needed else WAITS_S)
            self._asked = system, parent
        return self._files


@contextmanager
def fetched(file: str, listings: Listings, brains: bool) -> Iterator[Fetched]:
    """The scans of an entry, for as long as the block runs; what was fetched is removed then.

    listings: of what lies beside remote files, kept from one entry to the next.  brains: whether a brain mask beside a
    remote file is wanted; folders are listed for it.

    Scans fetched lie below the system's temporary folder (TMPDIR), one entry at a time.  Raises UnreadableScan where
    there is none, or it cannot be had; NotWritten where the temporary folder is full; MissingExtra where a package for
    this kind of URL is not installed.
    """
    if not is_url(file) or file.startswith("file://"):
        yield _found(file, Path(file.removeprefix("file://")))
        return
    with tempfile.TemporaryDirectory(prefix="anomae-") as folder:
        doubts: set[str] = set()
        fetch = (
            fetch_dicomweb if is_dicomweb(file) else partial(_fetch, doubts=doubts, listings=listings, brains=brains)
        )
        yield replace(_found(file, _tried(file, Path(folder), fetch)), doubt=" ".join(doubts))


def _found(file: str, root: Path) -> Fetched:
    if not root.is_dir():
        return Fetched(file, root, [root], [])  # that it is missing is said where it is read
    below = look_for_scans(root)
    scans, outputs = without_outputs(below.scans, root)
    passed_over = [*below.notes(), *([f"{len(outputs)} folder(s) that this program wrote."] if outputs else [])]
    if not scans:
        raise UnreadableScan(" ".join([f"{file} holds no scan or picture of a kind that is read.", *passed_over]))
    try:
        kept, left_out = without_masks(dict.fromkeys(scans, root))
    except UserError as error:
        raise UnreadableScan(str(error).replace(str(root), file)) from error
    return Fetched(file, root, list(kept), [*passed_over, *left_out])


def _tried(file: str, folder: Path, fetch: Callable[[str, Path, int], Path]) -> Path:
    """Fetch into `folder`, again where the network fails; what a server or file system raises is told of the entry."""
    for wait_s in (*WAITS_S, None):
        try:
            with parsing(Path(file), "remote"):
                return fetch(file, folder, MOST_BYTES)
        except ImportError as error:  # fsspec and its parts say what to install
            raise MissingExtra(f"{file} cannot be opened: {error}") from error
        except UnreadableScan as error:
            cause = error.__cause__
            if isinstance(cause, OSError) and cause.errno in FULL_DISK:
                raise NotWritten(folder, str(cause)) from error
            status = status_of(cause)
            for_good = None if status is None else why_for_good(file, status)
            if for_good is not None:
                raise UnreadableScan(for_good) from error
            if cause is None or (isinstance(cause, _FOR_GOOD) and not (status and passes(status))):
                raise _about(file, error) from error
            if wait_s is None:
                why = type(cause).__name__ if status is None else f"status {status}"
                why = str(cause) if isinstance(cause, Incomplete) else why
                raise UnreadableScan(f"{file} could not be fetched ({why}), tried {len(WAITS_S) + 1} times.") from error
            shutil.rmtree(folder)
            folder.mkdir()
            time.sleep(wait_s)
    raise AssertionError("the last try returns or raises")


def _about(file: str, error: UnreadableScan) -> UnreadableScan:
    return UnreadableScan(str(error).replace(str(Path(file)), file))  # a Path has one slash for two


def _fetch(file: str, folder: Path, most_bytes: int, doubts: set[str], listings: Listings, brains: bool) -> Path:
    """A file, with what belongs to it and lies beside it, or a folder, through fsspec; returns where it lies now.

    doubts: is told where it cannot be known whether a brain mask that is wanted lies beside it.
    """
    system, path = require("fsspec.core", "cluster").url_to_fs(file)
    path = str(path).rstrip("/")
    if system.isdir(path):
        facts = system.find(path, detail=True)
        wanted = {name: _inside(file, name, path) for name in facts}
        target = folder
    else:
        name = PurePosixPath(path).name or "scan"
        wanted, target = {path: Path(name)}, folder / name
        facts = {path: system.info(path)}
        needed = may_need_others(name)
        if needed or brains:
            beside = listings.beside(system, path, needed)
            if needed and name not in beside:
                raise unreadable(Path(file), "needs the files beside it, and the server does not list them.")
            doubts |= set() if name in beside else {_NOT_LISTED}
            wanted |= {beside[other]: Path(other) for other in belonging_to(name, beside, folder)}
            facts |= {one: system.info(one) for one in wanted if one != path}
    _check_bytes(file, facts, most_bytes)
    for remote, inner in wanted.items():
        local = folder / inner
        local.parent.mkdir(parents=True, exist_ok=True)
        system.get_file(remote, os.fspath(local))
    return target


def _files_in(system: Any, parent: str, waits_s: tuple[float, ...]) -> dict[str, str]:
    """Name -> path of the files in a remote folder; {} where it is not listed, for good or after so many waits."""
    for wait_s in (*waits_s, None):
        try:
            listed = system.ls(parent, detail=True)
            break
        except Exception as error:
            status = status_of(error)  # of a web server's answer; where none came it is asked again
            for_now = status is not None and passes(status)
            if not for_now and (status is not None or isinstance(error, (*_FOR_GOOD, NotImplementedError))):
                return {}
            if not waits_s:
                raise
            if wait_s is None:
                return {}  # such as Google's refusal, an OSError like any other: the file itself may be had
            time.sleep(wait_s)
    files = (str(each["name"]) for each in listed if each.get("type") != "directory")
    return {PurePosixPath(each).name: each for each in files if PurePosixPath(each).name}


def _inside(file: str, name: str, path: str) -> Path:
    """The path of `name` below `path`.  Raises UnreadableScan where it would lead elsewhere."""
    inner = PurePosixPath(name.removeprefix(path).lstrip("/"))
    if not name.startswith(path) or inner.is_absolute() or ".." in inner.parts or not inner.parts:
        raise unreadable(Path(file), "lists a file outside itself, which is refused.")
    return Path(*inner.parts)


def _check_bytes(file: str, facts: dict[str, Any], most_bytes: int) -> None:
    known = sum(int(each.get("size") or 0) for each in facts.values())
    if known > most_bytes:
        raise unreadable(Path(file), f"holds {known:,} bytes, more than the limit of {most_bytes:,}.")
