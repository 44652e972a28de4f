"""Windows to look through: named ranges of intensity for what kind of scan it is."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.inference.study import Study
from anomae.reports.overlays import grey_range

# Centre and width in HU, as radiology textbooks and viewers have them.
CT_WINDOWS = {
    "soft tissue": (40, 400),
    "lung": (-600, 1500),
    "bone": (400, 1800),
    "brain": (40, 80),
    "subdural": (75, 215),
    "liver": (60, 160),
}
_LUNG_PARTS, _BRAIN_PARTS = ("CHEST", "LUNG", "THORAX"), ("HEAD", "BRAIN", "SKULL")
_AIR = -800  # HU; what a CT holds much of and other scans do not hold
_SAMPLED = 500_000  # voxels that ranges are taken from


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows of one scan.

    modality: "CT", "MR", ..., "" where unknown.  guessed: whether that was guessed from the intensities.  unit: of the
    intensities, "" where unknown.  ranges: name -> (low, high), the values drawn black and white.  first: the name of
    the one that a page begins with.
    """

    modality: str
    guessed: bool
    unit: str
    ranges: dict[str, tuple[float, float]]
    first: str


def windows_of(study: Study) -> Windows:
    """The windows for the scan of `study`: of a CT the usual ones, and always "auto" and "full range"."""
    voxels = sampled(study.result.case.images)
    series = None if study.volume is None else study.volume.dicom
    modality = series.modality.upper() if series is not None else ""
    guessed = not modality and study.result.case.grid is not None and looks_like_ct(voxels)
    if guessed:
        modality = "CT"
    finite = voxels[np.isfinite(voxels)]
    full = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    ranges = {"auto": _wider(grey_range(voxels)), "full range": _wider(full)}
    first = "auto"
    if modality == "CT":
        ranges = {
            name: (centre - width / 2, centre + width / 2) for name, (centre, width) in CT_WINDOWS.items()
        } | ranges
        first = _first_of_ct(series.body_part.upper() if series is not None else "", finite)
    elif modality == "MR":
        low, high = grey_range(finite[finite > 0]) if (finite > 0).any() else ranges["auto"]
        ranges = {
            "auto": ranges["auto"],
            "tissue": _wider((low, high)),
            "bright signal": _wider(((low + high) / 2, full[1])),
        }
        ranges["full range"] = _wider(full)
    return Windows(modality, guessed, "HU" if modality == "CT" else "", ranges, first)


def looks_like_ct(voxels: npt.NDArray[Any]) -> bool:
    """Whether intensities look like HU: air is about -1000 and there is much of it, and nothing is beyond metal."""
    finite = voxels[np.isfinite(voxels)]
    if not finite.size:
        return False
    low, high = float(finite.min()), float(finite.max())
    return -4096 <= low <= _AIR and 100 <= high <= 32767 and float((finite < _AIR).mean()) > 0.02


def sampled(images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """About half a million of the numbers of `images` (n, c, h, w), evenly spread over all slices."""
    step = max(1, round((images.size / _SAMPLED) ** (1 / 3)))
    slices = max(1, min(step, len(images) // 16))
    return np.asarray(images[::slices, :, ::step, ::step], dtype=np.float32)


def _first_of_ct(body_part: str, finite: npt.NDArray[np.float32]) -> str:
    if any(part in body_part for part in _BRAIN_PARTS):
        return "brain"
    lung = ((finite > -950) & (finite < -500)).mean() if finite.size else 0.0
    return "lung" if any(part in body_part for part in _LUNG_PARTS) or lung > 0.1 else "soft tissue"


def _wider(ends: tuple[float, float]) -> tuple[float, float]:
    """The same range, or one of some width where it has none."""
    low, high = ends
    return (low, high) if high > low else (low, low + 1.0)
