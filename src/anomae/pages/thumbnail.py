"""A small picture of the highest slice of a scan, with its findings outlined."""

from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anomae.files import write_bytes
from anomae.inference.study import Study
from anomae.pages.presets import windows_of
from anomae.volumes.orientation import axial_view

SIDE = 160  # pixels of the longer side: drawn at half of it, sharp on dense screens too
OUTLINE = (63, 224, 208)  # anomae.reports.overlay_picture.FINDING
_QUALITY = 82


def write_thumbnail(study: Study, path: Path) -> None:
    """Write a JPEG of at most SIDE x SIDE pixels to `path`, some 5 kB: the highest slice as a page shows it."""
    from PIL import Image

    result = study.result
    case, index = result.case, int(result.kept[int(np.argmax(study.decision.scores))])
    if case.channels == 3 and case.one_scale:
        image = np.moveaxis(np.clip(case.images[index].astype(np.float32), 0, 255), 0, -1).astype(np.uint8)
    else:
        windows = windows_of(study)
        low, high = windows.ranges[windows.first]
        share = (np.nan_to_num(case.images[index, 0].astype(np.float32), nan=low) - low) / (high - low)
        image = (np.clip(share, 0, 1) * 255).astype(np.uint8)
    height, width = image.shape[0] * case.spacing_mm[0], image.shape[1] * case.spacing_mm[1]
    scale = SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = (
        Image.fromarray(image)
        .convert("RGB")
        .resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR)
    )
    pixels = np.array(picture)
    labels = _labels(study, index)
    if labels is not None:
        rows = np.arange(size[1]) * labels.shape[0] // size[1]
        columns = np.arange(size[0]) * labels.shape[1] // size[0]
        pixels[ring(labels[np.ix_(rows, columns)])] = OUTLINE
    content = BytesIO()
    Image.fromarray(pixels).save(content, format="JPEG", quality=_QUALITY, subsampling=0)
    write_bytes(path, content.getvalue())


def ring(labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """The two pixels around each finding of (h, w), so that nothing found is covered."""
    inside = labels > 0
    around = inside
    for _ in range(2):
        padded = np.pad(around, 1)
        around = padded[1:-1, 1:-1] | padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
    return np.asarray(around & ~inside)


def _labels(study: Study, index: int) -> npt.NDArray[np.uint8] | None:
    """The findings in one axial slice; None where there are none."""
    if study.regions is None or not study.regions.findings:
        return None
    grid = study.result.case.grid
    labels = study.regions.labels if grid is None else axial_view(grid).apply(study.regions.labels)
    return np.asarray(labels[index])
