"""numpy arrays on disk: read without pickle and only after the header was judged, mapped rather than loaded."""

import os
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from anomae.errors import UserError

# What numpy raises of a broken .npy or .npz: its header is read as Python, its arrays are unpacked.
BROKEN_ARRAY = (
    ValueError,
    OSError,
    EOFError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    TypeError,
    TokenError,
    zlib.error,
    BadZipFile,
)


def map_array(path: Path) -> npt.NDArray[Any]:
    """A read-only memory map of a .npy file.  Raises UserError where it is missing, cut short, or holds objects."""
    try:
        mapped: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        return mapped
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing.") from error
    except BROKEN_ARRAY as error:
        raise UserError(f"{path} is not a whole .npy array ({error}); make it again.") from error


class GrowingArray:
    """A .npy file that grows row by row and may be continued after a crash.

    The header keeps room for the final count (numpy's own padding), so closing rewrites it in place; rows past the
    count that the caller vouches for are cut off on continuing.
    """

    def __init__(self, path: Path, row_shape: tuple[int, ...], dtype: npt.DTypeLike, rows: int = 0) -> None:
        """Open `path` with `rows` good rows in it already (0: start anew); each row is `row_shape` of `dtype`.

        Raises UserError where these are not there.
        """
        self.path, self.row_shape, self.dtype, self.rows = path, row_shape, np.dtype(dtype), rows
        self._row_bytes = int(np.prod(row_shape, dtype=np.int64)) * self.dtype.itemsize
        path.parent.mkdir(parents=True, exist_ok=True)
        if not rows:
            path.unlink(missing_ok=True)  # a fold may share the old file
        elif not path.exists():
            raise UserError(f"{path} is missing, and its journal goes on from it; remove its folder and start again.")
        self._file = path.open("r+b" if rows else "w+b")
        present = self._file.seek(0, 2)
        self._start = self._write_header(rows)
        end = self._start + rows * self._row_bytes
        if rows and present < end:
            self._file.close()
            raise UserError(f"{path} is shorter than its journal says; remove its folder and start again.")
        with self._named(), ExitStack() as opened:
            opened.callback(self._file.close)
            self._file.truncate(end)
            opened.pop_all()
        self._file.seek(end)

    def append(self, block: npt.NDArray[Any]) -> None:
        """Write the rows of `block` (k, *row_shape), cast to the file's type, and hand them to the system."""
        if block.shape[1:] != self.row_shape:
            raise ValueError(f"rows of shape {block.shape[1:]} do not fit {self.row_shape}")
        with self._named():
            self._file.write(np.ascontiguousarray(block, dtype=self.dtype).tobytes())
            self._file.flush()
        self.rows += len(block)

    def close(self) -> None:
        """Write the final count into the header, hand all to the disk and close the file; twice does nothing.

        Raises OSError where the disk did not take it.
        """
        if self._file.closed:
            return
        with self._named():
            try:
                self._write_header(self.rows)
                self._file.flush()
                os.fsync(self._file.fileno())
            finally:
                self._file.close()

    @contextmanager
    def _named(self) -> Iterator[None]:
        """What the disk does not take names the file, which the system leaves out of its word on an open one."""
        try:
            yield
        except OSError as error:
            error.filename = error.filename or str(self.path)
            raise

    def _write_header(self, rows: int) -> int:
        description = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False}
        self._file.seek(0)
        np.lib.format.write_array_header_1_0(self._file, {**description, "shape": (rows, *self.row_shape)})
        return self._file.tell()
