"""Where tissue is in the images of a store: as the preparation kept it, or found again from how much there is."""

import numpy as np
import numpy.typing as npt

from anomae.slices.store import SliceStore
from anomae.statistics.pixels import tissue_masks


def tissue_of(
    store: SliceStore, rows: npt.NDArray[np.int64], pictures: npt.NDArray[np.float32]
) -> npt.NDArray[np.bool_]:
    """Tissue (k, h, w) in `pictures` (k, h, w), those of `rows` in grey: the brain or body where the store says it,
    else the brightest pixels, as many as were tissue in the scan; nothing that the user ignores.
    """
    tissue = store.bodies(rows) if store.has_bodies else tissue_masks(pictures, store.index.body_fraction[rows])
    return tissue & store.judged(rows) if store.has_ignored else tissue
