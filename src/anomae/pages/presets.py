"""Windows to look through: named ranges of intensity for what kind of scan it is."""

from dataclasses import dataclass

import numpy as np

from anomae.inference.study import Study
from anomae.reports.ct_windows import ct_ranges, first_of_ct, is_in_hu, looks_like_ct, sampled
from anomae.reports.overlays import grey_range


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
    """The windows for the scan of `study`: of a CT in HU the usual ones, and always "auto" and "full range"."""
    voxels = sampled(study.result.case.images)
    series = None if study.volume is None else study.volume.dicom
    modality = series.modality.upper() if series is not None else ""
    guessed = not modality and study.result.case.grid is not None and looks_like_ct(voxels)
    if guessed:
        modality = "CT"
    finite = voxels[np.isfinite(voxels)]
    full = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    ranges = {"auto": _wider(grey_range(voxels)), "full range": _wider(full)}
    first, hounsfield = "auto", modality == "CT" and is_in_hu(finite)
    if hounsfield:
        ranges = ct_ranges() | ranges
        first = first_of_ct(series.body_part.upper() if series is not None else "", finite)
    elif modality == "MR":
        low, high = grey_range(finite[finite > 0]) if (finite > 0).any() else ranges["auto"]
        ranges = {
            "auto": ranges["auto"],
            "tissue": _wider((low, high)),
            "bright signal": _wider(((low + high) / 2, full[1])),
        }
        ranges["full range"] = _wider(full)
    return Windows(modality, guessed, "HU" if hounsfield else "", ranges, first)


def _wider(ends: tuple[float, float]) -> tuple[float, float]:
    """The same range, or one of some width where it has none."""
    low, high = ends
    return (low, high) if high > low else (low, low + 1.0)
