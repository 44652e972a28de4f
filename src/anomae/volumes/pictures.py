"""Pictures (SUFFIXES), of grey content or in colour, through Pillow; the pages of a TIFF are slices."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.errors import UnreadableScan
from anomae.volumes.headers import MAX_VOXELS, check_size, parsing, unreadable
from anomae.volumes.intensities import settle
from anomae.volumes.reader import FileReader
from anomae.volumes.volume import Grid, Volume

# Scans found as pictures carry a tint of JPEG, a coloured mark or a coloured caption.  Measured on 3,000 brain MRI
# pictures from the web: the tints stay within 32 of 255, captions within 6 % of the pixels.
GREY_TINT = 32
COLOUR_SHARE = 0.06
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp")
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP")
_GREY = {"L": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2, "I": 4, "F": 4}
_OTHER = {"1": 1, "LA": 2, "P": 1, "PA": 2, "RGB": 3, "RGBA": 4, "RGBX": 4}
_PHOTOMETRIC = 262  # TIFF tag; 0: white is zero
TRANSPARENT = "Its transparency was left out."
TURNED = "It was turned as its EXIF entry says."
FIRST_OF_SEVERAL = "It holds several pictures, as phones write them (MPO); the first was read."
_ONLY_GREY = "only pictures of grey content are read, unless a store is prepared with --set colour=true"
_ORIENTATION = 0x0112  # EXIF tag; 1: upright
Pixels = npt.NDArray[Any]
PixelsOf = Callable[[Path, Any], tuple[Pixels, list[str]]]


def read_picture(path: Path, max_voxels: int = MAX_VOXELS) -> Volume:
    """Read a picture as a volume of one slice (a TIFF: of as many as it has pages), 1 mm a pixel.

    Raises UnreadableScan where it is in colour, broken, animated, or larger than Pillow's limit against bombs.
    """
    stacked, notes = _read(path, max_voxels, _grey)
    voxels, mended = settle(path, stacked)
    z, y, x = voxels.shape
    return Volume(voxels, Grid((z, y, x)), path, "picture", notes=(*notes, *mended))


def read_colours(path: Path, max_voxels: int = MAX_VOXELS) -> tuple[Pixels, tuple[str, ...]]:
    """Read a picture in its colours: (pages, 3, y, x), red, green and blue, and notes; grey ones have three equal.

    Raises UnreadableScan where it is no picture, and as `read_picture` does.
    """
    if not path.name.lower().endswith(SUFFIXES):
        raise unreadable(path, f"is no picture ({', '.join(SUFFIXES)}); only pictures are read in colour.")
    stacked, notes = _read(path, max_voxels // 3, _coloured)
    voxels, mended = settle(path, stacked)
    return np.ascontiguousarray(voxels.transpose(0, 3, 1, 2)), (*notes, *mended)


def picture_size(path: Path) -> tuple[int, int] | None:
    """Width and height of a picture as its header has them, pixels not read; None where that cannot be told."""
    from PIL import Image

    try:
        with Image.open(path, formats=FORMATS) as picture:
            return picture.size
    except (OSError, ValueError, Image.DecompressionBombError):
        return None


def opacity(path: Path) -> npt.NDArray[np.uint8] | None:
    """The opacity [y, x] of a picture that was read before, upright; None where it is the same all over."""
    from PIL import Image, ImageOps

    with parsing(path, "picture"), path.open("rb") as handle, Image.open(handle, formats=FORMATS) as picture:
        pixels = np.asarray(ImageOps.exif_transpose(picture).convert("RGBA").getchannel("A"))
    return pixels if np.ptp(pixels) else None


def read_numbers(path: Path, max_voxels: int = MAX_VOXELS) -> tuple[Pixels, tuple[str, ...]] | None:
    """The numbers (pages, y, x) that a picture stores where a palette with colours shows them, and notes; else None.

    Raises UnreadableScan as `read_picture` does.
    """
    numbers, notes = _read(path, max_voxels, _stored)
    return (numbers, notes) if numbers.ndim == 3 else None


def _read(path: Path, max_voxels: int, pixels_of: PixelsOf) -> tuple[Pixels, tuple[str, ...]]:
    from PIL import Image

    with parsing(path, "picture"):
        try:
            return _read_pages(path, max_voxels, pixels_of)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise _too_large(path) from error


def _read_pages(path: Path, max_voxels: int, pixels_of: PixelsOf) -> tuple[Pixels, tuple[str, ...]]:
    """All pages stacked, (pages, ...) as `pixels_of` gives each, and notes."""
    from PIL import Image

    # Opened by us rather than by name: Pillow maps named files, and so garbles uncompressed TIFFs stored on their side.
    with path.open("rb") as handle, Image.open(handle, formats=FORMATS) as picture:
        if picture.mode not in _GREY and picture.mode not in _OTHER:
            kind = "RGB" if pixels_of is _coloured else "grey"
            raise unreadable(path, f"is in colour (mode {picture.mode}), which is not supported; save it as {kind}.")
        pages = (
            int(getattr(picture, "n_frames", 1)) if picture.format not in ("JPEG", "MPO") else 1
        )  # of JPEG: previews
        if pages > 1 and picture.format != "TIFF":
            raise unreadable(path, "is an animation; give its pictures one by one.")
        width, height = picture.size
        if width * height > (Image.MAX_IMAGE_PIXELS or math.inf):  # up to twice as many, Pillow itself only warns
            raise _too_large(path)
        pixel_bytes = {**_GREY, **_OTHER}[picture.mode]
        check_size(path, (pages, height, width), pixel_bytes, max_voxels)
        slices: list[Pixels] = []
        notes: dict[str, None] = {}
        for page in range(pages):
            if pages > 1:
                picture.seek(page)
            if picture.size != (width, height):
                raise unreadable(path, "has pages of unlike sizes; save each as a picture of its own.")
            # Pillow tells the tiles of a WebP only once it is decoded, which a short file does not survive.
            whole = [(0, 0, width, height)] if picture.format == "WEBP" else []
            boxes = whole or [tile.extents or (0, 0, width, height) for tile in picture.tile]
            if sum((right - left) * (low - top) for left, top, right, low in boxes) < width * height:
                # Pillow would fill what no strip of the file covers with zeros.
                raise unreadable(path, "is cut short: it holds less than the pixels it claims; copy it again.")
            pixels, noticed = pixels_of(path, picture)
            notes.update(dict.fromkeys(noticed))
            slices.append(pixels)
    if len({(pixels.dtype, pixels.shape) for pixels in slices}) > 1:
        raise unreadable(path, "has pages of unlike kinds; save each as a picture of its own.")
    return (np.stack(slices) if pages > 1 else slices[0][np.newaxis]), tuple(notes)


def _too_large(path: Path) -> UnreadableScan:
    from PIL import Image

    return unreadable(path, f"claims more pixels than the limit of {Image.MAX_IMAGE_PIXELS or 0:,}; scale it down.")


def _coloured(path: Path, picture: Any) -> tuple[Pixels, list[str]]:
    """The page on which `picture` stands as pixels [y, x, colour], upright, and notes."""
    from PIL import ImageOps

    if picture.mode in _GREY or picture.mode in ("1", "LA"):
        pixels, notes = _grey(path, picture)
        return np.repeat(pixels[..., None], 3, axis=-1), notes
    notes = _losses(picture)
    return np.asarray(ImageOps.exif_transpose(picture).convert("RGB")), notes


def _losses(picture: Any) -> list[str]:
    """What of a picture whose pixels are not loaded yet will not be read, a sentence each."""
    notes = [FIRST_OF_SEVERAL] if picture.format == "MPO" and picture.n_frames > 1 else []
    if any(";16" in str(tile.args) for tile in picture.tile[:1]) and picture.mode in ("RGB", "RGBA", "LA"):
        notes.append("Its 16 bits were read as 8, as it is stored in colour or with transparency.")
    if picture.mode in ("LA", "PA", "RGBA") or "transparency" in picture.info:
        notes.append(TRANSPARENT)
    if picture.getexif().get(_ORIENTATION, 1) not in (0, 1):
        notes.append(TURNED)
    return notes


def _grey(path: Path, picture: Any) -> tuple[Pixels, list[str]]:
    """The page on which `picture` stands as grey pixels [y, x], upright, and notes."""
    from PIL import ImageOps

    inverted = picture.format == "TIFF" and picture.mode.startswith("I;16") and picture.tag_v2.get(_PHOTOMETRIC) == 0
    notes = _losses(picture)
    upright = ImageOps.exif_transpose(picture)
    if upright.mode in ("1", "LA"):
        upright = upright.convert("L")
    if upright.mode in _GREY:
        pixels = np.asarray(upright)
        return (np.iinfo(np.uint16).max - pixels if inverted else pixels), notes
    colours = np.asarray(upright.convert("RGB"))
    red, green, blue = np.moveaxis(colours, -1, 0)
    tint = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    if np.mean(tint > GREY_TINT) > COLOUR_SHARE:
        raise unreadable(path, f"is a picture in colour; {_ONLY_GREY}.")
    if tint.any():
        notes.append("It is slightly coloured; its brightness was taken.")
        return np.asarray(upright.convert("RGB").convert("L")), notes
    return colours[..., 0], notes


def _stored(path: Path, picture: Any) -> tuple[Pixels, list[str]]:
    """The page on which `picture` stands as the numbers [y, x] of its palette, upright; [0] where it has no colours."""
    from PIL import ImageOps

    notes = [note for note in _losses(picture) if note == TURNED]
    upright = ImageOps.exif_transpose(picture)
    palette = np.array(upright.getpalette() if upright.mode == "P" else [0], np.int64)
    coloured = np.ptp(palette[: len(palette) // 3 * 3].reshape(-1, 3), axis=1) > GREY_TINT
    return (np.asarray(upright) if coloured.any() else np.zeros(1, np.uint8)), notes


READER = FileReader("picture", SUFFIXES, read_picture)
