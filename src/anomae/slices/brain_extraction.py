"""The brain of a scan that shows the whole head, found by deepbet's networks (optional package, weights within it).

L. Fisch et al., deepbet: Fast brain extraction of T1-weighted MRI using convolutional neural networks, 2024.
"""

import hashlib
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
_WAY_OUT = "or prepare without it: --set preparation=plain."


def extract_brain(slices: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """The brain (n, h, w) of the axial slices of a head (as anomae.volumes.orientation.axial_view turns them), finite.

    About 5 s of one core and 0.8 GB; the same mask every time: one thread, on the CPU.  Raises MissingExtra where
    deepbet is not installed, UserError where its weights are not those of version 1.0.2, UnreadableScan where no brain
    is found.
    """
    torch, extraction = _load()
    # deepbet takes x to the right, y to the front, z up; a view goes up, to the back, to the left
    head = np.ascontiguousarray(slices.transpose(2, 1, 0)[::-1, ::-1])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        likely = extraction.run_model(head) > LEVEL
        if not likely.any():
            raise UnreadableScan("no brain was found in it; give its mask in a file, or prepare it plain.")
        brain = extraction.postprocess(likely)
    except (AssertionError, ValueError) as error:  # how deepbet says that it found nothing
        raise UnreadableScan("no brain was found in it; give its mask in a file, or prepare it plain.") from error
    finally:
        torch.set_num_threads(threads)
    return np.ascontiguousarray(np.asarray(brain, dtype=np.bool_)[::-1, ::-1].transpose(2, 1, 0))


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
    return torch, deepbet.BrainExtraction(
        no_gpu=True, model_path=str(folder / "model.pt"), bbox_model_path=str(folder / "bbox_model.pt")
    )
