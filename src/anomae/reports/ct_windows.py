"""The windows that a CT is looked through, and which of them suits a scan."""

from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.cohorts.case import CaseSlices

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
_BELOW_WATER = -100  # HU; fat is darker still, and what is exported without rescaling begins at 0
_AIR = -800  # HU; what a CT holds much of and other scans do not hold
_SAMPLED = 500_000  # voxels that ranges are taken from


def ct_ranges() -> dict[str, tuple[float, float]]:
    """Name of a window -> the values drawn black and white, in HU."""
    return {name: (centre - width / 2, centre + width / 2) for name, (centre, width) in CT_WINDOWS.items()}


def window_of_ct(case: CaseSlices) -> tuple[str, tuple[float, float]] | None:
    """The name and the range of the window that a page of the scan begins with; None of what is no CT in HU."""
    voxels, modality = sampled(case.images), case.modality.upper()
    if modality != "CT" and (modality or case.grid is None or not looks_like_ct(voxels)):
        return None
    finite = voxels[np.isfinite(voxels)]
    if not is_in_hu(finite):
        return None
    name = first_of_ct(case.body_part.upper(), finite)
    return name, ct_ranges()[name]


def window_sentence(window: tuple[str, tuple[float, float]] | None) -> str:
    """What a picture says of the window that it is drawn through; "" without one."""
    if window is None:
        return ""
    name, (low, high) = window
    return f"{name} window, {low:g} to {high:g} HU"


def is_in_hu(finite: npt.NDArray[np.float32]) -> bool:
    """Whether voxels of a CT can be HU: pictures made of one (0..255), and raw values, have none that is negative."""
    return bool((finite < _BELOW_WATER).any())


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


def first_of_ct(body_part: str, finite: npt.NDArray[np.float32]) -> str:
    """The window that suits a CT: by its body part, in capitals, or by how much of it is lung.  finite: its voxels."""
    if any(part in body_part for part in _BRAIN_PARTS):
        return "brain"
    lung = ((finite > -950) & (finite < -500)).mean() if finite.size else 0.0
    return "lung" if any(part in body_part for part in _LUNG_PARTS) or lung > 0.1 else "soft tissue"
