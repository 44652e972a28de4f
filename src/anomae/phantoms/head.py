"""Made-up heads: a patient's anatomy and lesions in 3-D, seen by an MRI scanner in several modalities."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anomae.phantoms.brain import Layer, grow_head
from anomae.phantoms.shapes import (
    Blob,
    Field,
    Phantom,
    Zyx,
    centred_grid,
    cut_slabs,
    paint,
    scatter_blobs,
    soft,
    spacing_of_view,
    whole,
)
from anomae.seeds import generator
from anomae.volumes.volume import Grid

# What a scan of a head, or of a brain alone, shows, and what the largest of them need of it: (z, y, x).
_HEAD_MM, _BRAIN_MM = ((200.0, 240.0, 240.0), (186.0, 234.0, 220.0)), ((155.0, 240.0, 240.0), (150.0, 200.0, 160.0))
_REACH_MM = 125.0

# Signal of each tissue, in this order; white matter of T1 is 1.
_TISSUES = ("scalp", "bone", "marrow", "muscle", "fluid", "grey", "white", "rim", "eye")
_SIGNALS = {
    "t1": (1.30, 0.10, 0.55, 0.60, 0.24, 0.68, 1.00, 1.00, 0.28),
    "t1ce": (1.30, 0.10, 0.55, 0.75, 0.24, 0.72, 1.00, 1.00, 0.28),
    "t2": (0.80, 0.08, 0.35, 0.32, 1.45, 0.80, 0.55, 0.60, 1.45),
    "flair": (1.30, 0.10, 0.40, 0.45, 0.14, 0.72, 0.56, 0.90, 0.16),
}
# Signal of the parts of a lesion (1 core, 2 swelling, 4 rim, as BraTS counts them) where it shows at full strength.
_LESION_SIGNALS = {
    "t1": {2: 0.66, 4: 0.58, 1: 0.36},
    "t1ce": {2: 0.66, 4: 1.70, 1: 0.36},
    "t2": {2: 1.15, 4: 1.00, 1: 1.40},
    "flair": {2: 1.25, 4: 1.15, 1: 0.75},
}
MODALITIES = tuple(_SIGNALS)
_RADIUS_MM = (3.5, 24.0)
# Larger lesions have a rim and a core, from these levels (0 middle, 1 edge) inward; smaller ones are swelling alone.
_CORED_FROM_MM, _RIM, _CORE = 9.0, 0.62, 0.45


@dataclass(frozen=True, slots=True)
class Head:
    """A made-up patient's head, ready for a scanner: made by `imagine_head`, scanned by `scan_head`.

    tissue: modality -> [z, y, x] float32, the signal without lesions, noise and the scanner's other faults.
    brain, body: [z, y, x] bool.  parts: [z, y, x] uint8, as of Phantom.
    """

    seed: int
    grid: Grid
    tissue: dict[str, Field]
    brain: npt.NDArray[np.bool_]
    body: npt.NDArray[np.bool_]
    blobs: list[Blob]
    parts: npt.NDArray[np.uint8]
    skull: bool


def make_head(
    seed: int,
    *,
    shape: tuple[int, int, int] = (32, 96, 96),
    spacing_mm: Zyx | None = None,
    modality: str = "flair",
    lesions: int = 1,
    skull: bool = True,
) -> Phantom:
    """A made-up head as an MRI scan; everything about the patient depends on `seed` alone.

    shape: (z, y, x).  spacing_mm: (z, y, x); None: such that the whole head fits, with empty slices at both ends.
    modality: "t1", "t1ce", "t2" or "flair"; all of one seed share anatomy and lesions.  lesions: how many; the first
    ones are the same for every count, and without any the rest of the scan is the same to the last voxel.
    skull: False leaves the brain alone on a background of 0, as BraTS has it.
    Raises ValueError for another modality, or where a lesion is wanted and no brain is in the field of view.
    """
    modalities = (modality,)
    head = imagine_head(seed, shape=shape, spacing_mm=spacing_mm, modalities=modalities, lesions=lesions, skull=skull)
    return scan_head(head, modality)


def imagine_head(
    seed: int,
    *,
    shape: tuple[int, int, int] = (32, 96, 96),
    spacing_mm: Zyx | None = None,
    modalities: Sequence[str] = MODALITIES,
    lesions: int = 1,
    skull: bool = True,
) -> Head:
    """A patient to be scanned with `scan_head` in any of `modalities`; arguments and errors as of `make_head`."""
    unknown = [modality for modality in modalities if modality not in _SIGNALS]
    if unknown:
        raise ValueError(f"modality {unknown[0]!r} is none of {', '.join(MODALITIES)}")
    if spacing_mm is None:
        spacing_mm = spacing_of_view(shape, *(_HEAD_MM if skull else _BRAIN_MM))
    grid = centred_grid(shape, spacing_mm)
    tissue: dict[str, Field] = {modality: np.zeros(shape, np.float32) for modality in modalities}
    brain, body, solid, room = (np.zeros(shape, np.bool_) for _ in range(4))
    for slab in cut_slabs(grid, _REACH_MM):
        anatomy = grow_head(generator(seed, "head", "anatomy"), slab, skull=skull)
        rows = slab.rows
        brain[rows], body[rows] = anatomy.brain, anatomy.body
        solid[rows] = anatomy.brain & ~anatomy.fluid
        room[rows] = solid[rows] & (anatomy.depth_mm > 5)
        for modality in modalities:
            _paint_tissue(tissue[modality][rows], anatomy.layers, _signals(seed, modality))
    blobs = scatter_blobs(
        lambda i: generator(seed, "head", "lesion", i), lesions, grid, room if room.any() else solid, _RADIUS_MM, 0.25
    )
    parts = np.zeros(shape, np.uint8)
    for blob in blobs:
        for part, until in ((2, 1.0), (4, _RIM), (1, _CORE)):
            if part == 2 or blob.radius_mm > _CORED_FROM_MM:
                parts[blob.box][(blob.level < until) & solid[blob.box]] = part
    return Head(seed, grid, tissue, brain, body, blobs, parts, skull)


def scan_head(head: Head, modality: str) -> Phantom:
    """What an MRI scanner shows of a head, in one of the modalities that it was imagined with (else KeyError)."""
    rng = generator(head.seed, "head", "scan", modality)
    everything = whole(head.grid, _REACH_MM)
    image = head.tissue[modality] * (1 + 0.025 * everything.noise(rng, 5.0))
    for i, blob in enumerate(head.blobs):
        _show_lesion(image, head, blob, _LESION_SIGNALS[modality], generator(head.seed, "head", "look", i))
    # The coil's uneven sensitivity, then the noise of a magnitude image (Rician), then the scanner's own scale.
    image *= np.exp(rng.uniform(0.03, 0.12) * everything.noise(rng, 120.0))
    noise = rng.uniform(0.010, 0.028)
    real, imaginary = (noise * rng.standard_normal(image.shape, dtype=np.float32) for _ in range(2))
    voxels = np.rint(np.hypot(image + real, imaginary) * rng.uniform(600, 1100)).astype(np.int16)
    if head.skull:
        voxels[~head.body.any((1, 2))] = 0
    else:
        voxels = np.where(head.brain, np.maximum(voxels, 1), 0).astype(np.int16)
    return Phantom(
        voxels=voxels,
        lesions=head.parts > 0,
        body=head.body,
        centres=np.array([blob.centre for blob in head.blobs], np.int64).reshape(-1, 3),
        radii_mm=np.array([blob.radius_mm for blob in head.blobs], np.float64),
        parts=head.parts,
        grid=head.grid,
    )


def _signals(seed: int, modality: str) -> dict[str, float]:
    """Tissue -> signal: no two patients and scanners show quite the same contrast."""
    spread = np.exp(generator(seed, "head", "contrast", modality).normal(0, 0.05, len(_TISSUES)).clip(-0.1, 0.1))
    return dict(zip(_TISSUES, (spread * _SIGNALS[modality]).tolist(), strict=True))


def _paint_tissue(image: Field, layers: list[Layer], signals: dict[str, float]) -> None:
    for layer in layers:
        paint(image[layer.box], layer.share, signals[layer.tissue])


def _show_lesion(image: Field, head: Head, blob: Blob, signals: dict[int, float], rng: np.random.Generator) -> None:
    """Paint one lesion into `image`, inside the lesion mask and nowhere else, anything from faint to plain."""
    strength, mottling = rng.uniform(0.25, 1.0), rng.uniform(0.0, 0.25)
    ramp_mm = max(1.5, 0.12 * blob.radius_mm)
    signal: Field = np.full(blob.level.shape, signals[2], np.float32)
    if blob.radius_mm > _CORED_FROM_MM:
        paint(signal, soft((_RIM - blob.level) * blob.radius_mm, ramp_mm), signals[4])
        paint(signal, soft((_CORE - blob.level) * blob.radius_mm, ramp_mm), signals[1])
    z, y, x = blob.level.shape
    box = whole(Grid((z, y, x), head.grid.spacing_mm), 2 * blob.radius_mm)
    signal *= 1 + mottling * box.noise(rng, max(0.4 * blob.radius_mm, 2.0))
    paint(image[blob.box], strength * blob.share(ramp_mm) * (head.parts[blob.box] > 0), signal)
