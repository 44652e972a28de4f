"""Whether a scan of the head shows the skull, or was skull-stripped before: from its voxels alone.

Three things hold of a skull-stripped scan and not of one of a whole head.  Almost all along the edges of its slices is
background of one value, and there is much of it.  Hardly a voxel beside it is dark: there is no noise in the air and no
bone.  And from the surface inwards no dark ring of bone lies between two brighter ones: that tells a head whose air was
blackened.  Measured: the BraTS case has 1.00, 0.82, 0.04 and 1.00 or better in the order of the constants below; of
149 LGG scans none has both one background along its edges and few dark voxels.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.slices.holes import filled
from anomae.slices.intensity import IntensityScale

EDGE_SHARE = 0.9  # of the pixels along the edges are background, at least
BACKGROUND_SHARE = 0.1  # of all voxels are background, at least
DARK, DARK_SHARE = 0.1, 0.15  # of the rest, at most so many are darker than so much of their 99th percentile
RING = 0.72  # a ring is dark where it has less than so much of the brightest ring outside and of that inside it
# Rings by depth below the surface, as shares of the radius.
_DEPTHS = (0.0, 0.03, 0.06, 0.09, 0.12, 0.15, 0.18, 0.21, 0.25, 0.3, 0.4, 0.5)
_FEWEST = 20  # voxels of a ring, else it tells nothing
_MIDDLE = (0.35, 0.80)  # slices that are looked at for rings


def is_stripped(images: npt.NDArray[Any], scale: IntensityScale) -> bool:
    """Whether a scan (n, h, w) shows a brain without its skull."""
    voxels = scale.read(images)
    background = background_of(images, scale)
    shown = voxels != background
    tissue = voxels[shown]
    edges = ~np.concatenate([shown[:, [0, -1]].ravel(), shown[:, :, [0, -1]].ravel()])
    if edges.mean() < EDGE_SHARE or not 0 < tissue.size <= (1 - BACKGROUND_SHARE) * voxels.size:
        return False
    lowest = min(float(tissue.min()), scale.fill)
    dark = lowest + DARK * (float(np.percentile(tissue, 99)) - lowest)
    return bool((tissue < dark).mean() < DARK_SHARE) and darkest_ring(voxels - lowest, shown) > RING


def background_of(images: npt.NDArray[Any], scale: IntensityScale) -> float:
    """The value that is most frequent along the edges of the slices (n, h, w)."""
    return commonest_at_edges(images, scale.read)


def commonest_at_edges(
    images: npt.NDArray[Any], read: Callable[[npt.NDArray[Any]], npt.NDArray[Any]] = np.asarray
) -> float:
    """The value of `read` that is most frequent along the edges of the slices (n, h, w)."""
    edges = [images[:, [0, -1], :].ravel(), images[:, :, [0, -1]].ravel()]
    values, counts = np.unique(read(np.concatenate(edges)), return_counts=True)
    return float(values[np.argmax(counts)])


def darkest_ring(voxels: npt.NDArray[np.float32], shown: npt.NDArray[np.bool_]) -> float:
    """How dark the darkest ring under the surface is beside brighter ones outside and inside it; 1 and more: none is.

    voxels: (n, h, w), 0 and more.  shown: (n, h, w), where there is no background.  The depth of a pixel is measured in
    its slice and given in radii of the disk that is as large; rings are those of all middle slices together.
    """
    from scipy.ndimage import distance_transform_edt

    depths, values = [np.empty(0)], [np.empty(0, np.float32)]
    last = max(len(voxels) - 1, 1)
    for index in range(len(voxels)):
        if not _MIDDLE[0] <= index / last <= _MIDDLE[1] or not shown[index].any():
            continue
        head = filled(shown[index])
        depth = distance_transform_edt(np.pad(head, 1))[1:-1, 1:-1]
        depths.append((depth[head] - 0.5) / np.sqrt(head.sum() / np.pi))
        values.append(voxels[index][head])
    ring = np.digitize(np.concatenate(depths), _DEPTHS)
    brightness = np.concatenate(values)
    members = [brightness[ring == number] for number in range(1, len(_DEPTHS))]
    rings = np.array([np.median(member) for member in members if member.size >= _FEWEST])
    ratios = [
        rings[index] / max(min(rings[:index].max(), rings[index + 1 :].max()), 1e-9)
        for index in range(1, len(rings) - 1)
    ]
    return float(min(ratios, default=1.0))
