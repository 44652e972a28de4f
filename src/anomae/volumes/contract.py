"""The contract of a reader: what must hold of a scan in any format, as checks on a made-up scan.

Each check takes a `ReaderTrial` and raises AssertionError, with a sentence, where something does not hold.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.errors import UnreadableScan
from anomae.volumes.volume import Grid, Volume

SHAPE = (5, 7, 9)
# (folder, voxels [z, y, x], their grid) -> the scan that it has written: a file, or a folder of files
Write = Callable[[Path, npt.NDArray[Any], Grid], Path]


def oblique_grid(shape: tuple[int, int, int] = SHAPE) -> Grid:
    """Anisotropic, turned about all three axes, far from the origin."""
    a, b, c = 0.3, -0.2, 0.15
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    direction = about_z @ about_y @ about_x
    return Grid(shape, (2.5, 0.8, 0.6), (-101.25, 33.5, 720.75), tuple(float(entry) for entry in direction.ravel()))


def made_up_voxels(dtype: npt.DTypeLike, shape: tuple[int, int, int] = SHAPE) -> npt.NDArray[Any]:
    """Voxels [z, y, x] that differ from their neighbours along every axis; signed types have values below 0."""
    z, y, x = np.indices(shape)
    voxels: npt.NDArray[Any] = (100 * z + 10 * y + x).astype(dtype)
    return voxels - voxels.dtype.type(1000) if np.issubdtype(dtype, np.signedinteger) else voxels


@dataclass(frozen=True)
class ReaderTrial:
    """A reader on trial.

    write: writes a made-up scan in the format, by other means than the reader's.  folder: where it may write.  read:
    path -> Volume, with the argument `max_voxels`.  dtypes: that the format keeps as they are.  geometry: whether it
    keeps spacing, origin and directions; one that does not gives spacings of 1 mm.  slices: how many it keeps; 1: of
    pictures.
    """

    write: Write
    folder: Path
    read: Callable[..., Volume]
    dtypes: Sequence[npt.DTypeLike] = (np.uint8, np.int16, np.uint16, np.float32)
    geometry: bool = True
    slices: int = SHAPE[0]

    def written(self, name: str, dtype: npt.DTypeLike | None = None) -> tuple[Path, npt.NDArray[Any], Grid]:
        """A scan on disk in the folder `name`, what its voxels are, and where they lie."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        shape = (self.slices, *SHAPE[1:])
        grid = oblique_grid(shape) if self.geometry else Grid(shape)
        voxels = made_up_voxels(self.dtypes[0] if dtype is None else dtype, shape)
        return self.write(folder, voxels.copy(), grid), voxels, grid

    def refuses(self, what: str, path: Path, named: Sequence[Path], **options: Any) -> None:
        """Raises AssertionError unless reading `path` raises UnreadableScan, in one line that names one of `named`."""
        try:
            self.read(path, **options)
        except UnreadableScan as error:
            text = str(error)
            _expect(text.isprintable(), f"{what}: {text!r} is not one line.")
            _expect(any(str(name) in text for name in named), f"{what}: {text!r} does not name the file.")
            return
        raise AssertionError(f"{what} must be refused.")


def _voxels_and_grid_are_kept(trial: ReaderTrial) -> None:
    for dtype in trial.dtypes:
        title = np.dtype(dtype).name
        path, voxels, grid = trial.written(title, dtype)
        volume = trial.read(path)
        _expect(volume.voxels.dtype == voxels.dtype, f"{title} was read as {volume.voxels.dtype}.")
        _expect(np.array_equal(volume.voxels, voxels), f"Voxels of {title} were not read as they were written.")
        _expect(volume.grid.shape == volume.voxels.shape == grid.shape, f"The grid's shape is {volume.grid.shape}.")
        close = np.allclose(volume.grid.spacing_mm, grid.spacing_mm, rtol=1e-6)
        _expect(close, f"Spacings are (z, y, x) in mm: {volume.grid.spacing_mm} is not {grid.spacing_mm}.")
        close = np.allclose(volume.grid.affine_lps(), grid.affine_lps(), atol=1e-4)
        _expect(close, "The voxels must lie where they were written (world LPS, mm).")
        _expect(volume.notes == (), f"Nothing had to be mended, but the notes say {volume.notes}.")
        _expect(bool(volume.kind), "kind must name the format.")
        _expect(volume.source == path, f"source must be {path}, not {volume.source}.")


def _twice_is_the_same(trial: ReaderTrial) -> None:
    path = trial.written("twice")[0]
    before = {file: file.read_bytes() for file in _files(path)}
    first, second = trial.read(path), trial.read(path)
    same = np.array_equal(first.voxels, second.voxels) and first.grid == second.grid and first.kind == second.kind
    _expect(same, "Reading twice must give the same.")
    _expect(before == {file: file.read_bytes() for file in _files(path)}, "Reading must leave the file as it is.")


def _a_limit_of_voxels_is_kept(trial: ReaderTrial) -> None:
    path, voxels, _ = trial.written("limit")
    _expect(trial.read(path, max_voxels=voxels.size).voxels.size == voxels.size, "The limit itself must be read.")
    trial.refuses("A scan larger than max_voxels", path, [path, *_files(path)], max_voxels=voxels.size - 1)


def _a_broken_file_is_refused(trial: ReaderTrial) -> None:
    """Every cut of every file of the scan is refused, or read to the same voxels, or said in a note."""
    path, voxels, _ = trial.written("broken")
    for file in _files(path):
        content = file.read_bytes()
        for cut in sorted({0, 1, 3, 100, len(content) // 3, len(content) // 2, len(content) - 40, len(content) - 9}):
            if not 0 <= cut < len(content):
                continue
            file.write_bytes(content[:cut])
            try:
                volume = trial.read(path)
            except UnreadableScan:
                trial.refuses(f"{file.name} cut after {cut} bytes", path, [path, file])
            else:
                sound = bool(volume.notes) or np.array_equal(volume.voxels, voxels)
                _expect(sound, f"{file.name} cut after {cut} bytes was read as if it were whole.")
        file.write_bytes(content)
    _expect(np.array_equal(trial.read(path).voxels, voxels), "Mended, the file must be read again.")


READER_CHECKS: dict[str, Callable[[ReaderTrial], None]] = {
    check.__name__.strip("_").replace("_", " "): check
    for check in (
        _voxels_and_grid_are_kept,
        _twice_is_the_same,
        _a_limit_of_voxels_is_kept,
        _a_broken_file_is_refused,
    )
}


def _files(path: Path) -> list[Path]:
    """The files that the scan at `path` is made of: it, those beside it in its folder, or those in it."""
    folder = path if path.is_dir() else path.parent
    return sorted(file for file in folder.rglob("*") if file.is_file())


def _expect(holds: bool, sentence: str) -> None:
    if not holds:
        raise AssertionError(sentence)
