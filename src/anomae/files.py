"""Files written whole or not at all, and the small formats that every room uses: JSON, JSON lines, CSV."""

import csv
import errno
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from anomae.errors import FULL_DISK, NotWritten, UserError

# A byte of a file name that is no UTF-8 is to Python the letter \udcXX, which no file holds.  Escaped so it is still
# that letter where JSON is read back.
_NO_UTF8 = "backslashreplace"
_LITTLE_BYTES = 16 << 20
_LEFT_BY_SYSTEMS = ("Thumbs.db", "desktop.ini")  # and all that is hidden, such as .DS_Store


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, same suffixes; renamed to `path` if the block ends well, else removed.

    It is handed to the disk before it is renamed, so a full disk or a quota that is told late is told here.  Raises
    NotWritten where a library could not write and gives no reason of the system's, OSError with the reason else, and
    with the file where the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".part-{secrets.token_hex(8)}{''.join(path.suffixes[-2:])}")
    # Made by the system with all rights but those that the umask withholds; asking for the umask itself means setting
    # it, for all threads of the process.
    handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
    rights = stat.S_IMODE(os.fstat(handle).st_mode)
    os.close(handle)
    try:
        yield temporary
        temporary.chmod(rights)  # a library may have put a file of its own there
        _to_disk(temporary)
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in FULL_DISK and not error.filename:
            error.filename = str(path)  # the system leaves the file out of its word on an open one
        if type(error) is OSError and error.errno is None:  # numpy and Pillow raise such ones where a write fell short
            first = error  # and pydicom in place of the system's own, with a trace of the program in its words
            while isinstance(first.__cause__, OSError):
                first = first.__cause__
            raise NotWritten(path, first.strerror or str(first)) from error
        raise


def copy_file(source: Path, target: Path) -> None:
    """Copy what a file holds; where there is no room, the error names `target` and not `source`, as Python's does."""
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        if error.errno in FULL_DISK:
            raise OSError(error.errno, error.strerror, str(target)) from error
        raise


def stop_if_full(error: Exception, folder: Path) -> None:
    """Raise NotWritten where `error` says that there is no room, so that nothing more is done in vain.

    Of a library that gives no reason, where `folder`, which is written into, has less than 16 MiB left.  A limit on
    the size of one file is none of all: nothing is raised.
    """
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        raise NotWritten(error.filename or folder, os.strerror(error.errno)) from error
    if isinstance(error, NotWritten) and shutil.disk_usage(folder).free < _LITTLE_BYTES:
        raise error


def is_unfinished(path: Path) -> bool:
    """Whether a process that was killed, or writes still, left this file or folder half written: its name says so."""
    return path.name.startswith(".part-")


def is_left_by_system(name: str) -> bool:
    """Whether a file or folder is hidden, or one that a file manager or a tool for copying leaves among the user's."""
    return name.startswith(".") or name in _LEFT_BY_SYSTEMS


def remove_unfinished(*folders: Path, below: bool = True) -> None:
    """Remove what was left half written in these folders, and below; nobody else may be writing there."""
    pattern = "**/.part-*" if below else ".part-*"
    for left in [path for folder in folders for path in folder.glob(pattern)]:
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink(missing_ok=True)


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all; bytes of file names that are none as Python shows them."""
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors=_NO_UTF8)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content`, whole or not at all: for libraries that pass over a write that fell short, as Pillow does."""
    with written_whole(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON, whole or not at all.  NaN and infinity are refused (ValueError)."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.  Raises UserError where it is missing, is not JSON, or is another value."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing.") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not readable as JSON ({error}).") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is not whole: it holds no JSON object; copy it again.")
    return content


def append_json_line(path: Path, content: Mapping[str, Any]) -> None:
    """Append one line of JSON to a journal and hand it to the disk before returning.

    A last line cut short by a crash is removed first: what follows it could never be read again.
    """
    line = json.dumps(content, allow_nan=False, ensure_ascii=False) + "\n"
    with path.open("a+b") as lines:
        end = lines.seek(0, os.SEEK_END)
        if end:
            lines.seek(end - 1)
            if lines.read(1) != b"\n":
                lines.seek(0)
                lines.truncate(lines.read().rfind(b"\n") + 1)
        try:
            lines.write(line.encode("utf-8", _NO_UTF8))
            lines.flush()
            os.fsync(lines.fileno())
        except OSError as error:  # the system leaves the file out of its word on an open one
            error.filename = error.filename or str(path)
            raise


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """All sound lines of a journal whose lines stand for themselves.  A missing file has no lines.

    Left out are a last line that a crash cut short, and lines that the disk damaged.
    """
    return [line for line in _parsed_lines(path) if line is not None]


def read_json_lines_in_order(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The sound lines of a journal whose lines build on one another, up to the first damaged one, and its number.

    The number counts from 1 and is 0 where no line is damaged; a last line that a crash cut short is not.
    """
    lines = _parsed_lines(path)
    damaged = lines.index(None) if None in lines else len(lines)
    return [line for line in lines[:damaged] if line is not None], damaged + 1 if damaged < len(lines) else 0


def keep_json_lines(path: Path, count: int) -> None:
    """Cut a journal off after its first `count` lines, in place: whoever holds it open or locked goes on doing so."""
    with path.open("r+b") as lines:
        for _ in range(count):
            lines.readline()
        lines.truncate(lines.tell())


def _parsed_lines(path: Path) -> list[dict[str, Any] | None]:
    """Every line that ends with a line end; None where it holds no JSON object."""
    if not path.exists():
        return []
    return [_parsed_line(line) for line in path.read_bytes().split(b"\n")[:-1]]


def _parsed_line(line: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file with a header, whole or not at all."""
    with written_whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8", errors=_NO_UTF8) as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
