"""What is written of a scored scan beside its scores: its map in its own grid, and its highest slices for overlays."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.files import write_bytes
from anomae.volumes.nifti_header import NiftiPlacement
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_arrays, write_volume
from anomae.volumes.write_nifti import is_sheared


def write_map(
    path: Path, voxels: npt.NDArray[np.float32], grid: Grid | None, placement: NiftiPlacement | None = None
) -> tuple[str, ...]:
    """The map (z, y, x) float32 of a volume as NIfTI in its own grid; of a single picture (grid None) as a TIFF.

    placement: of a scan in NIfTI; the map's header then says of the place what the scan's says, number by number.  A
    map whose grid is sheared (a tilted gantry) is written twice, its voxels as they are: as NIfTI, which nibabel and
    viewers lay right and ITK refuses to open (anomae.volumes.write_nifti has what was found), and beside it as .nrrd,
    which ITK lays right.  Returns what is to be said of that, a sentence each.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name.removesuffix(".nii.gz") + ".nrrd")
    if grid is not None:
        write_volume(path, voxels, grid, placement)
        if is_sheared(grid):
            write_volume(beside, voxels, grid)
            return (f"Its slices are sheared, which ITK cannot read from NIfTI: its map for ITK is {beside.name}.",)
        beside.unlink(missing_ok=True)  # of an earlier scan under this name
        return ()
    from PIL import Image

    content = BytesIO()
    Image.fromarray(voxels[0]).save(content, format="TIFF")
    write_bytes(path, content.getvalue())
    return ()


_STRIP = 256  # rows
LONGEST_SIDE = 1024  # pixels of what overlays are drawn from: a panel of theirs is some 400 across


def shrunk(images: npt.NDArray[Any], by: tuple[int, int], *, highest: bool = False) -> npt.NDArray[Any]:
    """Images (k, h, w) with each block of `by` (rows, columns) pixels as one: its mean, or its highest value.

    The last blocks may be smaller.  By (1, 1) the images come back as they are.
    """
    for axis, step in enumerate(by, start=1):
        if step > 1:
            side = images.shape[axis]
            starts = np.arange(0, side, step)
            if highest:
                images = np.maximum.reduceat(images, starts, axis=axis)
            else:
                counts = np.diff([*starts, side]).reshape([-1 if other == axis else 1 for other in range(3)])
                images = np.add.reduceat(images, starts, axis=axis, dtype=np.float32) / counts.astype(np.float32)
    return images


def _shrunk_in_strips(images: npt.NDArray[Any], by: tuple[int, int], *, highest: bool = False) -> npt.NDArray[Any]:
    """The same, some rows at a time: numpy casts all that it is given at once."""
    if by == (1, 1):
        return images
    rows = by[0] * max(1, _STRIP // by[0])
    strips = [shrunk(images[:, start : start + rows], by, highest=highest) for start in range(0, images.shape[1], rows)]
    return np.concatenate(strips, axis=1)


def write_highest(
    path: Path,
    images: npt.NDArray[Any],
    heat: npt.NDArray[np.float32],
    *,
    black_and_white: tuple[float, float],
    slices: npt.NDArray[np.int64],
    scores: npt.NDArray[np.float64],
    spacing_mm: tuple[float, float],
    count: int = 0,
    sides: bool = False,
    window: str = "",
) -> None:
    """The highest slices of a scan and what overlays need of them.

    images: (k, c, h, w) as read; the mean of their channels is kept as 0..255 between the values drawn black and
    white.  heat: (k, h, w).  Slices with a side above LONGEST_SIDE are shrunk first, a channel at a time for the sake
    of large pictures: the grey to the mean of each block of pixels, the heat to its highest, so that what is small and
    marked stays marked.  count: of all slices of the scan.  sides: whether the patient's
    right is known to be on the left of the images.  window: what is said of black and white.
    """
    by = (-(-images.shape[2] // LONGEST_SIDE), -(-images.shape[3] // LONGEST_SIDE))
    channels = [_shrunk_in_strips(images[:, one], by) for one in range(images.shape[1])]
    heat = _shrunk_in_strips(heat, by, highest=True)
    low, high = black_and_white
    grey = channels[0] if len(channels) == 1 else np.mean(channels, axis=0)
    share = np.clip((grey.astype(np.float32) - low) / max(high - low, 1e-6), 0, 1)
    write_arrays(
        path,
        grey=np.asarray(share * 255, dtype=np.uint8),
        heat=heat,
        slices=slices,
        scores=scores,
        aspect=np.array(spacing_mm[0] * by[0] / (spacing_mm[1] * by[1])),
        count=np.array(count),
        sides=np.array(sides),
        **({"window": np.array(window)} if window else {}),
    )
