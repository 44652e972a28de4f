"""What all plots share: the report's style, its colours, and how lines and names are put into a plot."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, QUIET, RULE = "#1f2933", "#7b8794", "#d5dbe1"
SCORE, BASELINE, NORMAL, ABNORMAL = "#00695c", "#b7791f", "#4477aa", "#cc4c33"
STYLE = {
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "svg.hashsalt": "anomae",
    "svg.fonttype": "path",
}


@contextmanager
def plot(width: float, height: float) -> Iterator[tuple[Figure, Callable[[], str]]]:
    """A plot of `width` x `height` inches in the report's style (a matplotlib Figure), and its SVG text when drawn."""
    with rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")

        def text() -> str:
            with rc_context(STYLE):
                page = io.StringIO()
                figure.savefig(page, format="svg", dpi=200, metadata={"Date": None, "Creator": None})
            return page.getvalue()

        yield figure, text


def square(axes: Axes, across: str, up: str) -> None:
    """Make `axes` a unit square with these labels."""
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.set_aspect("equal")
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(color=RULE, lw=0.5)
    axes.set_axisbelow(True)


def thin(
    across: npt.NDArray[np.float64], up: npt.NDArray[np.float64], most: int = 600
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """At most `most` points of a line, evenly spread, both ends kept."""
    kept = np.unique(np.linspace(0, len(across) - 1, min(most, len(across))).astype(int))
    return across[kept], up[kept]


def plain(text: str) -> str:
    """Text that the plot's own font surely holds."""
    return text.encode("ascii", "replace").decode()
