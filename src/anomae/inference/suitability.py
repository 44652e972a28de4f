"""Whether a model was made for a scan."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anomae.cohorts.case import CaseSlices
from anomae.inference.features import Features
from anomae.inference.reference import Geometry, Range, Reference, geometry_of, levels_of, region_of
from anomae.slices.store import grey
from anomae.volumes.sequence_names import sequence_of

# By how many times a scan may be finer or coarser, or its field larger or smaller, than any training scan.
SPACING_FACTOR, FIELD_FACTOR = 2.5, 1.5
SLICE_FACTOR = 6.0  # thick and thin slices of one organ look alike, one by one
LEVEL_MARGIN = 0.5
MOST_TILT = 30.0  # degrees beyond the training scans
# Slices with content below which one lesion may fill half of them, so that their looks are no reason.  Distances of
# single made-up pictures of a uniform set, in units of the farthest healthy one: with lesions 0.8 (soft) to 3.1 (hard
# edges, 7 % of the picture); inverted 3.0 to 3.4; of another organ 3.9 or more (docs/experiments.md).
FEWEST_SLICES = 5
_NO_REASON = (
    "In so few slices a lesion alone can do that, so it is not refused for it; see that it is of the kind that the "
    "model learned from."
)


@dataclass(frozen=True, slots=True)
class Suitability:
    """How far a scan is from those that a model learned from.

    reasons: why the model was not made for it, a sentence each; none where nothing speaks against it.
    distance: of its features from those of the training normals; None where the model keeps none.  percentile: share of
    held-out healthy scans that are nearer, 0..100; None likewise.  doubts: what a lesion may explain as well in a
    picture or in a few slices, and that a scan looks less like the training scans than all that were held out, though
    not so unlike that it is refused; a sentence each; such a scan is judged.  Where there are other reasons it is not,
    and there are no doubts: what would be one is a reason too.
    """

    reasons: tuple[str, ...] = ()
    distance: float | None = None
    percentile: float | None = None
    doubts: tuple[str, ...] = ()

    @property
    def suited(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reasons


def suitability_of(case: CaseSlices, images: npt.NDArray[np.float32], reference: Reference | None) -> Suitability:
    """Compare a scan with the training scans.

    case: as read.  images: (k, c, H, W) of its slices with content, prepared.  reference: None where the model keeps
    nothing to compare with; nothing then speaks against any scan.
    """
    if reference is None:
        return Suitability()
    reasons = _by_name("modality", case.modality, reference.modalities)
    reasons += _by_name("body part", region_of(case.body_part), reference.regions)
    if case.sequence:
        reasons += _by_name("kind of scan, by its series description,", case.sequence, reference.sequences)
    elif case.source is not None:
        named = sequence_of(case.source.name)
        reasons += _by_name("kind of scan, by its file name,", named, reference.sequences)
    if case.grid is not None and reference.pixel_mm is not None:
        reasons += _by_geometry(geometry_of(case.grid), reference)
    pictures = grey(images)
    few = len(pictures) < FEWEST_SLICES
    looks = _by_levels(levels_of(pictures), reference.levels) if len(pictures) else []
    features = reference.features
    distance = None if features is None else features.distance(pictures)
    if features is not None and features.limit is not None and distance is not None and distance > features.limit:
        # Of pictures without the number, which tables and pages have: for many of them it is then said once.
        how_far = f"more than {features.limit:.3g}" if few else f"{distance:.3g}"
        looks.append(
            f"It looks unlike the training scans: its features lie {how_far} from them, and those of "
            f"{len(features.held_out)} healthy scans that were held out at most {features.held_out[-1]:.3g}."
        )
    doubted = few and not reasons
    doubts = [f"{look} {_NO_REASON}" for look in looks] if doubted else []
    if features is not None and distance is not None and not (reasons or looks or few):
        doubts += _at_the_border(features, distance)
    return Suitability(
        reasons=() if doubted else (*reasons, *looks),
        distance=distance,
        percentile=None if features is None or distance is None else features.percentile(distance),
        doubts=tuple(doubts),
    )


def _at_the_border(features: Features, distance: float) -> list[str]:
    """Between the farthest healthy scan that was held out and what is refused."""
    if features.limit is None or not features.held_out[-1] < distance <= features.limit:
        return []
    return [
        f"It looks less like the training scans than all {len(features.held_out)} healthy scans that were held out: "
        f"its features lie more than {features.held_out[-1]:.3g} from them. It is not refused before "
        f"{features.limit:.3g}; see that it is of the kind that the model learned from."
    ]


def _by_name(what: str, name: str, known: tuple[str, ...]) -> list[str]:
    if not name or not known or name in known:
        return []
    return [f"Its {what} is {name}, and the model learned from {', '.join(known)}."]


def _by_geometry(own: Geometry, reference: Reference) -> list[str]:
    found = []
    if own.plane in ("sagittal", "coronal") and own.plane not in reference.planes:
        known = " and ".join(plane for plane in reference.planes if plane) or "about as fine every way"
        found.append(f"Its slices are {own.plane}, and the training scans are {known}.")
    if reference.tilt is not None and own.tilt > reference.tilt + MOST_TILT:
        found.append(
            f"Its slices are tilted by {own.tilt:.0f} degrees, and those of the training scans by at most "
            f"{reference.tilt:.0f}."
        )
    found += _by_range("pixels are", "mm wide", own.pixel_mm, reference.pixel_mm, SPACING_FACTOR)
    found += _by_range("slices are", "mm apart", own.slice_mm, reference.slice_mm, SLICE_FACTOR)
    found += _by_range("slices are", "mm long and wide", own.field_mm, reference.field_mm, FIELD_FACTOR)
    return found


def _by_range(what: str, unit: str, value: float, known: Range | None, factor: float) -> list[str]:
    if known is None or known[0] / factor <= value <= known[1] * factor:
        return []
    low, high = known
    between = f"{low:.3g}" if f"{low:.3g}" == f"{high:.3g}" else f"{low:.3g} to {high:.3g}"
    return [f"Its {what} {value:.3g} {unit}, and those of the training scans {between}."]


def _by_levels(own: tuple[float, ...], known: tuple[Range, ...]) -> list[str]:
    """Farther outside than half of what all training scans span together."""
    if not known:
        return []
    margin = LEVEL_MARGIN * (known[-1][1] - known[0][0])
    for level, value, (low, high) in zip(("darkest", "middle", "brightest"), own, known, strict=True):
        if not low - margin <= value <= high + margin:
            return [
                f"Its {level} tissue has a prepared intensity of {value:.3g}, and that of the training scans "
                f"{low:.3g} to {high:.3g}."
            ]
    return []
