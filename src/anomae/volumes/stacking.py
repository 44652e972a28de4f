"""Putting DICOM slices in the order in which they lie in the patient, and saying where the volume then lies."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anomae.volumes.dicom_headers import Frame
from anomae.volumes.headers import unreadable
from anomae.volumes.volume import SIDES_GUESSED, Grid

_SAME_PLACE_MM = 1e-3
_UNEVEN_SHARE = 0.05  # steps that differ by more than this share of the usual step are named
_TILT_DEGREES = 0.1
_SHIFT_MM = 1.0


def same_places(frames: Sequence[Frame]) -> list[list[Frame]]:
    """The frames in groups that share position and orientation; those without a position stand alone."""
    groups: dict[tuple[float, ...] | int, list[Frame]] = {}
    for count, frame in enumerate(frames):
        rounded = frame.position_mm and tuple(round(part / _SAME_PLACE_MM) for part in frame.position_mm)
        turn = tuple(round(part, 3) for part in frame.orientation or ())
        groups.setdefault((*rounded, *turn) if rounded else count, []).append(frame)
    return list(groups.values())


def stack(path: Path, frames: Sequence[Frame]) -> tuple[list[Frame], Grid, list[str]]:
    """The frames from the first to the last along their normal, the grid of the volume they make, and notes.

    A tilted gantry is kept: the z direction of the grid is then not at right angles to the others.  Raises
    UnreadableScan where the frames do not lie on one another.
    """
    first = frames[0]
    notes = [] if first.spacing_mm else ["The header has no pixel spacing; 1 mm was taken."]
    if first.orientation is None:
        notes.append(f"The header says nothing of the orientation; {SIDES_GUESSED}")
    spacing = first.spacing_mm or (1.0, 1.0)
    turn = first.orientation or (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    row, column = np.array(turn[:3]), np.array(turn[3:])
    normal = np.cross(row, column)
    if len(frames) == 1:
        step, ordered = normal * first.depth_mm, list(frames)
        origin = np.array(first.position_mm or (0.0, 0.0, 0.0))
    else:
        _check_alike(path, frames)
        positions = np.array([frame.position_mm for frame in frames])
        order = np.argsort(positions @ normal, kind="stable")
        ordered, positions = [frames[index] for index in order], positions[order]
        origin = positions[0]
        step, noticed = _step(path, positions, normal)
        notes += noticed
    depth = float(np.linalg.norm(step))
    direction = np.stack([row, column, step / depth], axis=1)
    u, v, w = (float(coordinate) for coordinate in origin)
    shape = (len(ordered), first.rows, first.columns)
    grid = Grid(shape, (depth, *spacing), (u, v, w), tuple(float(entry) for entry in direction.ravel()))
    return ordered, grid, notes


def _check_alike(path: Path, frames: Sequence[Frame]) -> None:
    apart = len({frame.path for frame in frames}) > 1
    advice = "give the files one by one" if apart else "convert it to a volume first"
    if any(frame.position_mm is None or frame.orientation is None for frame in frames):
        raise unreadable(path, f"holds several DICOM pictures that name no position, so no volume; {advice}.")
    turns = np.array([frame.orientation for frame in frames])
    if np.abs(turns - turns[0]).max() > 1e-3:
        text = f"holds slices of unlike orientation in one series, as a localizer does; {advice}."
        raise unreadable(path, text)
    steps = np.array([frame.spacing_mm or (1.0, 1.0) for frame in frames])
    if np.abs(steps / steps[0] - 1).max() > 1e-3:
        raise unreadable(path, f"holds slices of unlike pixel spacing in one series; {advice}.")


def _step(
    path: Path, positions: npt.NDArray[np.float64], normal: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], list[str]]:
    """The step from slice to slice (3,), in mm, and notes on uneven steps and a tilted gantry."""
    depths = positions @ normal
    gaps = np.diff(depths)
    whole = positions[-1] - positions[0]
    if gaps.min() < _SAME_PLACE_MM:
        raise unreadable(path, "holds slices beside one another at the same depth; give the folder of one scan only.")
    line = whole / (depths[-1] - depths[0])  # mm of way per mm of depth
    shifts = np.linalg.norm(positions - positions[0] - np.outer(depths - depths[0], line), axis=1)
    if shifts.max() > _SHIFT_MM:
        raise unreadable(path, "holds slices that are shifted against each other; give the folder of one scan only.")
    notes = []
    tilt = float(np.degrees(np.arccos(np.clip(1 / np.linalg.norm(line), -1, 1))))
    if tilt > _TILT_DEGREES:
        notes.append(f"The gantry was tilted by {tilt:.1f} degrees; every slice keeps its place.")
    usual = float(np.median(gaps))
    if np.abs(gaps - usual).max() <= _UNEVEN_SHARE * usual:
        return whole / len(gaps), notes
    missing = int(sum(round(gap / usual) - 1 for gap in gaps if gap > 1.5 * usual))
    if not missing:
        step = whole / len(gaps)
        off = float(np.linalg.norm(positions - positions[0] - np.outer(np.arange(len(positions)), step), axis=1).max())
        text = f"The steps between slices vary from {gaps.min():.2f} to {gaps.max():.2f} mm; their mean of"
        return step, [*notes, f"{text} {gaps.mean():.3f} mm was taken, which is right within {off:.2f} mm."]
    between = [f"{a:.1f} and {b:.1f}" for a, b in pairwise(depths) if b - a > 1.5 * usual]
    text = f"{missing} slice(s) seem to be missing, between {', '.join(between[:5])} mm (usual step {usual:.2f} mm)"
    return line * usual, [*notes, text + "; behind each gap the places are wrong by its width."]
