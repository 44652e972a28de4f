"""What in a lesion mask is lesion: two values, several labels, colours, or blurred by JPEG or resampling."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.errors import UnreadableScan
from anomae.volumes.intensities import BROKEN
from anomae.volumes.volume import Grid, Volume

SEVERAL = "its lesion mask holds several label values; all count as lesion unless mask_labels says which"
BLURRED = "its lesion mask is not binary (JPEG or resampling); what is above half counts as lesion"
UNSURE = "its lesion mask is so faint in some slices that they are neither healthy nor abnormal; their label is unknown"
NONE_OF_THEM = "its lesion mask holds none of the values of mask_labels"
SIGNED = "its lesion mask has 255 stored as -1; it was read as 255"
DRAWN = "its lesion mask is drawn in transparency alone; what is opaque counts as lesion"
COLOURED = "its lesion mask is in colour; whatever is coloured or bright counts as lesion"
NUMBERED = "its lesion mask has a palette of colours; mask_labels and ignore are the numbers that it stores"
MOST_LABELS = 64
# Of the highest value: below it is ringing of a resampling, from it to one half a slice is in doubt.
RINGING = 0.25
_JPEG = (".jpg", ".jpeg")
_EVEN = 0.8
_LOSSLESS_GAP = 8  # of 255: labels stand further apart than the noise of JPEG


@dataclass(frozen=True, slots=True)
class MaskValues:
    """Which values of a mask count: lesion () for all above 0; ignored: regions that are not to be judged."""

    lesion: tuple[int, ...] = ()
    ignored: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Lesions:
    """lesion, unsure: [z, y, x] bool, the second or None; a slice with unsure voxels and no lesion has no label.

    ignored: [z, y, x] bool, voxels of a value that is not to be judged, which are unsure too; None: there are none.
    """

    lesion: npt.NDArray[np.bool_]
    unsure: npt.NDArray[np.bool_] | None
    notes: tuple[str, ...]
    ignored: npt.NDArray[np.bool_] | None = None


def read_mask(path: Path, values: MaskValues | None = None) -> Volume:
    """A lesion mask; a picture in colour as the highest of its colours, one of a single colour as its opacity.

    values: where these name some, a picture with a palette of colours is read as the numbers that it stores.
    Raises UnreadableScan where it is no mask, or in colours that `values` cannot be told in.
    """
    from anomae.volumes.pictures import GREY_TINT, SUFFIXES, TRANSPARENT, opacity, read_colours, read_numbers
    from anomae.volumes.read import read_volume

    if not path.name.lower().endswith(SUFFIXES):
        return read_volume(path)
    named = values is not None and bool(values.lesion or values.ignored)
    if named and (stored := read_numbers(path)) is not None:
        pages, height, width = stored[0].shape
        grid = Grid((pages, height, width))
        return Volume(stored[0].astype(np.int16), grid, path, "picture", notes=(*stored[1], NUMBERED))
    colours, noticed = read_colours(path)  # (pages, 3, y, x)
    if TRANSPARENT in noticed and (drawn := opacity(path)) is not None and not np.ptp(colours):
        return Volume(drawn[None], Grid((1, *drawn.shape)), path, "picture", notes=(DRAWN,))
    tinted = colours.max(axis=1).astype(np.int64) - colours.min(axis=1) > GREY_TINT
    if colours.dtype != np.uint8 or not tinted.any():
        return read_volume(path)
    grey = colours[:, 0][~tinted]
    if len(np.unique(grey[(grey > GREY_TINT) & (grey < 255 - GREY_TINT)])) > 16:
        raise UnreadableScan(
            f"{path} is no mask but a picture with coloured marks; save the lesion alone, black and white."
        )
    if named:
        raise UnreadableScan(
            f"The lesion mask {path} is in colours, in which mask_labels and ignore cannot be told; save it with the "
            "numbers of the labels as grey values or in a palette, or leave both settings out."
        )
    pages, _, height, width = colours.shape
    return Volume(colours.max(axis=1), Grid((pages, height, width)), path, "picture", notes=(COLOURED,))


def lesions_of(mask: Volume, values: MaskValues, *, several_said: bool = True) -> Lesions:
    """What of `mask` is lesion.

    several_said: whether several label values are worth a note (not where the data set is known to have them).
    Raises UnreadableScan where its values are those of no mask.  Voxels that are no number have to be mended before,
    with a note (anomae.volumes.intensities.settle).
    """
    voxels, notes = mask.voxels, [note for note in mask.notes if note in (COLOURED, DRAWN, NUMBERED)]
    if voxels.dtype == np.int8 and voxels.size and voxels.min() < 0:
        voxels = voxels.view(np.uint8)
        notes.append(SIGNED)
    present = _present(voxels)
    if present is not None and present.size and present.min() > 0 and any(BROKEN in note for note in mask.notes):
        raise _no_mask(mask, "has no number (NaN) where nothing is wrong")
    if present is not None and present.size and present.min() < 0:
        if set(present.tolist()) <= {-1, 0}:  # 255, which a signed type of any width made -1
            voxels, present = -voxels, -present[::-1]
            notes.append(SIGNED)
        else:
            raise _no_mask(mask, "holds negative values")
    jpeg = mask.source is not None and mask.source.name.lower().endswith(_JPEG)
    if present is None or (
        len(present) > 2 and (jpeg or not (_are_labels(voxels.dtype, present) or _are_patches(voxels, present[-1])))
    ):
        return _blurred(mask, voxels, values, notes, whole=present is not None)
    if jpeg and 0 < present[-1] < 128:
        return _blurred(mask, voxels, values, notes, whole=True)
    labels = [int(value) for value in present if value > 0.5]
    whole = np.rint(voxels) if voxels.dtype.kind == "f" else voxels
    if not values.lesion:
        notes += [SEVERAL] if several_said and len([one for one in labels if one not in values.ignored]) > 1 else []
        lesion = whole > 0
    else:
        lesion = np.isin(whole, values.lesion)
        notes += [NONE_OF_THEM] if labels and not lesion.any() else []
    unsure = np.isin(whole, values.ignored) if values.ignored else None
    return Lesions(lesion if unsure is None else lesion & ~unsure, unsure, tuple(notes), unsure)


def merged(found: Sequence[Lesions]) -> Lesions:
    """The union of the lesions of several masks of one scan; what one ignores, no other makes a lesion."""
    if len(found) == 1:
        return found[0]
    lesion = np.any([each.lesion for each in found], axis=0)
    unsure = [each.unsure for each in found if each.unsure is not None]
    ignored = [each.ignored for each in found if each.ignored is not None]
    hidden = np.any(ignored, axis=0) if ignored else None
    lesion = lesion if hidden is None else lesion & ~hidden
    notes = dict.fromkeys(note for each in found for note in each.notes)
    doubtful = np.any(unsure, axis=0) & ~lesion if unsure else None
    return Lesions(lesion, doubtful, (*notes, f"{len(found)} lesion masks of it were merged"), hidden)


def _present(voxels: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
    """The values that occur, sorted, whole ones where all nearly are; None where they are no labels."""
    if voxels.dtype.kind == "f":
        present: npt.NDArray[Any] = np.zeros(0)
        for slab in voxels:  # one slice at a time, so that memory stays bounded
            rounded = np.rint(slab)
            if not np.all(np.abs(slab - rounded) < 1e-2):
                return None
            present = np.union1d(present, rounded)
        return present
    found: npt.NDArray[Any] = np.zeros(0, voxels.dtype)
    for slab in voxels:
        found = np.union1d(found, slab)
    whole: npt.NDArray[Any] = found.astype(np.int64)
    return whole


def _are_labels(dtype: np.dtype[Any], present: npt.NDArray[Any]) -> bool:
    if len(present) > MOST_LABELS:
        return False
    wide = dtype == np.uint8 and present[-1] >= 128
    return not wide or bool(np.diff(present).min() > _LOSSLESS_GAP) or bool(present[-1] == 255 and len(present) <= 4)


def _are_patches(voxels: npt.NDArray[Any], highest: int) -> bool:
    """Whether the values number patches, as programs number lesions, which may be many: each is even in itself.

    That is, most voxels with a value between 0 and the highest have no other value beside them in their slice but 0.
    Noise and blurring have others there.
    """
    between = even = 0
    for slab in voxels:  # one slice at a time, so that memory stays bounded
        value = np.pad(np.rint(slab).astype(np.int64), 1)
        inner = value[1:-1, 1:-1]
        middle = (inner > 0) & (inner < highest)
        for beside in (value[:-2, 1:-1], value[2:, 1:-1], value[1:-1, :-2], value[1:-1, 2:]):
            inner = np.where((beside > 0) & (beside != inner), -1, inner)
        between += int(np.count_nonzero(middle))
        even += int(np.count_nonzero(middle & (inner > 0)))
    return even > _EVEN * between


def _blurred(mask: Volume, voxels: npt.NDArray[Any], values: MaskValues, notes: list[str], *, whole: bool) -> Lesions:
    """What lies above half is lesion.  whole: its values are whole numbers, which leave no ringing of a resampling."""
    if values.lesion or values.ignored:
        raise _no_mask(mask, "has values between its labels, so mask_labels and ignore cannot be told")
    highest = float(voxels.max(initial=0))
    if not np.isfinite(highest):
        raise _no_mask(mask, "has voxels that are no number (NaN or infinite)")
    if voxels.dtype.kind == "f":
        if float(voxels.min(initial=0)) < -0.5 * max(highest, 1.0):
            raise _no_mask(mask, "holds negative values")
        full = 1.0 if highest <= MOST_LABELS else highest
    elif highest <= 255:
        full = 255.0
    else:
        full = highest
    lesion = voxels > full / 2
    faint = RINGING * full
    if whole:
        faint = 0.5
    elif full > MOST_LABELS and np.count_nonzero(lesion) < 2 * np.count_nonzero((voxels > full / 10) & ~lesion):
        faint = 0.5  # as much lies between as above: it may have been numbers of lesions before it was resampled
    return Lesions(lesion, (voxels > faint) & ~lesion, (*notes, BLURRED))


def _no_mask(mask: Volume, why: str) -> UnreadableScan:
    return UnreadableScan(
        f"The lesion mask {mask.source} {why}; save it with whole numbers, 0 where nothing is wrong, and resample it "
        "by nearest neighbour."
    )
