"""A secondary capture: the highest slices in grey with the map in colour over them, one picture for any viewer."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae import __version__
from anomae.dicom_results.highest import highest, source_slices
from anomae.dicom_results.source import Source, add_anatomy, refer
from anomae.dicom_results.uids import Uids
from anomae.dicom_results.wording import NOT_CLINICAL, SOFTWARE, STATEMENT, common_arguments, complete
from anomae.extras import require
from anomae.files import written_whole
from anomae.inference.study import Study
from anomae.reports.overlay_picture import coloured
from anomae.reports.overlays import grey_range
from anomae.volumes.orientation import axial_view

_ACROSS, _PANEL, _TITLE, _BAR = 3, 3.6, 0.6, 1.0  # panels in a row; then inches
_DPI = 100


def write_picture_of_highest(
    path: Path, study: Study, source: Source, uids: Uids, heat: npt.NDArray[np.float32]
) -> None:
    """Write one RGB picture to `path`: the slices with the highest scores, in their order.

    heat: (z, y, x), the map.
    """
    highdicom = require("highdicom", "dicom")
    result = highdicom.sc.SCImage(
        pixel_array=draw_highest(study, heat),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        study_instance_uid=source.study_uid,
        patient_orientation=("L", "P"),
        **common_arguments(study, uids, "sc"),
    )
    complete(result, source, "picture")
    add_anatomy(result, source)
    refer(result, source, source_slices(study))
    del result["ReferencedSeriesSequence"]
    if source.frame_of_reference:
        result.FrameOfReferenceUID = source.frame_of_reference
    result.BurnedInAnnotation = "NO"  # the text in the picture names nobody
    result.DerivationDescription = "Slices with the highest anomaly scores, the anomaly map laid over them in colour"
    result.ImageComments = STATEMENT
    with written_whole(path) as temporary:
        result.save_as(temporary, enforce_file_format=True)


def draw_highest(study: Study, heat: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """The picture, (h, w, 3): a panel a slice with the outline of its findings, a colour bar, and what it is."""
    # The object interface draws without a display and leaves the user's pyplot state alone.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    assert study.volume is not None
    grid = study.volume.grid
    view = axial_view(grid)
    images, maps = view.apply(study.volume.voxels), view.apply(heat)
    labels = None if study.regions is None else view.apply(study.regions.labels)
    down, across = view.pixel_spacing_mm(grid)
    chosen = highest(study)
    low, high = grey_range(images[chosen[:, 0]])
    top = max(float(maps[index].max()) for index, _ in chosen) or 1.0
    columns = min(_ACROSS, len(chosen))
    lines = -(-len(chosen) // columns)
    panel = float(np.clip(maps.shape[1] * down / (maps.shape[2] * across), 0.4, 2.5)) * _PANEL
    width, height = columns * _PANEL + _BAR, lines * (panel + _TITLE / 2) + _TITLE
    figure = Figure(figsize=(width, height), dpi=_DPI, facecolor="black")
    canvas = FigureCanvasAgg(figure)
    words: dict[str, Any] = {"color": "white", "fontsize": 10}
    figure.text(0.01, 1 - 0.2 / height, f"{NOT_CLINICAL}. {SOFTWARE} {__version__}", va="center", **words)
    for count, (index, row) in enumerate(chosen):
        left, bottom = (
            (count % columns) * _PANEL / width,
            1 - (_TITLE + (count // columns + 1) * (panel + _TITLE / 2)) / height,
        )
        axes = figure.add_axes((left + 0.005, bottom + 0.005, _PANEL / width - 0.01, panel / height - 0.01))
        look: dict[str, Any] = {"aspect": down / across, "interpolation": "nearest"}
        axes.imshow(images[index], cmap="gray", vmin=low, vmax=max(high, low + 1e-6), **look)
        axes.imshow(coloured(maps[index], top), **look)
        if labels is not None and labels[index].any():
            axes.contour(labels[index] > 0, levels=[0.5], colors="cyan", linewidths=0.8)
        axes.set_axis_off()
        for mark, x in (("R", 0.02), ("L", 0.95)) if study.result.case.sides_known else ():
            axes.text(x, 0.5, mark, transform=axes.transAxes, **words)
        sliced = "" if len(images) == 1 else f"slice {study.result.slices[row]}   "
        title = f"{sliced}score {study.decision.scores[row]:.4g}"
        axes.set_title(title, pad=3, **words)
    bar_axes = figure.add_axes(((columns * _PANEL + 0.1) / width, 0.1, 0.15 / width, 0.75))
    bar = figure.colorbar(ScalarMappable(Normalize(0.0, top), "inferno"), cax=bar_axes)
    bar.set_label(study.result.map_name, **words)
    bar.ax.tick_params(colors="white", labelsize=8)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])
