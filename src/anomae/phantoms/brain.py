"""The anatomy of made-up heads: brain, folds, ventricles, skull and scalp as soft shapes, unlike in every patient."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from anomae.phantoms.shapes import Field, Slab, Zyx, ball_mm, soft

Box = tuple[slice, slice, slice]
_EVERYWHERE: Box = (slice(None), slice(None), slice(None))


@dataclass(frozen=True, slots=True)
class Layer:
    """One tissue: its share of each voxel, 0..1, within `box` of the slab; none of it is outside the box."""

    tissue: str
    share: Field
    box: Box = _EVERYWHERE


@dataclass(frozen=True, slots=True)
class Anatomy:
    """A slab of a head without lesions.

    layers: in the order of painting, each over what is there.  brain, body, fluid: [z, y, x] bool.
    depth_mm: [z, y, x], roughly, below the surface of the brain.
    """

    layers: list[Layer]
    brain: npt.NDArray[np.bool_]
    body: npt.NDArray[np.bool_]
    fluid: npt.NDArray[np.bool_]
    depth_mm: Field


@dataclass(frozen=True, slots=True)
class _Frame:
    """The patient's own axes: upward z, backward y, left x in mm from the middle of the head, each [z, y, x]."""

    slab: Slab
    z: Field
    y: Field
    x: Field
    blur_mm: float

    def within(self, lowest: Zyx, highest: Zyx) -> tuple[Box, "_Frame"]:
        """The box of voxels that holds all points between two corners (z, y, x), and the frame cut to it."""
        held = np.ones(self.z.shape, np.bool_)
        for at, low, high in zip((self.z, self.y, self.x), lowest, highest, strict=True):
            held &= (at > low) & (at < high)
        ends = []
        for axis in range(3):
            hit = np.flatnonzero(held.any(tuple(other for other in range(3) if other != axis)))
            ends.append(slice(int(hit[0]), int(hit[-1]) + 1) if len(hit) else slice(0, 0))
        box = (ends[0], ends[1], ends[2])
        return box, _Frame(self.slab, self.z[box], self.y[box], self.x[box], self.blur_mm)


def grow_head(rng: np.random.Generator, slab: Slab, *, skull: bool) -> Anatomy:
    """One patient's anatomy in `slab`; with `skull` False the brain alone."""
    frame = _pose(rng, slab)
    z, y, x, blur = frame.z, frame.y, frame.x, frame.blur_mm
    long, wide, high = (middle * (1 + 0.03 * min(max(rng.normal(), -2.2), 2.2)) for middle in (82, 66, 59))

    # Egg-shaped, narrower in front, one side a little larger, flatter below than above.
    narrow, lopsided = rng.uniform(0.08, 0.16), rng.normal(0, 0.02)
    across = x / (1 + narrow * (y / 90 - (y / 90) ** 2) + lopsided * np.sign(x))
    above = np.where(z > 8, z - 8, (z - 8) * (high / 48))
    cerebrum = ball_mm(above, y, across, (0, 0, 0), (high, long, wide), square=True)
    cerebrum += 1.3 * slab.noise(rng, 30.0).clip(-2.5, 2.5)
    cerebellum = ball_mm(z, y, np.abs(x), (-42, 40, 20), (20, 27, 31))
    stem = np.minimum(10 + 0.06 * (z + 30) - np.hypot(x, 0.8 * (y - 14 - 0.15 * (z + 40))), np.minimum(z + 63, -z))
    hind = np.maximum(cerebellum, stem)
    depth = np.maximum(cerebrum, hind)

    layers: list[Layer] = []
    brain = depth > 0
    body = brain
    if skull:
        outside, body = _wrap(rng, frame, (high, long, wide), above, across, depth)
        layers += outside
    clefts, folds = _folds(rng, frame, cerebrum, hind)
    inside = soft(depth, blur)
    cortex = 2.8 + 0.4 * slab.noise(rng, 25.0) - np.minimum(np.minimum(depth, folds), clefts)
    layers += [Layer("white", inside), Layer("grey", soft(cortex, max(2.2, blur)) * inside), _deep_grey(rng, frame)]
    rim, ventricles = _ventricles(rng, frame)
    # Around the brain lies fluid as well: the more the brain has shrunk, the wider its furrows.
    atrophy = rng.uniform(0.1, 1.2)
    water = np.maximum(soft(0.9 + 0.6 * atrophy - clefts, blur), soft(0.5 * atrophy - folds, 1.5 * blur))
    water = np.maximum(water, soft(0.4 + 1.2 * atrophy - depth, blur)) * inside
    layers += [rim, ventricles, Layer("fluid", water)]
    fluid = water > 0.4
    fluid[ventricles.box] |= ventricles.share > 0.3
    return Anatomy(layers, brain, body, fluid, depth)


