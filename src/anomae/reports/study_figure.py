"""One figure of one scan for a notebook: a slice, its map over it, and the scores of all slices."""

import io

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from anomae.reports.ct_windows import window_sentence
from anomae.reports.overlay_picture import coloured
from anomae.reports.overlays import grey_range
from anomae.reports.plot_style import ABNORMAL, INK, QUIET, SCORE, STYLE


class StudyFigure(Figure):
    """A matplotlib Figure that a notebook shows by itself, whatever its backend."""

    def _repr_png_(self) -> bytes:
        picture = io.BytesIO()
        self.savefig(picture, format="png", dpi=90)
        return picture.getvalue()


def study_figure(
    *,
    image: npt.NDArray[np.floating],
    heat: npt.NDArray[np.float32] | None,
    heat_top: float,
    outlined: npt.NDArray[np.bool_] | None,
    map_name: str,
    aspect: float,
    slices: npt.NDArray[np.int64],
    scores: npt.NDArray[np.float64],
    threshold: float | None,
    shown: int,
    title: str,
    window: tuple[str, tuple[float, float]] | None = None,
) -> StudyFigure:
    """A matplotlib Figure, drawn without pyplot's state.

    image: (h, w), the slice `shown`.  heat: (h, w), its map, or None.  heat_top: the map's highest value in the scan.
    outlined: (h, w), where findings are.  aspect: height of a pixel over its width.  slices, scores: (k,), all that
    were scored.  threshold: of a slice; None where there is none.  window: of a CT, its name and the HU drawn black and
    white; None: the ends of the slice's own values.
    """
    with rc_context(STYLE):
        figure = StudyFigure(figsize=(9.6, 4.0), layout="constrained")
        left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 1.15))
        low, high = grey_range(image) if window is None else window[1]
        for axes in (left, middle):
            axes.imshow(image, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), aspect=aspect)
            axes.set_xticks([])
            axes.set_yticks([])
            for spine in axes.spines.values():
                spine.set_visible(False)
        left.set_title(f"slice {shown}" if window is None else f"slice {shown}, {window_sentence(window)}")
        if heat is None:
            middle.set_title("no map")
        else:
            top = heat_top if heat_top > 0 else 1.0
            middle.imshow(coloured(heat, top), aspect=aspect, interpolation="nearest")
            if outlined is not None and outlined.any() and min(outlined.shape) > 1:
                middle.contour(outlined.astype(float), levels=[0.5], colors=["#7fffd4"], linewidths=0.9)
            bar = figure.colorbar(
                ScalarMappable(Normalize(0.0, top), "inferno"), ax=middle, location="bottom", pad=0.02
            )
            bar.set_label(map_name, fontsize=8)
            middle.set_title("map, findings outlined")
        right.plot(slices, scores, color=SCORE, linewidth=1.2, marker="o" if len(slices) < 40 else "", markersize=3)
        right.axvline(shown, color=QUIET, linewidth=0.8)
        if threshold is not None:
            right.axhline(threshold, color=ABNORMAL, linewidth=1.0, linestyle="--")
            right.annotate(
                "threshold",
                (1.0, threshold),
                xycoords=("axes fraction", "data"),
                ha="right",
                va="bottom",
                color=ABNORMAL,
            )
        right.set_xlabel("slice")
        right.set_ylabel("score")
        figure.suptitle(title, fontsize=10, color=INK, x=0.01, ha="left")
    return figure
