"""The brain of a scan that shows the whole head, found by deepbet's networks (optional package, weights within it).

L. Fisch et al., deepbet: Fast brain extraction of T1-weighted MRI using convolutional neural networks, 2024.
"""

import hashlib
import threading
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.errors import MissingExtra, UnreadableScan, UserError
from anomae.extras import require

# A voxel is brain where the network is surer than this.
LEVEL = 0.5
# SHA-256 of the weights of deepbet 1.0.2, which lie in its wheel.
WEIGHTS = {
    "model.pt": "de8ee7c69654d0dd3935dc4a5d84571d8ecf4637a6bfc01df399c4c2bc86e0fd",
    "bbox_model.pt": "39a7b2b5f799faa1391ea97bfcdc0b9299f20d84f2316a4ff8918dc4685e40aa",
}
# Pixels a side of what the smaller network sees, and from what share on it counts as sure.
_SMALL, _SURE = 128, 0.9
# Axes (1 front and back, 2 top and bottom) that may have to be reversed, and what is said then.
_SWAPPED = "the head seems to lie in the file with {} swapped; its brain was searched accordingly"
_WAYS: dict[tuple[int, ...], str] = {
    (): "",
    (1,): _SWAPPED.format("front and back"),
    (2,): _SWAPPED.format("top and bottom"),
    (1, 2): _SWAPPED.format("front and back, and top and bottom,"),
}
_NO_BRAIN = "no brain was found in it; give its mask in a file beside it, or prepare it plain."
# The number of torch's threads is the whole process's, so one thread of it at a time may have changed it.
_ALONE = threading.Lock()
_WAY_OUT = "or prepare without it: --set preparation=plain."


def extract_brain(slices: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.bool_], str]:
    """The brain (n, h, w) of the axial slices of a head (as anomae.volumes.orientation.axial_view turns them), finite.

    Also a sentence where the head lies otherwise than the file says, else "".  The networks know heads that lie as they
    should, and headers err: those of the LGG scans swap front and back, and the networks then take the orbits, the
    sinuses and the base of the skull for brain.  So the smaller network looks at the head in all four ways (front and
    back, top and bottom swapped or not; left and right are alike) and the way in which it leaves the fewest voxels
    undecided is taken: in 38 of 38 LGG scans the right one, with 0.85 (0.65 to 0.996) times as many as the header's.
    The orbits are then out of the masks of the lowest slices, and nothing else is done to these.

    About 8 s of one core and 1.1 GB with all libraries; the same mask every time: one thread, on the CPU.  Raises
    MissingExtra where deepbet is not installed, UserError where its weights are not those of version 1.0.2,
    UnreadableScan where no brain is found.
    """
    torch, extraction = _load()
    # deepbet takes x to the right, y to the front, z up; a view goes up, to the back, to the left
    head = np.ascontiguousarray(slices.transpose(2, 1, 0)[::-1, ::-1])
    _ALONE.acquire()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        swapped = min(_WAYS, key=lambda axes: _undecided(torch, extraction, np.flip(head, axes)))
        likely = extraction.run_model(np.ascontiguousarray(np.flip(head, swapped))) > LEVEL
        if not likely.any():
            raise UnreadableScan(_NO_BRAIN)
        brain = np.flip(np.asarray(extraction.postprocess(likely), dtype=np.bool_), swapped)
    except (AssertionError, ValueError) as error:  # how deepbet says that it found nothing
        raise UnreadableScan(_NO_BRAIN) from error
    finally:
        torch.set_num_threads(threads)
        _ALONE.release()
    return np.ascontiguousarray(brain[::-1, ::-1].transpose(2, 1, 0)), _WAYS[swapped]


def _undecided(torch: ModuleType, extraction: Any, head: npt.NDArray[np.float32]) -> float:
    """How many voxels the smaller network is unsure of, for each that it takes for brain."""
    normalize = require("deepbet.utils", "brain").normalize
    whole = torch.from_numpy(np.ascontiguousarray(head))[None, None]
    small = torch.nn.functional.interpolate(whole, (_SMALL,) * 3, mode="nearest-exact")[0, 0]
    edges = small.quantile(0.005), small.quantile(0.995)
    with torch.no_grad():
        share = extraction.bbox_model(normalize(small, *edges)[None, None])[0, 1].numpy()
    unsure = (share > 1 - _SURE) & (share < _SURE)
    return float(unsure.sum() / max((share > LEVEL).sum(), 1))


@cache
def _load() -> tuple[ModuleType, Any]:
    """torch, and deepbet's extraction with its weights; once a process."""
    try:
        deepbet, torch = require("deepbet.bet", "brain"), require("torch", "brain")
        folder = Path(str(distribution("deepbet").locate_file("data/models")))
    except (MissingExtra, PackageNotFoundError) as error:
        raise MissingExtra(
            "To find the brain in scans that show the whole head, this needs the package 'deepbet': "
            f"pip install 'anomae[brain]', {_WAY_OUT}"
        ) from error
    for name, digest in WEIGHTS.items():
        file = folder / name
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            raise UserError(
                f"{file} is not the file of deepbet 1.0.2: pip install --force-reinstall deepbet==1.0.2, {_WAY_OUT}"
            )
    networks = deepbet.BrainExtraction(
        no_gpu=True, model_path=str(folder / "model.pt"), bbox_model_path=str(folder / "bbox_model.pt")
    )
    return torch, networks
