"""Where to crop a scan and by how much to turn it: the box of the brain or body, and the mirror line of a head."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from anomae.slices.warp import Warp
from anomae.workers import usable_cores

TURNS_DEGREES, SHIFTS = 14.0, 0.10  # searched this far to both sides; shifts as a share of half the crop's side
_THREADS = 4  # at most, that try turns and shifts; scipy samples without Python's lock
_SIZE = 64  # pixels a side, of the small images that are compared
# Slices with a longer side are shrunk before that: two hundred resamplings of 9,000 x 9,000 pixels take over half an
# hour, and turn by no other angle.
_LONGEST_SIDE = 1024


def box_warp(
    where: npt.NDArray[np.bool_], spacing_mm: tuple[float, float], size: tuple[int, int], margin: float
) -> Warp:
    """The upright crop around `where` (h, w), square in millimetres but for the shape of `size`, with a margin.

    margin: share of the crop's side that is added.  An empty `where` stands for the whole slice.
    """
    if not where.any():
        where = np.ones_like(where)
    edges = [np.flatnonzero(where.any(axis=1 - axis))[[0, -1]] for axis in (0, 1)]
    centre, extent = zip(
        *(
            ((low + high + 1) / 2 * step, (high + 1 - low) * step)
            for (low, high), step in zip(edges, spacing_mm, strict=True)
        ),
        strict=True,
    )
    side = max(extent) * (1 + margin)
    return Warp(
        shape=(where.shape[0], where.shape[1]),
        spacing_mm=spacing_mm,
        size=size,
        centre_mm=(float(centre[0]), float(centre[1])),
        step_mm=float(side / min(size)),
    )


def upright(box: Warp, middle: npt.NDArray[np.float32]) -> Warp:
    """`box`, turned and shifted sideways until what it shows of `middle` is most like its own mirror image.

    middle: (h, w), the mean of the middle slices, 0 outside the brain.  Of turns of up to 14 degrees and shifts of up
    to 10 % of half the crop, first every second degree and fiftieth, then finer around the best.
    """
    turns, shifts = np.arange(-14.0, 15, 2), np.arange(-0.10, 0.11, 0.02)
    small, shrunk = _shrunk(box, middle)
    _, turn, shift = _best(small, shrunk, turns, shifts)
    near_turns = np.clip(turn + np.arange(-1.5, 1.6, 0.5), -TURNS_DEGREES, TURNS_DEGREES)
    near_shifts = np.clip(shift + np.arange(-0.015, 0.016, 0.005), -SHIFTS, SHIFTS)
    _, turn, shift = _best(small, shrunk, near_turns, near_shifts)
    return _moved(box, turn, shift, box.size)


def _shrunk(box: Warp, middle: npt.NDArray[np.float32]) -> tuple[Warp, npt.NDArray[np.float32]]:
    """Both as they are, or a slice with a side above _LONGEST_SIDE with each block of pixels as one, their mean.

    The crop stays where it is; up to a block's rows and columns at the far edges are left out.
    """
    by = -(-max(box.shape) // _LONGEST_SIDE)
    height, width = (side // by for side in box.shape)
    if by == 1 or not (height and width):
        return box, middle
    blocks = middle[: height * by, : width * by].reshape(height, by, width, by)
    y, x = box.spacing_mm
    small = replace(box, shape=(height, width), spacing_mm=(y * by, x * by))
    return small, np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float32)


def _best(
    box: Warp, middle: npt.NDArray[np.float32], turns: npt.NDArray[np.float64], shifts: npt.NDArray[np.float64]
) -> tuple[float, float, float]:
    """The likeness (at most 1), turn (degrees) and shift that are best; the smallest of equally good ones."""
    asked = [(float(turn), float(shift)) for turn in turns for shift in shifts]

    def tried(turn: float, shift: float) -> tuple[float, float, float, float, float]:
        shown = _moved(box, turn, shift, (_SIZE, _SIZE)).image(middle, alone=True)
        return round(_likeness(shown), 9), -abs(turn), -abs(shift), turn, shift

    with ThreadPoolExecutor(min(usable_cores(), _THREADS), thread_name_prefix="framing") as threads:
        likeness, _, _, turn, shift = max(threads.map(tried, *zip(*asked, strict=True)))
    return likeness, turn, shift


def _moved(box: Warp, turn: float, shift: float, size: tuple[int, int]) -> Warp:
    side = box.step_mm * min(box.size)
    y, x = box.centre_mm
    return Warp(box.shape, box.spacing_mm, size, (y, x + shift * side / 2), side / min(size), float(np.deg2rad(turn)))


def _likeness(image: npt.NDArray[np.float32]) -> float:
    whole = image.astype(np.float64)
    return float((whole * whole[:, ::-1]).sum() / max((whole * whole).sum(), 1e-12))