def _pose(rng: np.random.Generator, slab: Slab) -> _Frame:
    """Turned by a few degrees, shifted by a few mm: nobody lies quite straight."""
    turn = Rotation.from_euler("zyx", rng.normal(0, 2.5, 3).clip(-5, 5), degrees=True).as_matrix().tolist()
    # The middle of a head is a little below the middle of its brain, from where anatomy is told.
    shift = (rng.normal(0, 1, 3).clip(-1.5, 1.5) - (5, 0, 0)).tolist()
    z, y, x = (at - by for at, by in zip(slab.positions_mm(), shift, strict=True))
    left, back, up = (row[0] * x + row[1] * y + row[2] * z for row in turn)
    return _Frame(slab, up, back, left, max(1.2, 0.4 * sum(slab.grid.spacing_mm[1:])))


def _folds(rng: np.random.Generator, frame: _Frame, cerebrum: Field, hind: Field) -> tuple[Field, Field]:
    """Rough distance in mm to the great fissures, and to the sulci and folia; grows with depth below the surface."""
    z, y, x, slab = frame.z, frame.y, frame.x, frame.slab
    bend = rng.normal(0, 0.8) + 1.2 * slab.noise(rng, (60.0, 40.0, 240.0))
    # The two halves are joined in the middle: there the fissure between them ends.
    joined = np.clip(1.08 - np.sqrt((y / 50) ** 2 + ((z - 4) / 27) ** 2), 0, None)
    between = np.abs(x - bend) + 90 * joined + np.clip(-25 - z, 0, None)
    lateral = np.abs(z + 6 - 0.45 * (y + 8)) * 0.85 + 1.5 * np.abs(slab.noise(rng, 14.0))
    lateral += np.clip(rng.uniform(33, 38) - np.abs(x), 0, None) + 0.8 * np.clip(np.abs(y + 4) - 24, 0, None)
    tent = np.abs(cerebrum - hind) * 0.4 + np.clip(-hind - 3, 0, None)
    clefts = np.minimum(np.minimum(between, lateral), tent)

    # Sulci lie where a smooth noise is 0, as deep below the surface as `reach`.
    reach = 18 + 4 * slab.noise(rng, 20.0)
    sulci = np.abs(slab.noise(rng, (9.0, 6.5, 6.5))) * 5.0 + 0.9 * np.clip(np.maximum(cerebrum, 0) - reach, 0, None)
    folia = np.abs(np.sin(z * 1.15 + 0.035 * y + 1.5 * slab.noise(rng, 15.0))) * 2.0 + 0.9
    return clefts, np.where(hind > cerebrum, np.where(hind < 16, folia, 9), sulci)


def _deep_grey(rng: np.random.Generator, frame: _Frame) -> Layer:
    """Thalamus, putamen and caudate nucleus of both sides."""
    box, near = frame.within((-22, -45, -42), (34, 34, 42))
    z, y, aside = near.z, near.y, np.abs(near.x)
    size = rng.uniform(0.9, 1.1)
    thalamus = ball_mm(z, y, aside, (6, 8, 10), (9 * size, 13 * size, 7 * size))
    putamen = ball_mm(z, y, aside - 0.25 * y, (4, -4, 25), (10 * size, 17 * size, 5.5 * size))
    caudate = ball_mm(z, y, aside + 0.2 * y, (12, -20, 10), (8 * size, 10 * size, 4 * size))
    cores = np.maximum(np.maximum(thalamus, putamen), caudate)
    return Layer("grey", 0.8 * soft(cores, 2.5 + near.blur_mm), box)


