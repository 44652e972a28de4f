"""What is made of the training images once: reconstructions or features, on disk, continued where making stopped."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.arrays import map_array
from anomae.detectors.protocol import Images
from anomae.files import written_whole
from anomae.progress import progress

CHUNK = 512


class Cached:
    """Images of a cache (n, c, h, w), read like anomae.slices.store.Slices."""

    def __init__(self, path: Path) -> None:
        """Map `path`, a .npy file of float32."""
        self.images = map_array(path)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def image_size(self) -> tuple[int, int]:
        """(h, w) in pixels."""
        return (int(self.images.shape[2]), int(self.images.shape[3]))

    @property
    def channels(self) -> int:
        """C."""
        return int(self.images.shape[1])

    def read(self, indices: Any) -> npt.NDArray[np.float32]:
        """Images at these indices, (k, c, h, w) float32."""
        return np.array(self.images[indices], dtype=np.float32)


def cached_reconstructions(
    path: Path,
    images: Images,
    reconstruct: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]],
    fabric: Any,
) -> Cached:
    """Reconstruct all images in chunks into `path`; chunks made earlier are kept.

    What `reconstruct` gives, (k, c', h', w') of a shape of its own, may be anything else made of k images.
    Several processes share the chunks; each chunk is a file of its own until all are there.  Memory holds one chunk.
    """
    if not path.exists():
        chunks = range(0, len(images), CHUNK)
        folder = path.with_suffix(".chunks")
        mine = [start for start in chunks if (start // CHUNK) % fabric.world_size == fabric.global_rank]
        wanted = [start for start in mine if not _chunk(folder, start).exists()]
        with progress(f"{path.stem}", len(mine), "chunks", len(mine) - len(wanted), fabric.is_global_zero) as bar:
            for start in wanted:
                block = reconstruct(images.read(slice(start, start + CHUNK)))
                with written_whole(_chunk(folder, start)) as temporary:
                    np.save(temporary, block)
                bar.advance()
        fabric.barrier()
        if fabric.is_global_zero:
            _join(path, [_chunk(folder, start) for start in chunks], len(images))
            shutil.rmtree(folder)  # with what a kill left half written there
        fabric.barrier()
    return Cached(path)


def _chunk(folder: Path, start: int) -> Path:
    return folder / f"{start:08d}.npy"


def _join(path: Path, chunks: list[Path], count: int) -> None:
    with written_whole(path) as temporary:
        shape = (count, *map_array(chunks[0]).shape[1:])
        whole = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float32, shape=shape)
        row = 0
        for chunk in chunks:
            block = map_array(chunk)
            whole[row : row + len(block)] = block
            row += len(block)
        whole.flush()
