"""Slices brought to the prepared size, and maps brought back onto the pixels of the scan."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from anomae.slices.settings import PrepareSettings

_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


@dataclass(frozen=True, slots=True)
class Placement:
    """Where in a prepared image the pixels of the slice lie: centred, the aspect kept; all numbers in pixels.

    size: (H, W) of the prepared image.  height, width: of the slice in it, top and left: of its first pixel.
    """

    size: tuple[int, int]
    top: int
    left: int
    height: int
    width: int

    def inside(self, image: npt.NDArray) -> npt.NDArray:
        """The pixels of the slice: a view of a prepared image (..., H, W)."""
        return image[..., self.top : self.top + self.height, self.left : self.left + self.width]

    @property
    def share(self) -> float:
        """Share of the prepared image that the slice fills; the rest is padding."""
        return self.height * self.width / (self.size[0] * self.size[1])


@dataclass(frozen=True, slots=True)
class Resizing:
    """The preparation of whole slices of `shape` (h, w): resized, the aspect kept, padded; the counterpart of a Warp.

    spacing_mm: (y, x) of a pixel of the slice.
    """

    shape: tuple[int, int]
    spacing_mm: tuple[float, float]
    settings: PrepareSettings

    @property
    def placement(self) -> Placement:
        """Where in the prepared image the slice lies."""
        return place_slice(self.shape, self.settings.image_size)

    @property
    def prepared_spacing_mm(self) -> tuple[float, float]:
        """(y, x) of a prepared pixel."""
        placed = self.placement
        return (
            self.spacing_mm[0] * self.shape[0] / placed.height,
            self.spacing_mm[1] * self.shape[1] / placed.width,
        )

    def image(self, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """A slice (h, w), prepared: (H, W); see `resize_images`."""
        return resize_image(image, self.settings)

    def lesion(self, lesion: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """A mask (h, w), prepared; see `resize_lesion`."""
        return resize_lesion(lesion, self.settings)

    def restore(self, heat: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """A map (H, W) of a prepared slice on the pixels of the slice, (h, w); see `restore_map`."""
        return restore_map(heat, self.shape, self.settings)


def place_slice(shape: tuple[int, int], size: tuple[int, int]) -> Placement:
    """Where a slice of `shape` (h, w) comes to lie in a prepared image of `size` (H, W)."""
    step = min(size[0] / shape[0], size[1] / shape[1])
    height, width = (max(1, int(side * step + 0.5)) for side in shape)
    return Placement(size, (size[0] - height) // 2, (size[1] - width) // 2, height, width)


def resize_images(images: npt.NDArray[np.float32], settings: PrepareSettings) -> npt.NDArray[np.float32]:
    """(n, h, w) -> (n, *settings.image_size), resized with the aspect kept, padded with each image's own minimum.

    Pillow's anti-aliased filters; values stay within the image's own range (bicubic overshoots are cut).
    """
    resized = np.empty((len(images), *settings.image_size), dtype=np.float32)
    for index, image in enumerate(images):
        resized[index] = resize_image(image, settings)
    return resized


def resize_image(image: npt.NDArray[np.float32], settings: PrepareSettings) -> npt.NDArray[np.float32]:
    """One image (h, w) -> settings.image_size; see `resize_images`."""
    low, high = image.min(), image.max()
    placement = place_slice((image.shape[0], image.shape[1]), settings.image_size)
    resized = np.full(settings.image_size, low, dtype=np.float32)
    smooth = _resize(image, (placement.height, placement.width), _FILTERS[settings.resampling])
    placement.inside(resized)[:] = np.clip(smooth, low, high)
    return resized


def resize_lesion(lesion: npt.NDArray[np.bool_], settings: PrepareSettings) -> npt.NDArray[np.bool_]:
    """One mask (h, w) -> settings.image_size: pixels at least half lesion, and of every separate lesion at least one.

    A lesion (pixels that touch, also at corners) too small to fill half a pixel keeps the pixel it fills most.
    """
    placement = place_slice((lesion.shape[0], lesion.shape[1]), settings.image_size)
    resized = np.zeros(settings.image_size, dtype=np.bool_)
    if lesion.any():
        share = _resize(lesion.astype(np.float32), (placement.height, placement.width), Image.Resampling.BOX)
        kept = share >= 0.5
        y, x = np.nonzero(lesion)
        # the prepared pixel that the centre of each lesion pixel falls into
        row, column = (
            (2 * index + 1) * now // (2 * before)
            for index, now, before in zip((y, x), kept.shape, lesion.shape, strict=True)
        )
        keep_every_lesion(lesion, share, kept, (y, x), (row, column))
        placement.inside(resized)[:] = kept
    return resized


def restore_map(
    heat: npt.NDArray[np.float32], shape: tuple[int, ...], settings: PrepareSettings
) -> npt.NDArray[np.float32]:
    """A map (H, W) of a prepared slice, brought back onto the pixels of the slice it was prepared from.

    shape: (h, w) of that slice.  Bilinear (anti-aliased where the slice has fewer pixels than the map).
    """
    height, width = shape
    return _resize(
        place_slice((height, width), settings.image_size).inside(heat), (height, width), _FILTERS["bilinear"]
    )


def _resize(
    image: npt.NDArray[np.float32], size: tuple[int, int], resampling: Image.Resampling
) -> npt.NDArray[np.float32]:
    picture = Image.fromarray(np.ascontiguousarray(image, dtype=np.float32))
    return np.array(picture.resize((size[1], size[0]), resampling))


def keep_every_lesion(
    lesion: npt.NDArray[np.bool_],
    share: npt.NDArray[np.float32],
    kept: npt.NDArray[np.bool_],
    pixels: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
    there: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
) -> None:
    """Set in `kept` (h', w') one pixel of every lesion of `lesion` (h, w) that has none: the one it fills most.

    share: (h', w'), how much of each prepared pixel is lesion.  pixels: rows and columns of the lesion pixels;
    there: of the prepared pixel that the centre of each falls into.
    """
    from scipy.ndimage import label

    if kept[there].all():
        return
    numbered, count = label(lesion, structure=np.ones((3, 3)))
    lesion_of = numbered[pixels] - 1
    lost = np.ones(count, dtype=np.bool_)
    lost[lesion_of[kept[there]]] = False
    fullest_first = np.argsort(-share[there], kind="stable")
    fullest_first = fullest_first[lost[lesion_of[fullest_first]]]
    _, chosen = np.unique(lesion_of[fullest_first], return_index=True)
    pixel = fullest_first[chosen]
    kept[there[0][pixel], there[1][pixel]] = True
