"""Checking what a file claims to hold before memory is spent on it, and turning foreign errors into one sentence."""

import struct
import sys
import traceback
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import BinaryIO

from anomae.errors import AnomaeError, UnreadableScan

MAX_VOXELS = 2**31
MAX_BYTES = 2**32
SLACK_BYTES = 2**20  # trailing bytes that are padding rather than a bomb
DEFLATE_RATIO = 1032  # the most that deflate can shrink anything
_CHUNK = 2**20
_PACKAGE = __name__.partition(".")[0]


def unreadable(path: Path, what: str) -> UnreadableScan:
    """The error for `path`, one printable line; `what` continues the sentence and may not hold patient data."""
    return UnreadableScan("".join(letter if letter.isprintable() else "?" for letter in f"{path} {what}"))


# What the parsers and the standard library say of broken content, wherever it is noticed.
_OF_THE_CONTENT = (
    OSError,
    EOFError,
    ValueError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)


@contextmanager
def parsing(path: Path, kind: str) -> Iterator[None]:
    """Run a foreign parser on `path`: what it raises of a broken file becomes UnreadableScan.

    Parsers of hostile files raise anything, TypeError and KeyError included; so what a library raises is translated
    whatever it is.  Raised by this package's own lines, such an error is a defect of the program and stays what it is.
    The parser's own words are left out of the message, for they may quote patient data; they stay in the traceback.
    """
    try:
        yield
    except (AnomaeError, ImportError):
        raise
    except FileNotFoundError as error:
        raise unreadable(path, "is missing.") from error
    except PermissionError as error:
        raise unreadable(path, "may not be opened by you; change its permissions.") from error
    except Exception as error:
        if not isinstance(error, _OF_THE_CONTENT) and _is_our_own(error):
            raise
        text = f"is not a readable {kind} file ({type(error).__name__}); it may be cut short or broken: copy it again."
        raise unreadable(path, text) from error


def _is_our_own(error: Exception) -> bool:
    """Whether a line of this package raised it, or called into the standard library where it was raised."""
    packages = [
        str(frame.f_globals.get("__name__", "")).partition(".")[0]
        for frame, _ in traceback.walk_tb(error.__traceback__)
    ]
    return next(name for name in reversed(packages) if name not in sys.stdlib_module_names) == _PACKAGE


def check_size(path: Path, shape: Sequence[int], voxel_bytes: int, max_voxels: int) -> int:
    """The bytes that voxels of `shape` take.  Raises UnreadableScan where a side is below 1 or all is too large."""
    sides = "x".join(str(side) for side in shape)
    if len(sides) > 80 or min(shape, default=0) < 1:
        raise unreadable(path, f"claims impossible dimensions ({sides[:80]}); its header is broken.")
    voxels = prod(shape)
    if voxels > max_voxels or voxels * voxel_bytes > MAX_BYTES:
        limit = f"{max_voxels:,} voxels or {MAX_BYTES >> 20:,} MiB"
        raise unreadable(path, f"claims {sides} voxels, more than the limit of {limit}; crop it or raise max_voxels.")
    return voxels * voxel_bytes


def check_stored(path: Path, wanted: int, present: int) -> None:
    """Raise UnreadableScan where `present` bytes cannot be the `wanted` ones."""
    if present < wanted:
        text = f"is cut short: its header promises {wanted:,} bytes of voxels and {max(present, 0):,} are there; "
        raise unreadable(path, text + "copy it again.")


def check_ratio(path: Path, wanted: int, compressed: int) -> None:
    """Raise UnreadableScan where `compressed` bytes of deflate cannot hold the `wanted` ones."""
    if wanted > DEFLATE_RATIO * compressed + SLACK_BYTES:
        text = f"claims {wanted:,} bytes of voxels, which its {max(compressed, 0):,} compressed bytes cannot hold; "
        raise unreadable(path, text + "it is cut short or its header lies.")


def check_stream(path: Path, stream: BinaryIO, wanted: int, *, wbits: int = 47, at_most: int | None = None) -> None:
    """Decompress `stream` (zlib or gzip) to its end without keeping it, checking its sums.

    Raises UnreadableScan where less than `wanted` bytes come out, or more than `at_most` (`wanted` and some slack).
    """
    at_most = wanted + SLACK_BYTES if at_most is None else at_most
    total = 0
    with parsing(path, "compressed"):
        inflate = zlib.decompressobj(wbits)
        while block := stream.read(_CHUNK):
            while block:
                total += len(inflate.decompress(block, _CHUNK))
                if total > at_most:
                    text = "decompresses to more than its header promises; it is broken or a compression bomb."
                    raise unreadable(path, text)
                block = inflate.unconsumed_tail
            if inflate.eof:
                break
        total += len(inflate.flush())
        if not inflate.eof:
            raise unreadable(path, "is cut short: its compressed voxels end too early; copy it again.")
    check_stored(path, wanted, total)


def header_text(line: bytes) -> str:
    """A line of a text header: UTF-8, as names of files are, or what old programs wrote."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")


def file_beside(path: Path, name: str) -> Path:
    """The file that the header `path` names as holding its voxels: in the same folder or below it.

    Raises UnreadableScan for every name that could lead elsewhere (absolute, "..", backslashes, drives) or is missing.
    """
    parts = name.split("/")
    if not name.isprintable() or name.startswith(("/", "~")) or set("\\:%*?") & set(name) or ".." in parts:
        raise unreadable(path, "names a voxel file outside its own folder, which is refused; put both side by side.")
    beside = path.parent / name
    if not beside.is_file():
        raise unreadable(path, f"has its voxels in {name}, which is missing; put both side by side.")
    return beside
