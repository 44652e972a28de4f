"""Trivial baselines: scores that need no learning, computed on the same images, beside which a detector is evaluated.

The direction of each is fixed beforehand and said; an AUROC below one half is shown as it is (its mirror is 1 - x).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anomae.slices.measures import DARK_SPOT, MEASURES, SPOTS
from anomae.statistics.positions import (
    abnormal_share,
    abnormal_share_across,
    abnormal_share_of_group,
    position_rarity,
)
from anomae.statistics.scored import ScoredSlices


@dataclass(frozen=True, slots=True)
class TrivialBaseline:
    """A trivial baseline: its name in sentences, the direction fixed beforehand, and whether it has seen labels."""

    title: str
    direction: str
    uses_labels: bool = False


TRIVIAL_BASELINES = {
    "position_rarity": TrivialBaseline(
        "slice position", "a position in the scan that is rarer among the training normals is more abnormal"
    ),
    "position_centre": TrivialBaseline(
        "nearness to mid-scan", "a slice nearer to the middle of its scan is more abnormal"
    ),
    "position_with_labels": TrivialBaseline(
        "slice position, learned",
        "a position in the scan with more abnormal slices in other labelled patients is more abnormal: it has seen "
        "labels, and shows how much of them position explains",
        uses_labels=True,
    ),
    "not_empty": TrivialBaseline("not being empty", "a slice with any content is more abnormal than an empty one"),
    "body_fraction": TrivialBaseline("tissue area", "more tissue in the slice is more abnormal"),
    "mean": TrivialBaseline("mean intensity", "brighter on average is more abnormal"),
    "maximum": TrivialBaseline("maximum intensity", "a brighter brightest pixel is more abnormal"),
    "spread": TrivialBaseline("spread of intensity", "a larger standard deviation is more abnormal"),
    **{
        f"brightest_spot_{size}": TrivialBaseline(
            f"brightest spot ({size} of 128)",
            f"a brighter brightest square, of {size} pixels a side where the image has 128, is more abnormal",
        )
        for size in SPOTS
    },
    f"darkest_spot_{DARK_SPOT}": TrivialBaseline(
        f"darkest spot ({DARK_SPOT} of 128)",
        f"a darker darkest square in tissue, of {DARK_SPOT} pixels a side where the image has 128, is more abnormal",
    ),
    "centre_contrast": TrivialBaseline(
        "contrast of the centre", "a centre of 8x8 pixels brighter than the median of the image is more abnormal"
    ),
    "file_size": TrivialBaseline("file size", "a larger picture file is more abnormal"),
    "source_with_labels": TrivialBaseline(
        "kind of file, learned",
        "a kind of picture file (format and size in pixels, or as the labels name it) with more abnormal pictures "
        "among other patients is more abnormal: it has seen labels",
        uses_labels=True,
    ),
}


def intensity_baselines(batches: Iterable[npt.NDArray[np.float32]]) -> dict[str, npt.NDArray[np.float64]]:
    """The measures of anomae.slices.measures: (n,) each, of n images given a batch (k, h, w) at a time.

    Only the batch and a number a measure of each image are held.
    """
    found: dict[str, list[npt.NDArray[np.float64]]] = {name: [np.empty(0)] for name in MEASURES}
    for images in batches:
        for name, measure in MEASURES.items():
            found[name].append(measure(images))
    return {name: np.concatenate(splits) for name, splits in found.items()}


def labelled_elsewhere(split: npt.NDArray[np.str_], label: npt.NDArray[np.int8], tested: str) -> npt.NDArray[np.int64]:
    """Rows of those splits other than `tested` that hold both normal and abnormal slices, as far as labelled.

    A split of one class is left out: what is missing in it is missing by design, not by position.
    """
    both = [
        name
        for name in np.unique(split)
        if name not in (tested, "") and (label[split == name] == 0).any() and (label[split == name] == 1).any()
    ]
    return np.flatnonzero(np.isin(split, both) & (label >= 0))


def known_baselines(
    slices: ScoredSlices,
    training_positions: npt.NDArray[np.float64] | None = None,
    depth: int = 50,
    labelled_elsewhere: tuple[npt.NDArray[np.float64], npt.NDArray[np.int8]] | None = None,
) -> dict[str, npt.NDArray[np.float64]]:
    """The baselines that need no pixel, (n,) each: those whose columns are known for every slice.

    training_positions: relative positions of the training normals, NaN where unknown.  depth: slices of a usual scan.
    labelled_elsewhere: relative positions (NaN where unknown) and labels (0, 1) of slices outside the test split, from
    which position is learned; None: from the other test patients, in fifths.
    """
    baselines: dict[str, npt.NDArray[np.float64]] = {}
    relative = slices.relative_position
    if len(slices) and not np.isnan(relative).any():
        if training_positions is not None and np.isfinite(training_positions).any():
            training = training_positions[np.isfinite(training_positions)]
            baselines["position_rarity"] = position_rarity(relative, training, depth)
        baselines["position_centre"] = -np.abs(relative - 0.5)
        if labelled_elsewhere is not None and np.isfinite(labelled_elsewhere[0]).any():
            positions, labels = labelled_elsewhere
            known = np.isfinite(positions)
            baselines["position_with_labels"] = abnormal_share(relative, positions[known], labels[known])
        elif len(np.unique(slices.patient)) >= 5:
            baselines["position_with_labels"] = abnormal_share_across(relative, slices.label, slices.patient)
    if slices.empty.any():
        baselines["not_empty"] = (~slices.empty).astype(np.float64)
    if len(slices) and not np.isnan(slices.body_fraction).any():
        baselines["body_fraction"] = slices.body_fraction
    if "source" in (groups := slices.groups()) and len(np.unique(slices.patient)) >= 5:
        baselines["source_with_labels"] = abnormal_share_of_group(groups["source"], slices.label, slices.patient)
    return baselines
