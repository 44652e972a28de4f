"""One scan scored: prepared as the detector's training images were, inspected, and its map brought back onto it.

Pure: reads and writes no file, prints nothing, keeps nothing between calls.  The command line, a server and a cluster
call the same function.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from anomae.cohorts.case import CaseSlices
from anomae.cohorts.scan_slices import scan_slices
from anomae.detectors.protocol import Findings, FittedDetector, with_neighbours
from anomae.detectors.registry import told_of
from anomae.errors import UserError
from anomae.slices.preparing import PreparedCase, prepare_case
from anomae.slices.settings import PrepareSettings
from anomae.slices.store import Slices
from anomae.statistics.neighbours import has_neighbours, smoothed_over_neighbours
from anomae.volumes.orientation import axial_view
from anomae.volumes.volume import Volume

BATCH = 64


@dataclass(frozen=True, slots=True)
class VolumeResult:
    """What a fitted detector says about one scan of n axial slices, k of which it could have learned from.

    case: the n slices as read, from the feet up.  kept: (k,) indices among them; what follows has an entry for each.
    slices: (k,) slice numbers.  positions_mm: (k,) along the slice axis in world coordinates, NaN where unknown.
    scores: (k,) float64, higher is more anomalous.  other_scores: name -> (k,) float64, further scores that came for
    free.  smoothed: (k,) the scores smoothed over neighbouring slices, None where no slice has a neighbour.
    empty: (k,) bool, the slice has no content.  images: (k, c, H, W) float32, prepared, as the detector saw them.
    map: float32 in the grid of the volume as read (z, y, x), 0 where nothing was scored; None where the detector draws
    none.  map_name: what its numbers are, with unit.  notes: what reading and preparation noticed, a sentence each; of
    a study also what is doubted of its kind (`Suitability.doubts`).
    """

    case: CaseSlices
    kept: npt.NDArray[np.int64]
    slices: npt.NDArray[np.int64]
    positions_mm: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]
    other_scores: Mapping[str, npt.NDArray[np.float64]]
    smoothed: npt.NDArray[np.float64] | None
    empty: npt.NDArray[np.bool_]
    images: npt.NDArray[np.float32]
    map: npt.NDArray[np.float32] | None
    map_name: str
    notes: tuple[str, ...]

    @property
    def axial_map(self) -> npt.NDArray[np.float32] | None:
        """The map as axial slices (n, h, w), those of `case`; a view of `map`."""
        if self.map is None or self.case.grid is None:
            return self.map
        return axial_view(self.case.grid).apply(self.map)


def score_volume(
    volume: Volume, detector: FittedDetector, settings: PrepareSettings, *, batch: int = BATCH
) -> VolumeResult:
    """Score a scan.

    settings: of the preparation that the detector learned from (prepare.json beside it).  batch: how many slices are
    inspected at a time, which changes memory and nothing else.  Raises UnreadableScan where the scan cannot be
    prepared, and UserError where it has no slice of those that the detector learned from or the detector refuses them.
    """
    return score_slices(scan_slices(volume), detector, settings, batch=batch)


def score_slices(
    case: CaseSlices, detector: FittedDetector, settings: PrepareSettings, *, batch: int = BATCH
) -> VolumeResult:
    """The same for slices that were read otherwise, such as a picture in colour; see `score_volume`."""
    prepared = prepare_case(case, settings)
    if not len(prepared.kept):
        raise UserError(f"It has no slice of those that this run learned from (slices={settings.slices}).")
    numbers = case.slices[prepared.kept]
    findings = _inspected(detector, prepared.images, numbers, batch)
    one_scan = np.zeros(len(numbers))
    beside = has_neighbours(one_scan, numbers)
    return VolumeResult(
        case=case,
        kept=prepared.kept,
        slices=numbers,
        positions_mm=case.positions_mm[prepared.kept],
        scores=findings.scores,
        other_scores=findings.other_scores,
        smoothed=smoothed_over_neighbours(findings.scores, one_scan, numbers) if beside else None,
        empty=prepared.empty,
        images=prepared.images,
        map=None if findings.maps is None else _restored(findings.maps, case, prepared),
        map_name=detector.map_name,
        notes=prepared.notes,
    )


def _inspected(
    detector: FittedDetector, images: npt.NDArray[np.float32], numbers: npt.NDArray[np.int64], batch: int
) -> Findings:
    """What a detector says of prepared slices (k, c, h, w); numbers: theirs, (k,); where one is not kept is a gap.

    Blank slices that are the same are inspected once, unless the detector looks at the slices beside each.
    """
    slices, found = Slices(images, order=(np.zeros(len(images)), numbers)), []
    distinct = at = np.arange(len(images))
    if not getattr(detector, "needs_neighbours", False):
        distinct, at = _without_repeated_blanks(images)
    for start in range(0, len(distinct), batch):
        block = distinct[start : start + batch]
        given = with_neighbours(detector, slices.read(block), partial(slices.neighbours, block))
        with told_of(detector.name, detector.name):
            found.append(detector.inspect(*given))
    maps = [each.maps for each in found if each.maps is not None]
    return Findings(
        scores=np.concatenate([np.asarray(each.scores, dtype=np.float64) for each in found])[at],
        maps=np.concatenate(maps)[at] if len(maps) == len(found) else None,
        other_scores={
            name: np.concatenate([np.asarray(each.other_scores[name], dtype=np.float64) for each in found])[at]
            for name in found[0].other_scores
        },
    )


def _without_repeated_blanks(
    images: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Indices of images (k, c, h, w) less the blank ones that come again, and for each (k,) which of those it is."""
    corners = images[:, :, :1, :1]
    which, seen = np.arange(len(images)), dict[bytes, int]()
    for index in np.flatnonzero((images == corners).all(axis=(1, 2, 3))).tolist():
        which[index] = seen.setdefault(corners[index].tobytes(), index)
    return np.unique(which, return_inverse=True)


def _restored(maps: npt.NDArray[np.float32], case: CaseSlices, prepared: PreparedCase) -> npt.NDArray[np.float32]:
    """Maps (k, H, W) of prepared slices on the voxels as stored, (z, y, x)."""
    heat = np.zeros((len(case.images), *case.images.shape[2:]), dtype=np.float32)
    for index, one in zip(prepared.kept, maps, strict=True):
        heat[index] = prepared.warp.restore(one)
    return heat if case.grid is None else np.ascontiguousarray(axial_view(case.grid).invert(heat))