def _ventricles(rng: np.random.Generator, frame: _Frame) -> tuple[Layer, Layer]:
    """The rim of tissue around the ventricles; both lateral ventricles with their horns, the third and the fourth."""
    box, near = frame.within((-58, -46, -45), (34, 62, 45))
    z, y, x = near.z, near.y, near.x
    width, unequal, spread = rng.uniform(0.6, 1.7), rng.normal(0, 0.12), rng.uniform(0.85, 1.15)
    front, back = rng.uniform(-38, -33), rng.uniform(40, 52)
    # From the middle of its body each ventricle bends outward and down, in front and behind.
    along = (y + 4) ** 2
    out = spread * (5.5 + np.where(y < -4, 0.0125, 0.0105) * along)
    level = 15 - np.where(y < -4, 0.011, 0.009) * along
    taper = np.sqrt(np.clip(1 - ((y - (front + back) / 2) / ((back - front) / 2)) ** 2, 1e-3, None))
    tall = 6.5 * width**0.5 * taper
    inner = np.minimum(1.0 + 0.9 * width - np.abs(x), ball_mm(z, y, x, (-2, 2, 0), (11, 13, 6)))
    inner = np.maximum(inner, ball_mm(z, y, x, (-40, 26, 0), (9, 5, 4 + 2 * width)))
    for side in (1, -1):
        thick = max(width * (1 + side * unequal), 0.45) * (3.0 + 1.2 * (y > 8)).astype(np.float32) * taper
        reach = np.sqrt(((side * x - out) / thick) ** 2 + ((z - level) / tall) ** 2)
        inner = np.maximum(inner, (1 - reach) * thick)
    rim = rng.uniform(0.2, 0.9) * soft(inner + 2.2, 2.5)
    return Layer("rim", rim, box), Layer("fluid", soft(inner, near.blur_mm), box)


def _wrap(
    rng: np.random.Generator, frame: _Frame, half: Zyx, above: Field, across: Field, depth: Field
) -> tuple[list[Layer], npt.NDArray[np.bool_]]:
    """Scalp, bone with its marrow, the fluid under it, and at the base of the skull muscle, air cells and the eyes.

    half: height, length and width of half the brain, mm; above, across: the brain's own z and x; depth: below its
    surface.
    """
    z, y, x, blur, slab = frame.z, frame.y, frame.x, frame.blur_mm, frame.slab
    high, long, wide = half
    # Below the cerebrum the head goes on, so its lower half is taller.
    longer = np.where(above < 0, above * 0.72, above)
    inner = ball_mm(longer, y, across, (0, 0, 0), (high + 1.5, long + 1.5, wide + 1.5), square=True)
    inner = np.maximum(inner, depth + 1.5)
    bone = inner + rng.uniform(4.0, 6.5) + 0.8 * slab.noise(rng, 35.0)
    skin = np.minimum(bone + rng.uniform(4.0, 7.5) + slab.noise(rng, 35.0), z + 78)
    marrow = np.minimum(0.7 * bone + 0.3 * inner, -0.3 * bone - 0.7 * inner)
    base = soft(-26 - z + 0.15 * y - np.clip(depth, 0, None), 8.0)
    muscle = np.clip(0.75 + 0.25 * slab.noise(rng, 7.0), 0, 1)
    cells = 4 * slab.noise(rng, 8.0) - 3 - 0.3 * np.clip(np.abs(x) - 25, 0, None) - 0.2 * np.clip(y + 20, 0, None)
    eyes = ball_mm(z, y, np.abs(x), (-40, -66, 31), (11.5, 12, 11.5))
    layers = [
        Layer("scalp", 0.9 * soft(skin, blur)),
        Layer("bone", soft(bone, blur)),
        Layer("marrow", 0.8 * soft(marrow, 2 * blur)),
        Layer("fluid", soft(inner, blur)),
        Layer("muscle", base * muscle * soft(bone, blur)),
        Layer("bone", base * soft(cells, 2.0)),
        Layer("scalp", 0.8 * soft(eyes + 5, 4.0) * soft(skin - 3, blur)),
        Layer("eye", soft(eyes, blur)),
    ]
    for layer in layers:
        layer.share[skin <= 0] = 0
    return layers, skin > 0
