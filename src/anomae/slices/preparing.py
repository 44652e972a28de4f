"""The slices of one case, prepared: scaled, resized, and described; from this case and the settings alone."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.cohorts.case import CaseSlices
from anomae.errors import UnreadableScan
from anomae.slices.bias import correct_bias
from anomae.slices.bodies import Body, find_body
from anomae.slices.channels import ChannelScales, grey_case, measure_channels
from anomae.slices.framing import box_warp, upright
from anomae.slices.intensity import IntensityScale
from anomae.slices.neighbours import within_reach
from anomae.slices.resize import Resizing
from anomae.slices.settings import PrepareSettings
from anomae.slices.warp import Warp

MID_POSITIONS = (0.35, 0.80)
MID_FILLED = 0.15
MID_THRESHOLD = 0.08


@dataclass(frozen=True, slots=True)
class PreparedCase:
    """Prepared slices of one case, in the order they were read.

    images: (n, C, H, W) float32, rounded as a store rounds them; C: the channels as read of the lowest neighbour, and
    so on to those of the highest (settings.neighbours), so the slice's own are in the middle.
    lesions: (n, H, W) bool, or None where no mask is known.  ignored: (n, H, W) bool, what is not to be judged (pixels
    at least half of which are so), no lesion; None: nothing.  bodies: (n, H, W) bool, the brain or body in the prepared
    images; None for plain preparation.  kept: (n,) indices of these slices among those that were read.  empty: (n,)
    bool, each of its own channels is constant once prepared.
    body_fraction, lesion_fraction: (n,) shares of the prepared image; lesion_fraction NaN where no mask is known.
    filled: (n,) share of the slice as read that is above 0.08 of the scan's maximum, whatever the preparation; of
    several channels, of their mean.
    warp: how the slices came to be prepared images, and how maps of these come back.
    body_found: how the brain or body was found, see anomae.slices.bodies.Body; "" for plain preparation.
    notes: what the reader and the preparation noticed, a sentence each.
    """

    images: npt.NDArray[np.float32]
    lesions: npt.NDArray[np.bool_] | None
    bodies: npt.NDArray[np.bool_] | None
    kept: npt.NDArray[np.int64]
    empty: npt.NDArray[np.bool_]
    body_fraction: npt.NDArray[np.float64]
    lesion_fraction: npt.NDArray[np.float64]
    filled: npt.NDArray[np.float64]
    warp: Resizing | Warp
    body_found: str = ""
    notes: tuple[str, ...] = ()
    ignored: npt.NDArray[np.bool_] | None = None

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """(y, x) of a prepared pixel."""
        return self.warp.prepared_spacing_mm


def prepare_case(
    case: CaseSlices,
    settings: PrepareSettings,
    wanted: npt.NDArray[np.bool_] | None = None,
    group: npt.NDArray[np.str_] | None = None,
    aloof: npt.NDArray[np.bool_] | None = None,
) -> PreparedCase:
    """Scale and resize the slices of one case, of the middle only where the settings say so.

    wanted: (n,), slices to be prepared; None: all.  Scale, brain and crop come from the whole case whatever is wanted,
    so a slice does not depend on its company.  Where neighbours are channels: they are slices that are wanted too, and
    of the same group (n,), such as their split; None: all are of one; those of slices that are aloof (n,) are so too;
    None: none is.  Raises UnreadableScan where the case has no finite voxel, no pixels, no brain where one is to be
    found, or values too large for the store.
    """
    count, _, *shape = case.images.shape
    if not all(shape):
        raise UnreadableScan(f"its slices have no pixels (shape {case.images.shape}).")
    scales = measure_channels(case, settings)
    faults = tuple(_faults(scales))
    grey, scale = grey_case(case, scales, settings)
    filled = filled_shares(grey, scale)
    middle = middle_slices(filled)
    allowed = np.ones(count, dtype=np.bool_) if wanted is None else wanted
    kept = np.flatnonzero(allowed & middle if settings.slices == "mid" else allowed)
    resizing = Resizing((shape[0], shape[1]), case.spacing_mm, settings)
    body = None if settings.preparation == "plain" else find_body(grey, settings, scale)
    if body is not None:
        if settings.bias_correction == "n4":
            case = _corrected(case, scales, body)
        scales = measure_channels(case, settings, body.where)
    warp = resizing if body is None else _framed(case, settings, scales, body, middle)
    bodies = None if body is None else np.zeros((len(kept), *settings.image_size), dtype=np.bool_)
    body_fraction = np.empty(len(kept))
    for row, index in enumerate(kept):
        if body is None or bodies is None:
            body_fraction[row] = scale.body(grey.images[index, 0]).mean() * resizing.placement.share
        else:
            bodies[row] = warp.image(body.where[index]) >= 0.5
            body_fraction[row] = bodies[row].mean()
    lesions = None
    if case.lesions is not None:
        lesions = np.zeros((len(kept), *settings.image_size), dtype=np.bool_)
        for row, index in enumerate(kept):
            lesions[row] = warp.lesion(case.lesions[index])
    ignored = None
    if case.ignored is not None:
        ignored = np.stack([warp.lesion(case.ignored[index]) for index in kept]) if len(kept) else None
    if lesions is not None and ignored is not None:
        ignored &= ~lesions  # a pixel of both has a lesion of its own
    beside = _beside(case, settings, allowed, group, aloof)[kept]  # (n, 2 * neighbours + 1)
    needed, at = np.unique(beside, return_inverse=True)
    alone = np.empty((len(needed), case.channels, *settings.image_size), dtype=np.float32)
    for row, index in enumerate(needed):
        where = None if body is None else body.where[index]
        alone[row] = _image(case.images[index], settings, scales, warp, where)
    at = at.reshape(beside.shape)
    images = own = alone  # (n, c, H, W)
    if settings.neighbours:
        images = alone[at].reshape(len(kept), settings.channels_of(case.channels), *settings.image_size)
        own = alone[at[:, settings.neighbours]]
    body_notes = () if body is None else body.notes
    return PreparedCase(
        images=images,
        lesions=lesions,
        bodies=bodies,
        kept=kept,
        empty=np.all(own.max(axis=(2, 3)) == own.min(axis=(2, 3)), axis=1),
        body_fraction=body_fraction,
        lesion_fraction=np.full(len(kept), np.nan) if lesions is None else lesions.mean(axis=(1, 2)),
        filled=filled[kept],
        warp=warp,
        body_found="" if body is None else body.found,
        notes=(*case.notes, *faults, *body_notes),
        ignored=ignored,
    )


def _faults(scales: ChannelScales) -> Iterator[str]:
    """What is wrong with the numbers of a case, a sentence each."""
    if scales.non_finite:
        yield f"{scales.non_finite} voxels were no finite numbers; the scan's minimum stands for them"
    if scales.outliers:
        yield f"{scales.outliers} voxel(s) lay far outside of all others and were set to the nearest of them"


def _beside(
    case: CaseSlices,
    settings: PrepareSettings,
    allowed: npt.NDArray[np.bool_],
    group: npt.NDArray[np.str_] | None,
    aloof: npt.NDArray[np.bool_] | None,
) -> npt.NDArray[np.int64]:
    """Indices of the slices that each slice is made of, (n, 2 * neighbours + 1), itself in the middle."""
    if not settings.neighbours:
        return np.arange(len(case.images))[:, None]
    one = np.full(len(case.images), "all") if group is None else group
    return within_reach(case.slices, settings.neighbours, np.where(allowed, one, ""), aloof)


def _image(
    image: npt.NDArray[Any],
    settings: PrepareSettings,
    scales: ChannelScales,
    warp: Resizing | Warp,
    where: npt.NDArray[np.bool_] | None,
) -> npt.NDArray[np.float32]:
    """One slice (c, h, w), prepared: (c, H, W); where: (h, w), its body, all else is made black; None: nothing is."""
    prepared = []  # a channel at a time, for the sake of large pictures
    for scale, channel, outside in zip(scales.scales, image, scales.outside, strict=True):
        scaled = scale.apply(channel)
        if where is None:
            prepared.append(_rounded(warp.image(scaled), settings))
        else:
            prepared.append(_rounded(warp.image((scaled - outside) * where) + outside, settings))
    return np.stack(prepared)


def _corrected(case: CaseSlices, scales: ChannelScales, body: Body) -> CaseSlices:
    """The case without the bias field of each channel."""
    corrected = [correct_bias(scales.above_fill(case.images, channel), body.where) for channel in range(case.channels)]
    return replace(case, images=np.stack(corrected, axis=1))


def _framed(
    case: CaseSlices, settings: PrepareSettings, scales: ChannelScales, body: Body, middle: npt.NDArray[np.bool_]
) -> Warp:
    """The crop of a case: of the brain's box over the middle slices, upright; or of the body's over all."""
    brain = settings.preparation == "brain"
    indices = np.flatnonzero(middle & body.where.any(axis=(1, 2))) if brain else np.arange(len(middle))
    if not len(indices):
        indices = np.arange(len(middle))
    box = box_warp(np.any(body.where[indices], axis=0), case.spacing_mm, settings.image_size, settings.margin)
    if not brain:
        return box
    total = np.zeros(case.images.shape[2:], dtype=np.float64)
    for index in indices:
        total += scales.mean(case.images[index]) * body.where[index]
    total /= len(indices)
    return upright(box, total.astype(np.float32))


def filled_shares(case: CaseSlices, scale: IntensityScale) -> npt.NDArray[np.float64]:
    """Of each slice (n,) of one channel the share of its pixels, as read, above 0.08 of the scan's maximum."""
    images = case.images[:, 0]
    if not len(images):
        return np.empty(0)
    highest = max(float(scale.read(image).max()) for image in images)
    level = scale.fill + MID_THRESHOLD * (highest - scale.fill)
    return np.array([(scale.read(image) > level).mean() for image in images], dtype=np.float64)


def middle_slices(filled: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which slices lie in the middle of the scan and are filled, (n,); see PrepareSettings.slices.

    A case of one slice has no middle: the slice counts as in it.
    """
    count = len(filled)
    if count < 2:
        return np.ones(count, dtype=np.bool_)
    position = np.arange(count) / (count - 1)
    return (position >= MID_POSITIONS[0]) & (position <= MID_POSITIONS[1]) & (filled > MID_FILLED)


def _rounded(image: npt.NDArray[np.float32], settings: PrepareSettings) -> npt.NDArray[np.float32]:
    """As the store keeps it: a scan scored by itself is then equal to the same scan in a store, to the last bit."""
    largest = float(np.abs(image).max())
    if largest > float(np.finfo(settings.stored_as).max):
        raise UnreadableScan(f"its values reach {largest:.4g}, too much for {settings.stored_as}: store_type=float32.")
    return image.astype(settings.stored_as).astype(np.float32)
