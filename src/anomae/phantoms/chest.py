"""Made-up chests: body, bones, heart, lungs with their vessels, and nodules in 3-D, as a CT scanner shows them (HU)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import map_coordinates

from anomae.phantoms.shapes import (
    Blob,
    Field,
    Phantom,
    Slab,
    Zyx,
    ball_mm,
    centred_grid,
    cut_slabs,
    paint,
    scatter_blobs,
    soft,
)
from anomae.seeds import generator

CHEST_VIEW_MM: Zyx = (300.0, 370.0, 370.0)
_REACH_MM = 200.0
_LOWEST_HU, _HIGHEST_HU = -1024, 3071
_RADIUS_MM = (2.5, 14.0)
# HU of nodules, from ground glass to solid, and how often each is met.
_NODULES_HU, _NODULE_SHARES = (-620.0, -400.0, 20.0, 45.0), (0.2, 0.15, 0.25, 0.4)


@dataclass(frozen=True, slots=True)
class _Chest:
    """A slab of a chest: upward z, backward y, left x in mm from the middle of the chest, arrays that broadcast.

    body, cage, lung: [z, y, x], rough depth in mm below the skin, below the outside of the ribs, below the surface of
    the lungs; negative outside.
    """

    slab: Slab
    z: Field
    y: Field
    x: Field
    blur_mm: float
    body: Field
    cage: Field
    lung: Field


def make_chest(
    seed: int,
    *,
    shape: tuple[int, int, int] = (48, 128, 128),
    spacing_mm: Zyx | None = None,
    lesions: int = 2,
) -> Phantom:
    """A made-up chest as a CT scan, in HU; everything about the patient depends on `seed` alone.

    shape: (z, y, x).  spacing_mm: (z, y, x); None: such that the whole chest fits.  lesions: how many nodules, from
    faint ground glass to solid, 5 to 28 mm across, anywhere in the lungs; the first ones are the same for every count,
    and without any the rest of the scan is the same to the last voxel.
    Raises ValueError where a nodule is wanted and no lung is in the field of view.
    """
    if spacing_mm is None:
        spacing_mm = (CHEST_VIEW_MM[0] / shape[0], CHEST_VIEW_MM[1] / shape[1], CHEST_VIEW_MM[2] / shape[2])
    grid = centred_grid(shape, spacing_mm)
    image: Field = np.full(shape, -1000, np.float32)
    body, lung, room = (np.zeros(shape, np.bool_) for _ in range(3))
    for slab in cut_slabs(grid, _REACH_MM):
        rows = slab.rows
        chest = _paint_chest(generator(seed, "chest", "anatomy"), image[rows], slab)
        body[rows], lung[rows], room[rows] = chest.body > 0, chest.lung > 0, chest.lung > 3
    lung &= body
    blobs = scatter_blobs(
        lambda i: generator(seed, "chest", "lesion", i), lesions, grid, room if room.any() else lung, _RADIUS_MM, 0.13
    )
    nodules = np.zeros(shape, np.bool_)
    for i, blob in enumerate(blobs):
        own = (blob.level < 1) & lung[blob.box]
        nodules[blob.box] |= own
        _show_nodule(image[blob.box], own, blob, generator(seed, "chest", "look", i))
    scan = generator(seed, "chest", "scan")
    image += scan.uniform(10, 28) * scan.standard_normal(shape, dtype=np.float32)
    return Phantom(
        voxels=np.rint(np.clip(image, _LOWEST_HU, _HIGHEST_HU)).astype(np.int16),
        lesions=nodules,
        body=body,
        centres=np.array([blob.centre for blob in blobs], np.int64).reshape(-1, 3),
        radii_mm=np.array([blob.radius_mm for blob in blobs], np.float64),
        parts=nodules.astype(np.uint8) * np.uint8(2),
        grid=grid,
    )


def _paint_chest(rng: np.random.Generator, image: Field, slab: Slab) -> _Chest:
    """Paint a slab of a chest without nodules into `image`, which holds air."""
    z, y, x = slab.positions_mm()
    size = 1 + 0.04 * min(max(rng.normal(), -2), 2)
    back, left, lean = rng.uniform(-5, 5), rng.uniform(-5, 5), rng.normal(0, 0.02)
    z, y, x = z / size, (y - back) / size, (x - left - lean * z) / size
    fat_mm = rng.uniform(5, 24)
    wide, deep = rng.uniform(118, 136), rng.uniform(80, 100)
    body, cage = _trunk(rng, slab, z, y, x, (deep, wide), fat_mm)
    lung = _lungs(rng, slab, z, y, x, cage)
    chest = _Chest(slab, z, y, x, max(0.8, 0.4 * sum(slab.grid.spacing_mm[1:])), body, cage, lung)

    paint(image, soft(body, chest.blur_mm), 40 - 140 * soft(fat_mm - body, 3.0))
    _paint_soft_tissue(rng, image, chest)
    _paint_bones(rng, image, chest)
    _paint_heart(rng, image, chest)
    paint(image, soft(lung, chest.blur_mm), -860 + 0.6 * y + 22 * slab.noise(rng, 9.0))
    _paint_vessels(rng, image, chest)
    _paint_airways(image, chest)
    _paint_table(image, chest, deep + fat_mm + 17)
    return chest


def _trunk(
    rng: np.random.Generator, slab: Slab, z: Field, y: Field, x: Field, half: tuple[float, float], fat_mm: float
) -> tuple[Field, Field]:
    """Depth in mm below the skin, and below the outside of the rib cage; half: its half depth and width, mm."""
    deep, wide = half
    # The cage tapers towards its top; outside, the shoulders make up for it.
    taper = 1 - 0.42 * np.clip((z + 20) / 170, 0, None) ** 2
    shoulder = 26 * np.clip((z - 30) / 100, 0, 1)
    cage = taper * ball_mm(0 * z, y / (0.35 + 0.65 * taper), x / taper, (0, 0, 0), (95, deep, wide), square=True)
    across = x * (wide + 16 + fat_mm) / (wide + 16 + fat_mm + shoulder)
    body = ball_mm(0 * z, y, across, (0, 2, 0), (95, deep + 11 + fat_mm, wide + 16 + fat_mm), square=True)
    body += 1.5 * slab.noise(rng, 40.0)
    # A groove along the spine.
    return body - 6 * np.exp(-((x / 12) ** 2)) * (y > 0), cage


def _lungs(rng: np.random.Generator, slab: Slab, z: Field, y: Field, x: Field, cage: Field) -> Field:
    """Depth in mm below the surface of the lungs."""
    wall = cage - rng.uniform(12, 15)
    # The heart makes room for itself, more so on the left; the spine behind, and the tops of the lungs come closer.
    heart = np.exp(-(((z + 40) / 55) ** 2)) * np.exp(-(((y + 25) / 45) ** 2)) * (1 + 0.55 * np.sign(x))
    middle = 24 + 26 * heart + 14 * np.clip((y - 20) / 60, 0, 1) - 10 * np.clip((z - 70) / 60, 0, 1)
    # The diaphragm's two domes, the right one higher because of the liver.
    aside = np.abs(x)
    dome = rng.uniform(-76, -64) - 4 * np.sign(x) - 55 * (((aside - 68) / 75) ** 2 + ((y + 8) / 90) ** 2)
    top = 128 - z - 0.006 * (aside - 48) ** 2
    lung = np.minimum(np.minimum(wall, aside - middle), np.minimum(z - dome, top))
    return np.asarray(lung + 1.2 * slab.noise(rng, 22.0))


def _paint_soft_tissue(rng: np.random.Generator, image: Field, chest: _Chest) -> None:
    """Streaks of fat between the muscles outside the cage; organs of the belly inside it."""
    slab, cage = chest.slab, chest.cage
    streaks = soft(0.16 - np.abs(slab.noise(rng, (40.0, 14.0, 14.0))), 0.15)
    paint(image, 0.8 * streaks * soft(chest.body - 10, 4.0) * soft(2 - cage, 4.0), -95.0)
    organs = 45 + 30 * np.tanh(2 * slab.noise(rng, 40.0)) + 8 * slab.noise(rng, 8.0)
    paint(image, soft(cage - 10, 4.0) * soft(-70 - chest.z, 20.0), organs)


def _paint_bones(rng: np.random.Generator, image: Field, chest: _Chest) -> None:
    z, y, x, blur, cage = chest.z, chest.y, chest.x, chest.blur_mm, chest.cage
    aside = np.abs(x)
    # Ribs slope downward to the front, so one slice cuts many of them.
    pitch, slant = rng.uniform(23, 27), rng.uniform(0.42, 0.55)
    beside = _to_nearest(z - slant * y + rng.uniform(0, pitch), pitch)
    rib = np.minimum(np.minimum(5.5 - beside, 4 - np.abs(cage - 5)), 145 - z - 0.3 * aside)
    paint(image, soft(rib, blur), 560.0)
    paint(image, soft(rib - 2, blur + 1), 180.0)
    # Spine: bodies with discs between them; canal, arch, transverse and spinous processes.
    behind = y - 66 + 0.0006 * (z - 10) ** 2
    disc = _to_nearest(z, 26)
    vertebra = 19 - np.hypot(x / 1.15, behind)
    ring = 4 - np.abs(np.hypot(x, behind - 25) - 11)
    spinous = np.minimum(4 - aside, 20 - np.abs(behind - 44)) - 5
    transverse = np.minimum(4.5 - np.abs(behind - 20 + 0.1 * aside), 36 - aside) - 6 * soft(8 - disc, 0.1)
    spine = np.maximum(np.maximum(vertebra, ring), np.maximum(spinous, transverse))
    paint(image, soft(spine, blur) * soft(disc - 2, 3.0), 480.0)
    paint(image, soft(vertebra - 2.5, blur + 1) * soft(disc - 4.5, 2.0), 190.0)
    paint(image, soft(9 - np.hypot(x, behind - 25), blur), 25.0)
    # Breastbone and shoulder blades.
    breastbone = np.minimum(np.minimum(5 - np.abs(cage - 4), 16 - aside), z + 50)
    paint(image, soft(breastbone, blur) * (y < 0), 260.0)
    blade = np.minimum(
        3 - np.abs(np.hypot((aside - 60) / 1.2, y - 20) - 72), np.minimum(z - 20, np.minimum(y - 40, aside - 60))
    )
    paint(image, soft(blade, blur) * soft(chest.body - 8, 2.0), 420.0)


def _paint_heart(rng: np.random.Generator, image: Field, chest: _Chest) -> None:
    """Heart, great vessels and the fat around them, between the lungs."""
    z, y, x, blur = chest.z, chest.y, chest.x, chest.blur_mm
    around = soft(-chest.lung - 2, 3.0) * soft(58 - np.hypot(x / 0.8, y + 5), 10.0) * soft(z + 80, 20.0)
    paint(image, 0.85 * around * soft(np.abs(chest.slab.noise(rng, (25.0, 11.0, 11.0))) - 0.5, 0.5), -80.0)
    stout = rng.uniform(0.9, 1.12)
    heart = ball_mm(z, y, x, (-48, -22, 16), (48 * stout, 42 * stout, 50 * stout)) + 2 * chest.slab.noise(rng, 25.0)
    paint(image, soft(np.minimum(heart, 1 - chest.lung), blur), 48.0)
    left = ball_mm(z, y, x, (-50, -18, 30), (30, 24, 22))
    right = ball_mm(z, y, x, (-45, -30, -8), (30, 22, 22))
    descending = np.minimum(11.5 - np.hypot(x - 22, y - 40), 45 - z)
    ascending = np.minimum(14.5 - np.hypot(x + 10, y + 22), np.minimum(45 - z, z + 25))
    arch = np.minimum(11.5 - np.hypot(x - 6 - 0.25 * (y - 9), np.hypot(y - 9, z - 42) - 31), z - 40)
    cava = np.minimum(9 - np.hypot(x + 26, y + 14), z + 10)
    lung_artery = np.minimum(12 - np.hypot(z - 5, y + 4), 34 - np.abs(x))
    neck = np.minimum(5 - np.hypot(np.abs(x) - 13 - 0.1 * (z - 80), y + 12), z - 72)
    blood: Any = left
    for vessel in (right, descending, ascending, arch, cava, lung_artery, neck):
        blood = np.maximum(blood, vessel)
    # With or without contrast agent.
    paint(image, soft(np.minimum(blood, 2 - chest.lung), blur), rng.uniform(45, 190))


def _paint_vessels(rng: np.random.Generator, image: Field, chest: _Chest) -> None:
    """Vessels that leave the root of each lung, branch and grow thin: where two noises of the direction are both 0."""
    side = 40
    lattices = rng.standard_normal((2, 2, side, side, side), dtype=np.float32)
    inside = np.flatnonzero(chest.lung > 1)
    z, y, x = (np.broadcast_to(at, image.shape).ravel()[inside] for at in (chest.z, chest.y, chest.x))
    along = np.stack([z - 2, y - 4, np.abs(x) - 26])
    away = np.sqrt((along * along).sum(0)) + 1
    # Directions are looked up on a sphere that grows with distance, so that ever more branches appear.
    sphere = 2.6 + 0.045 * away
    at = along / away * sphere + side / 2
    nearest: Any = np.inf
    for tree in lattices:
        # The right lung sees the lattice upside down, so it is no mirror image of the left one.
        noises = [
            np.where(
                x > 0,
                map_coordinates(knots, at, order=1, mode="wrap"),
                map_coordinates(knots[::-1], at, order=1, mode="wrap"),
            )
            for knots in tree
        ]
        nearest = np.minimum(nearest, np.hypot(*noises))
    radius = np.clip(4.6 - 0.04 * away, 0.9, None)
    tube = np.minimum(radius - 1.1 * nearest * away / sphere, chest.lung.ravel()[inside] - 2)
    image.reshape(-1)[inside] += soft(tube, chest.blur_mm) * (35 - image.reshape(-1)[inside])


def _paint_airways(image: Field, chest: _Chest) -> None:
    """Windpipe and the two main bronchi, with their walls."""
    z, y, x, blur = chest.z, chest.y, chest.x, chest.blur_mm
    windpipe = np.minimum(8.5 - np.hypot(x, y - 2), z - 28)
    bronchi = np.minimum(6.5 - np.hypot(y - 4, (z - 28 + 0.75 * np.abs(x)) * 0.8), 38 - np.abs(x))
    tube = np.maximum(windpipe, bronchi)
    paint(image, soft(tube + 2, blur), 40.0)
    paint(image, soft(tube, blur), -1000.0)


def _paint_table(image: Field, chest: _Chest, back_mm: float) -> None:
    """The scanner's table: a thin curved shell below the back, whose y is given."""
    curve = chest.y - back_mm + 0.0009 * chest.x**2
    table = np.minimum(190 - np.abs(chest.x), 8 - np.abs(curve - 8))
    free = soft(-500 - image, 100.0)
    paint(image, free * soft(table, chest.blur_mm), -880.0)
    paint(image, free * soft(np.minimum(table, 1.5 - np.abs(np.abs(curve - 8) - 6.5)), chest.blur_mm), -250.0)


def _show_nodule(image: Field, own: npt.NDArray[np.bool_], blob: Blob, rng: np.random.Generator) -> None:
    """Paint one nodule into the lung of its own box, where `own` is set and nowhere else."""
    density = float(rng.choice(_NODULES_HU, p=_NODULE_SHARES))
    image += own * blob.share(max(0.8, 0.15 * blob.radius_mm)) * np.clip(density - image, 0, None)


def _to_nearest(at: Field, step: float) -> Field:
    """Distance to the nearest multiple of `step`."""
    return np.asarray(np.abs(at - step * np.rint(at / step)))
