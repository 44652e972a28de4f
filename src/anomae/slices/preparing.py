"""The slices of one case, prepared: scaled, resized, and described; from this case and the settings alone."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anomae.cohorts.case import CaseSlices
from anomae.errors import UnreadableScan
from anomae.slices.intensity import IntensityScale, measure_scale
from anomae.slices.resize import place_slice, resize_image, resize_lesion
from anomae.slices.settings import PrepareSettings

MID_POSITIONS = (0.35, 0.80)
MID_FILLED = 0.15
MID_THRESHOLD = 0.08


@dataclass(frozen=True, slots=True)
class PreparedCase:
    """Prepared slices of one case, in the order they were read.

    images: (n, H, W) float32, rounded as a store rounds them.  lesions: (n, H, W) bool, or None where no mask is known.
    kept: (n,) places of these slices among those that were read.  empty: (n,) bool, constant once prepared.
    body_fraction, lesion_fraction: (n,) shares of the prepared image; lesion_fraction NaN where no mask is known.
    spacing_mm: (y, x) of a prepared pixel.  notes: what the reader and the preparation noticed, a sentence each.
    """

    images: npt.NDArray[np.float32]
    lesions: npt.NDArray[np.bool_] | None
    kept: npt.NDArray[np.int64]
    empty: npt.NDArray[np.bool_]
    body_fraction: npt.NDArray[np.float64]
    lesion_fraction: npt.NDArray[np.float64]
    spacing_mm: tuple[float, float]
    notes: tuple[str, ...] = ()


def prepare_case(
    case: CaseSlices, settings: PrepareSettings, wanted: npt.NDArray[np.bool_] | None = None
) -> PreparedCase:
    """Scale and resize the slices of one case, of the middle only where the settings say so.

    wanted: (n,), slices to be prepared; None: all.  The scale comes from the whole case whatever is wanted, so a slice
    does not depend on its company.  Raises UnreadableScan where the case has no finite voxel, no pixels, or values too
    large for the store.
    """
    count, *shape = case.images.shape
    if not all(shape):
        raise UnreadableScan(f"its slices have no pixels (shape {case.images.shape}).")
    scale = measure_scale(case.images, settings)
    chosen = np.ones(count, dtype=np.bool_) if wanted is None else wanted
    if settings.slices == "mid":
        chosen = chosen & middle_slices(case, scale)
    kept = np.flatnonzero(chosen)
    placement = place_slice((shape[0], shape[1]), settings.image_size)
    images = np.empty((len(kept), *settings.image_size), dtype=np.float32)
    body = np.empty(len(kept))
    for row, place in enumerate(kept):
        images[row] = _rounded(resize_image(scale.apply(case.images[place]), settings), settings)
        body[row] = scale.body(case.images[place]).mean() * placement.share
    lesions = None
    if case.lesions is not None:
        lesions = np.zeros(images.shape, dtype=np.bool_)
        for row, place in enumerate(kept):
            lesions[row] = resize_lesion(case.lesions[place], settings)
    strange = (f"{scale.strange} voxels were no finite numbers; the scan's minimum stands for them",)
    return PreparedCase(
        images=images,
        lesions=lesions,
        kept=kept,
        empty=images.max(axis=(1, 2)) == images.min(axis=(1, 2)),
        body_fraction=body,
        lesion_fraction=np.full(len(kept), np.nan) if lesions is None else lesions.mean(axis=(1, 2)),
        spacing_mm=(case.spacing_mm[0] * shape[0] / placement.height, case.spacing_mm[1] * shape[1] / placement.width),
        notes=(*case.notes, *(strange if scale.strange else ())),
    )


def middle_slices(case: CaseSlices, scale: IntensityScale) -> npt.NDArray[np.bool_]:
    """Which slices lie in the middle of the scan and are filled, (n,); see PrepareSettings.slices.

    A case of one slice has no middle: the slice counts as in it.
    """
    count = len(case.images)
    if count < 2:
        return np.ones(count, dtype=np.bool_)
    position = np.arange(count) / (count - 1)
    middle = (position >= MID_POSITIONS[0]) & (position <= MID_POSITIONS[1])
    highest = max(float(scale.read(image).max()) for image in case.images)
    level = scale.fill + MID_THRESHOLD * (highest - scale.fill)
    for place in np.flatnonzero(middle):
        middle[place] = (scale.read(case.images[place]) > level).mean() > MID_FILLED
    return middle


def _rounded(image: npt.NDArray[np.float32], settings: PrepareSettings) -> npt.NDArray[np.float32]:
    """As the store keeps it: a scan scored by itself is then equal to the same scan in a store, to the last bit."""
    largest = float(np.abs(image).max())
    if largest > float(np.finfo(settings.stored_as).max):
        raise UnreadableScan(f"its values reach {largest:.4g}, too much for {settings.stored_as}: store_type=float32.")
    return image.astype(settings.stored_as).astype(np.float32)
