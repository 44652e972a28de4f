"""Intensities of a scan brought to the scale that networks see."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.errors import UnreadableScan
from anomae.slices.settings import PrepareSettings
from anomae.volumes.outliers import finite_values, outlier_bounds

# CT: everything denser than lung counts as body.
BODY_HU = -500.0
# Of an MRI scan or a picture, the brightest voxels (vessels, spikes) do not decide what is body.
TOP_PERCENTILE = 99.8
# Scaled by the median, this is where it comes to lie, what is brighter than the cut is cut, and what is darker than
# this share of the scan's range (holes, fluid that sends nothing) does not count.
MEDIAN_AT, MEDIAN_CUT, MEDIAN_FROM = 0.5, 1.25, 0.02
# Percentiles of larger scans are taken from every k-th row.
ENOUGH_VOXELS = 2**24


@dataclass(frozen=True, slots=True)
class IntensityScale:
    """How the intensities of one scan are brought to scale: (raw - offset) / width, cut to low..high.

    fill: stands for voxels that are no finite number; the smallest of the scan.  body_level: raw, above it is tissue.
    non_finite: how many voxels are no finite number.
    bounds: what outliers (anomae.volumes.outliers) are cut to, the smallest and the largest value of the rest; None
    where there are none.  outliers: how many voxels those are.
    """

    offset: float
    width: float
    low: float
    high: float
    fill: float
    body_level: float
    non_finite: int = 0
    bounds: tuple[float, float] | None = None
    outliers: int = 0

    def read(self, image: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """The raw image (any shape) as float32, every value finite, outliers cut."""
        raw, finite = _as_float32(image)
        raw = raw if finite is None else np.where(finite, raw, np.float32(self.fill))
        return raw if self.bounds is None else np.clip(raw, *self.bounds)

    def apply(self, image: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """The image (any shape) at scale."""
        scaled = self.read(image) - np.float32(self.offset)
        scaled /= np.float32(self.width)
        return np.clip(scaled, self.low, self.high, out=scaled)

    def body(self, image: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Where tissue is in a raw image (any shape)."""
        return self.read(image) > self.body_level


def scale_intensity(images: npt.NDArray[Any], settings: PrepareSettings) -> npt.NDArray[np.float32]:
    """Images (n, h, w) of one scan, scaled as `settings.intensity` says; all values finite."""
    return measure_scale(images, settings).apply(images)


def measure_scale(
    images: npt.NDArray[Any], settings: PrepareSettings, inside: npt.NDArray[np.bool_] | None = None
) -> IntensityScale:
    """The scale of one scan (n, h, w), from its own intensities alone; a slice at a time is held as float32.

    inside: (n, h, w), the brain or body, for "median"; None: whatever is brighter than the body's level.
    Raises UnreadableScan where no voxel is a finite number, or the type of the numbers cannot be scaled.
    """
    if images.dtype.kind not in "biuf":
        raise UnreadableScan(f"its voxels are {images.dtype}, not real numbers.")
    fill, non_finite = _smallest(images)
    bounds = outlier_bounds(images)
    fill = fill if bounds is None else bounds[0]
    beyond = 0 if bounds is None else images.size - non_finite - sum(one.size for one in _sound(images, bounds))
    noticed: dict[str, Any] = {"non_finite": non_finite, "bounds": bounds, "outliers": beyond}
    everything = (-np.inf, np.inf)
    if settings.scaled_by == "hu/100":
        return IntensityScale(0.0, 100.0, *everything, fill, BODY_HU, **noticed)
    if settings.scaled_by == "window":
        start, end = settings.window_hu
        return IntensityScale(start, end - start, 0.0, 1.0, fill, BODY_HU, **noticed)
    level, top = _body_level(images, fill, settings, bounds)
    if settings.scaled_by == "percentile":
        return IntensityScale(fill, top - fill or 1.0, 0.0, 1.0, fill, level, **noticed)
    if settings.scaled_by == "median":
        middle = _median(images, inside, fill, level, bounds)
        return IntensityScale(fill, (middle - fill) / MEDIAN_AT or 1.0, 0.0, MEDIAN_CUT, fill, level, **noticed)
    offset, width = _type_range(images.dtype) if settings.scaled_by == "full_range" else (0.0, 1.0)
    return IntensityScale(offset, width, *everything, fill, level, **noticed)


def _body_level(
    images: npt.NDArray[Any], smallest: float, settings: PrepareSettings, bounds: tuple[float, float] | None
) -> tuple[float, float]:
    """Above what intensity tissue lies, and the upper percentile within it; both raw."""
    rows = images[:, :: max(1, -(-images.size // ENOUGH_VOXELS))]
    bright = np.concatenate([np.empty(0, np.float32), *(image[image > smallest] for image in _sound(rows, bounds))])
    if not bright.size:
        return smallest, smallest
    level = smallest + settings.body_threshold * (float(np.percentile(bright, TOP_PERCENTILE)) - smallest)
    body = bright[bright > level]
    return level, float(np.percentile(body, settings.percentile)) if body.size else float(bright.max())


def _median(
    images: npt.NDArray[Any],
    inside: npt.NDArray[np.bool_] | None,
    smallest: float,
    level: float,
    bounds: tuple[float, float] | None,
) -> float:
    """The raw median inside; of all that is brighter than `level` where nothing is said to be inside."""
    step = max(1, -(-images.size // ENOUGH_VOXELS))
    values = [np.empty(0, np.float32)]
    for index, image in enumerate(images):
        raw, finite = _as_float32(image[::step])
        wanted = raw > level if inside is None else inside[index, ::step]
        wanted = wanted if finite is None else wanted & finite
        values.append(raw[wanted if bounds is None else wanted & (raw >= bounds[0]) & (raw <= bounds[1])])
    found = np.concatenate(values)
    if inside is not None and found.size:
        found = found[found > smallest + MEDIAN_FROM * (float(np.percentile(found, TOP_PERCENTILE)) - smallest)]
    return float(np.median(found)) if found.size else smallest


def _smallest(images: npt.NDArray[Any]) -> tuple[float, int]:
    """The smallest finite value, and how many are not finite."""
    seen, smallest = 0, np.inf
    for values in finite_values(images):
        seen += values.size
        smallest = min(smallest, float(values.min())) if values.size else smallest
    if not seen and images.size:
        raise UnreadableScan("none of its voxels is a finite number.")
    return (smallest if seen else 0.0), images.size - seen


def _sound(images: npt.NDArray[Any], bounds: tuple[float, float] | None) -> Iterator[npt.NDArray[np.float32]]:
    """What is finite and no outlier."""
    for values in finite_values(images):
        yield values if bounds is None else values[(values >= bounds[0]) & (values <= bounds[1])]


def _as_float32(image: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_] | None]:
    """The image as float32, and where it is finite; None: everywhere.  A double too large for it is not finite."""
    with np.errstate(over="ignore"):
        raw = image.astype(np.float32)
    finite = np.isfinite(raw) if image.dtype.kind == "f" else None
    return raw, None if finite is None or finite.all() else finite


def _type_range(dtype: np.dtype[Any]) -> tuple[float, float]:
    """Smallest value and range of a type of pixels; (0, 1) for floats and booleans."""
    if dtype.kind in "bf":
        return 0.0, 1.0
    if dtype.itemsize > 2:
        raise UnreadableScan(
            f"its voxels are {dtype}, whose full range no image fills; store them as uint8 or uint16, or choose another"
            " intensity than full_range."
        )
    limits = np.iinfo(dtype)
    return float(limits.min), float(limits.max) - float(limits.min)
