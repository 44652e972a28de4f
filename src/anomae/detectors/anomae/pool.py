"""The pool of training samples: made once, evidence and targets on disk, continued where making stopped."""

import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from anomae.arrays import GrowingArray, map_array
from anomae.detectors.anomae.evidence import Evidence
from anomae.detectors.anomae.memory import half_of
from anomae.detectors.anomae.samples import Samples, make_samples, patch_targets
from anomae.detectors.anomae.settings import LesionSettings
from anomae.detectors.batch_threads import each_at_once
from anomae.files import append_json_line, read_json_lines
from anomae.progress import progress
from anomae.seeds import derive_seed

CHUNK = 64


@dataclass(frozen=True, slots=True)
class Pool:
    """n samples.  evidence: by size, (n, C, gh, gw) float16, mapped.  targets: by size, (n, gh, gw) uint8.

    family: (n,) int8, the family's index, -1 where the sample is healthy.  strength: (n,) float32 as in `Samples`; None
    where the settings have no curriculum.
    """

    evidence: list[npt.NDArray[Any]]
    targets: list[npt.NDArray[Any]]
    family: npt.NDArray[Any]
    strength: npt.NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.family)


def make_pool(
    folder: Path,
    count: int,
    healthy: Callable[[npt.NDArray[np.int64]], Tensor],
    images: int,
    evidences: list[Evidence],
    settings: LesionSettings,
    seed: int,
) -> Pool:
    """At least `count` samples (whole chunks of 64) in `folder`; chunks made before are kept.

    healthy: indices (k,) -> these images (k, c, h, w) of intensities 0..1, or stacks.  images: how many
    there are.  What a chunk holds depends on the seed and its number alone.  Raises UserError where an array holds less
    than the journal says, or is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    done = len(read_json_lines(folder / "pool.jsonl"))
    chunks = max(-(-count // CHUNK), done)
    arrays: dict[str, GrowingArray] = {}
    device = evidences[0].device
    pixels = CHUNK * max(math.prod(evidence.size) for evidence in evidences)

    def made(chunk: int) -> list[tuple[str, npt.NDArray[Any]]]:
        indices, samples = _chunk(chunk, healthy, images, settings, seed)
        half = torch.from_numpy(half_of(indices, images))
        return _blocks(samples, half, evidences, settings)

    with ExitStack() as opened:  # closes every one, whatever becomes of the others

        def opening(name: str, row_shape: tuple[int, ...], dtype: npt.DTypeLike, rows: int) -> None:
            arrays[name] = GrowingArray(folder / f"{name}.npy", row_shape, dtype, rows)
            opened.callback(arrays[name].close)

        # Of those that were not closed the header says fewer rows; opened, it is put right though no chunk is missing.
        for name in _names(len(evidences), settings) if done else ():
            before = map_array(folder / f"{name}.npy")
            opening(name, before.shape[1:], before.dtype, done * CHUNK)
        with progress("pseudo-lesions", chunks * CHUNK, "samples", done * CHUNK) as bar:
            missing = range(done, chunks)
            for chunk, blocks in zip(missing, each_at_once(made, missing, device, pixels), strict=True):
                for name, block in blocks:
                    if name not in arrays:
                        opening(name, block.shape[1:], block.dtype, 0)
                    arrays[name].append(block)
                append_json_line(folder / "pool.jsonl", {"rows": (chunk + 1) * CHUNK})
                bar.advance(CHUNK)
    return Pool(
        [map_array(folder / f"evidence-{at}.npy") for at in range(len(evidences))],
        [map_array(folder / f"targets-{at}.npy") for at in range(len(evidences))],
        np.array(map_array(folder / "family.npy")),
        np.array(map_array(folder / "strength.npy")) if settings.curriculum else None,
    )


def _names(sizes: int, settings: LesionSettings) -> list[str]:
    """Of the arrays of a pool."""
    by_size = [f"{kind}-{at}" for at in range(sizes) for kind in ("evidence", "targets")]
    return [*by_size, *(["strength"] if settings.curriculum else []), "family"]


def _chunk(
    chunk: int,
    healthy: Callable[[npt.NDArray[np.int64]], Tensor],
    images: int,
    settings: LesionSettings,
    seed: int,
) -> tuple[npt.NDArray[np.int64], Samples]:
    generator = torch.Generator().manual_seed(derive_seed(seed, "pool", chunk))
    indices = torch.randint(images, (CHUNK,), generator=generator).numpy()
    return indices, make_samples(healthy(indices), settings, generator)


def _blocks(
    samples: Samples, half: Tensor, evidences: list[Evidence], settings: LesionSettings
) -> list[tuple[str, npt.NDArray[Any]]]:
    blocks: list[npt.NDArray[Any]] = []
    for evidence in evidences:
        found = evidence.of(samples.images.to(evidence.device), half).clamp(-60000, 60000).half()
        targets = patch_targets(samples.changed, evidence.grid, settings.smallest_share)
        blocks += [found.cpu().numpy(), targets.cpu().numpy().astype(np.uint8)]
    if settings.curriculum:
        blocks.append(samples.strength.numpy().astype(np.float32))
    blocks.append(samples.family.numpy().astype(np.int8))
    return list(zip(_names(len(evidences), settings), blocks, strict=True))
