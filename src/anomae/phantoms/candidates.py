"""Candidate positions in a made-up chest, as LUNA16 lists them: its nodules, and vessels and edges that are none."""

import numpy as np
from scipy.ndimage import uniform_filter

from anomae.phantoms.phantom import Phantom

CANDIDATE_COLUMNS = ("seriesuid", "coordX", "coordY", "coordZ", "class")
NODULE_COLUMNS = ("seriesuid", "coordX", "coordY", "coordZ", "diameter_mm")
_FARTHEST_HIT_MM = 3.0

Line = tuple[float, float, float, float]


def list_candidates(chest: Phantom, rng: np.random.Generator, others: int = 20) -> tuple[list[Line], list[Line]]:
    """The lines of candidates.csv and of annotations.csv for one scan, without its name.

    A line: world x, y, z (LPS, mm) and class (1 nodule, 0 none), or diameter in mm.  Every nodule has one candidate, on
    a voxel of it near its middle.  `others` are none: bright spots in the lung, well apart from every nodule, and one
    at the skin, so near the border of the scan that a patch around it reaches over.  Candidates come in random order.
    """
    affine = chest.grid.affine_lps()

    def line(at_zyx: np.ndarray, last: float) -> Line:
        x, y, z, _ = affine @ (*at_zyx[::-1], 1)
        return (round(float(x), 6), round(float(y), 6), round(float(z), 6), last)

    sides = np.array(chest.grid.spacing_mm)
    own = np.argwhere(chest.lesions)
    hits = []
    for centre, radius in zip(chest.centres, chest.radii_mm, strict=True):
        away = np.linalg.norm((own - centre) * sides, axis=1)
        near = own[away <= min(0.5 * radius, _FARTHEST_HIT_MM)]
        hits.append(line(near[rng.integers(len(near))], 1))
    nodules = [line(centre, round(2 * float(r), 3)) for centre, r in zip(chest.centres, chest.radii_mm, strict=True)]

    density = chest.voxels.astype(np.float32)
    window = [max(3, round(18 / side)) for side in sides]
    in_lung = chest.body & (uniform_filter(density, window) < -450)
    spots = np.argwhere(in_lung & (density > -450) & ~chest.lesions)
    if not len(spots):
        spots = np.argwhere(in_lung & ~chest.lesions)
    for centre, radius in zip(chest.centres, chest.radii_mm, strict=True):
        spots = spots[np.linalg.norm((spots - centre) * sides, axis=1) > 1.5 * radius + 10]
    chosen = spots[rng.permutation(len(spots))[: others - 1]]
    skin = np.argwhere(chest.body & ~chest.lesions)
    misses = [line(at, 0) for at in (*chosen, skin[skin[:, 2].argmax()])]
    found = [*hits, *misses]
    return [found[index] for index in rng.permutation(len(found))], nodules
