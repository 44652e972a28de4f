"""Makes docs/pictures/steps.png: one slice of a made-up head, tilted, through every step of the detector `anomae`.

python docs/make_method_picture.py [FOLDER]      some minutes on two cores; FOLDER keeps scans, store and run, and may
be that of docs/make_picture.py, whose detector it uses.
"""

import sys
import tempfile
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from make_picture import main as make_run
from matplotlib.figure import Figure
from scipy.ndimage import rotate

from anomae.cohorts.scan_slices import scan_slices
from anomae.detectors.registry import load_detector
from anomae.files import written_whole
from anomae.inference.fitted import load_preparation
from anomae.inference.score_volume import score_slices
from anomae.phantoms.phantom import Phantom, make_head
from anomae.slices.preparing import prepare_case
from anomae.training.settings import DeviceSettings
from anomae.volumes.orientation import axial_view
from anomae.volumes.volume import Volume

PICTURE = Path(__file__).resolve().parent / "pictures" / "steps.png"
FIRST_SEED, TILT_DEGREES, MODALITY = 500, 9.0, "flair"  # heads that no run of make_picture.py knows
SCAN = "1  the scan"
MIDDLE = (0.4, 0.6)  # of the head's slices: the first head is drawn whose lesion is largest there


def main(folder: Path) -> None:
    """Fit where it is not done, score a head and draw its steps."""
    if not (folder / "run" / "fitted" / "fitted.json").exists():
        make_run(folder)
    detector: Any = load_detector(folder / "run" / "fitted", DeviceSettings(accelerator="cpu", precision="fp32"))
    settings = load_preparation(folder / "run" / "fitted")
    phantom = next(head for head in map(_head, count(FIRST_SEED)) if _in_the_middle(head.lesions))
    voxels, lesions = (_tilted(part) for part in (phantom.voxels, phantom.lesions))
    case = scan_slices(Volume(voxels, phantom.grid, Path("made-up head"), "array"))
    prepared, scored = prepare_case(case, settings), score_slices(case, detector, settings)
    view = axial_view(phantom.grid)
    lesion = view.apply(lesions >= 0.5)
    number = int(lesion.sum(axis=(1, 2)).argmax())
    at = int(np.flatnonzero(prepared.kept == number)[0])
    seen = detector.parts.window.seen(torch.from_numpy(prepared.images[at : at + 1]))
    with torch.no_grad():
        found = detector.evidences[0].of(seen)[0].numpy()
        chances = detector._probabilities(seen)[0][0].numpy()
        enlarged = detector.inspect(prepared.images[at : at + 1]).maps[0]
    pixels = detector.parts.features.of(detector.evidences[0].view(seen)).shape[1]  # they come after the features
    mean = found[pixels]
    assert scored.map is not None
    panels: list[tuple[str, npt.NDArray[Any], str]] = [
        (f"{SCAN}'s slice, its crop\nbodies.py, framing.py", case.images[number, 0], "gray"),
        ("1  prepared: upright, scaled\nwarp.py, intensity.py", prepared.images[at, 0], "gray"),
        ("4  evidence: mean of each patch\nsources.py (Pixels)", mean, "coolwarm"),
        ("4  evidence: one of 176 features\nsources.py (Features)", found[0], "coolwarm"),
        ("4  evidence: the mean less its mirror\nheads.py", mean - mean[:, ::-1], "coolwarm"),
        ("5  probability of each patch\npatch_head.py", chances, "magma"),
        ("5  the map of the prepared slice\nfitted.py", enlarged, "magma"),
        (f"{SCAN}'s pixels, the map there\nwarp.py (restore)", view.apply(scored.map)[number], "magma"),
    ]
    _draw(panels, prepared.warp, lesion[number])


def _head(seed: int) -> Phantom:
    return make_head(seed, modality=MODALITY, lesions=1, skull=False)


def _in_the_middle(lesions: npt.NDArray[np.bool_]) -> bool:
    at = lesions.sum(axis=(1, 2)).argmax() / len(lesions)
    return bool(MIDDLE[0] <= at <= MIDDLE[1])


def _tilted(voxels: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    turned = rotate(voxels.astype(np.float32), TILT_DEGREES, axes=(1, 2), reshape=False, order=1)
    return np.asarray(turned, dtype=np.float32)


def _draw(panels: list[tuple[str, npt.NDArray[Any], str]], warp: Any, lesion: npt.NDArray[np.bool_]) -> None:
    figure = Figure(figsize=(11.0, 6.2), dpi=110, facecolor="white")
    for panel, (title, picture, colours) in zip(figure.subplots(2, 4).ravel(), panels, strict=True):
        panel.set_axis_off()
        panel.set_title(title, fontsize=8.5)
        largest = float(np.abs(picture).max())
        low, high = {"coolwarm": (-largest, largest), "magma": (0.0, 1.0), "gray": (0.0, largest)}[colours]
        panel.imshow(picture, cmap=colours, vmin=low, vmax=high, interpolation="nearest")
        if picture.shape in (lesion.shape, warp.size):
            of_scan = title.startswith(SCAN) or picture.shape != warp.size
            outline = lesion if of_scan else warp.lesion(lesion)
            panel.contour(outline, levels=[0.5], colors="#ff8c28", linewidths=1.0)
    corners = np.array([[0, 0], [0, 1], [1, 1], [1, 0], [0, 0]]) * (np.array(warp.size) - 1)
    matrix, offset = warp._to_slice()
    row, column = matrix @ corners.T + offset[:, None]
    half = np.array([[0, 0.5], [1, 0.5]]) * (np.array(warp.size) - 1)
    up, across = matrix @ half.T + offset[:, None]
    first = figure.axes[0]
    first.plot(column, row, color="#4fa3ff", linewidth=1.0)
    first.plot(across, up, color="#4fa3ff", linewidth=1.0, linestyle="--")
    figure.tight_layout()
    PICTURE.parent.mkdir(exist_ok=True)
    with written_whole(PICTURE) as temporary:
        figure.savefig(temporary, format="png")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
