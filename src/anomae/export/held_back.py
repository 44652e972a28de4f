"""Slices that no fit saw, on which an exported model is compared with torch, and others for the ranges of int8."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anomae.cohorts.scan_slices import scan_slices
from anomae.errors import UserError
from anomae.inference.fitted import load_preparation
from anomae.phantoms.phantom import make_head
from anomae.runs.run import Run
from anomae.slices.preparing import prepare_case
from anomae.slices.store import Slices, SliceStore
from anomae.volumes.volume import Volume

MOST, PHANTOMS = 128, 4
HEALTHY_SPLIT, LEARNED_SPLIT = "validation", "train"


@dataclass(frozen=True, slots=True)
class HeldBack:
    """images: (n, c, h, w) float32.  neighbours: (n, 2, c, h, w).  source: what they are, for the card."""

    images: npt.NDArray[np.float32]
    neighbours: npt.NDArray[np.float32]
    source: str

    def evenly(self, count: int) -> "HeldBack":
        """At most `count` of them, evenly spaced."""
        chosen = np.unique(np.linspace(0, len(self.images) - 1, count).astype(np.int64))
        return replace(self, images=self.images[chosen], neighbours=self.neighbours[chosen])


def held_back(
    run: Path,
    channels: int,
    image_size: tuple[int, int],
    store: Path | None = None,
    *,
    split: str = HEALTHY_SPLIT,
) -> HeldBack:
    """At most 128 normal slices of one split of the run's store, evenly spaced; else of made-up heads.

    run: a run, or a copy of its fitted folder, which has no store.  Raises UserError where `store` is named and is not
    the run's.
    """
    opened = store_at_hand(run, store)
    if opened is not None:
        rows = opened.learnable(split)
        filled = rows[~opened.index.empty[rows]]
        if len(filled):
            chosen = filled[np.unique(np.linspace(0, len(filled) - 1, MOST).astype(np.int64))]
            slices = opened.select(chosen, among=rows)
            source = f"{len(chosen)} normal slices of the {split} split of the store that the run learned from"
            return HeldBack(slices.read(slice(None)), slices.neighbours(slice(None)), source)
    return _made_up(run, channels, image_size, first=0 if split == HEALTHY_SPLIT else PHANTOMS)


def store_at_hand(run: Path, store: Path | None = None) -> SliceStore | None:
    """The store of a run; None where it is gone, or `run` is a copy of its fitted folder.

    Raises UserError where `store` is named and is not the run's.
    """
    if not (run / "run.json").exists():
        return None
    try:
        return Run(run).open_store(store)
    except UserError:
        if store is not None:
            raise
        return None


def exactly(slices: HeldBack, count: int) -> HeldBack:
    """The first `count` of them; where there are fewer, they come again, a 64th darker each time, until it is enough.

    So no two images of a batch are the same.
    """
    rows = np.arange(count)
    rounds, chosen = rows // len(slices.images), rows % len(slices.images)
    light = (1 - rounds / 64).astype(np.float32)  # (count,)
    images = slices.images[chosen] * light[:, None, None, None]
    neighbours = slices.neighbours[chosen] * light[:, None, None, None, None]
    return replace(slices, images=images, neighbours=neighbours)


def _made_up(run: Path, channels: int, image_size: tuple[int, int], first: int) -> HeldBack:
    """Made-up heads without lesions, prepared as the training images were; of each channel the same.

    first: seed of the first head.
    """
    settings = load_preparation(run).model_copy(update={"image_size": image_size, "neighbours": 0})
    parts, order = [], []
    for seed in range(first, first + PHANTOMS):
        phantom = make_head(seed, lesions=0, skull=settings.preparation != "brain")
        case = scan_slices(Volume(phantom.voxels, phantom.grid, Path("made-up head"), "array"))
        prepared = prepare_case(case, settings.model_copy(update={"brain_mask": "auto", "bias_correction": "none"}))
        keep = ~prepared.empty
        parts.append(np.repeat(prepared.images[keep], channels, axis=1))
        order.append(np.stack([np.full(keep.sum(), seed), case.slices[prepared.kept][keep]]))
    cases, numbers = np.concatenate(order, axis=1)
    slices = Slices(np.concatenate(parts), order=(cases, numbers))
    source = f"{len(slices)} slices of {PHANTOMS} made-up heads, prepared alike, since the run's store is not at hand"
    return HeldBack(slices.read(slice(None)), slices.neighbours(slice(None)), source)
