"""What a detector without a network leaves: named arrays, its settings and its seed, and how they are kept on disk."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel

from anomae.files import read_json, write_json
from anomae.training.checkpoint import read_tensors, write_tensors

Arrays = dict[str, npt.NDArray[np.float32]]


def save_arrays(folder: Path, detector: str, seed: int, settings: BaseModel, arrays: Arrays) -> None:
    """Write arrays.safetensors and, last, settings.json."""
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    write_tensors(folder / "arrays.safetensors", tensors)
    write_json(
        folder / "settings.json", {"detector": detector, "seed": seed, "settings": settings.model_dump(mode="json")}
    )


def load_arrays(folder: Path) -> tuple[dict[str, Any], Arrays]:
    """Content of settings.json, and the arrays.  Raises UserError where something is missing or broken."""
    content = read_json(folder / "settings.json")
    tensors, _ = read_tensors(folder / "arrays.safetensors")
    return content, {name: tensor.numpy() for name, tensor in tensors.items()}
