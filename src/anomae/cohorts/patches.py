"""Square patches cut from a scan around positions in the world."""

import numpy as np
import numpy.typing as npt

from anomae.errors import UnreadableScan
from anomae.volumes.volume import Volume

AIR_HU = -1000.0


def cut_patches(
    volume: Volume, places_mm: npt.NDArray[np.float64], side: int, spacing_mm: float, outside: float = AIR_HU
) -> npt.NDArray[np.float32]:
    """Axial patches (n, side, side) float32 of a scan stored axially, each centred on one of `places_mm` (n, 3).

    places_mm: world x, y, z.  The slice nearest to the place is taken, and resampled linearly within its plane to
    `spacing_mm`; rows run from front to back and columns from the patient's right to left whichever way the scan is
    stored.  What lies off the scan is `outside`.  Raises UnreadableScan where the scan is not stored axially.
    """
    from scipy.ndimage import map_coordinates

    if abs(volume.grid.direction[8]) < 0.9:
        raise UnreadableScan(f"{volume.source} is not stored in axial slices.")
    to_index = np.linalg.inv(volume.grid.affine_lps())
    offsets_mm = (np.arange(side) - (side - 1) / 2) * spacing_mm
    y_mm, x_mm = np.meshgrid(offsets_mm, offsets_mm, indexing="ij")
    # Steps within the plane move the index x and y alone; a tilt of the plane out of the axial one is left in.
    steps = np.stack([x_mm, y_mm], axis=-1) @ to_index[:2, :2].T  # (side, side, 2), index x, y
    centres = np.c_[places_mm, np.ones(len(places_mm))] @ to_index.T  # (n, 4), index x, y, z, 1
    last = np.array(volume.voxels.shape[1:]).reshape(2, 1, 1) - 1
    patches = np.full((len(places_mm), side, side), outside, dtype=np.float32)
    for patch, (x, y, z, _) in zip(patches, centres, strict=True):
        if 0 <= round(z) < len(volume.voxels):
            at = np.stack([steps[..., 1] + y, steps[..., 0] + x])  # (2, side, side), index y, x
            map_coordinates(volume.voxels[round(z)], at, output=patch, order=1, mode="nearest")
            # A voxel reaches half a side beyond its centre, and so does the scan.
            patch[((at < -0.5) | (at > last + 0.5)).any(axis=0)] = outside
    return patches
