"""What is done with an exported model's networks: everything that depends on what stands in an image, in numpy.

A runner takes the networks, its part of card.json, and a batch of images (b, c, h, w), or stacks (b, 3, c, h, w);
it gives arrays by name whose first axis is the batch: score, map, reconstruction, and score_<name> for further scores.
A new one is a function and a line in RUNNERS.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.detectors.anomae.measure import joined
from anomae.detectors.member_scale import MemberScale, judged_together
from anomae.detectors.protocol import Findings
from anomae.inference.exported.engines import Network
from anomae.inference.exported.errors import error_scores
from anomae.inference.exported.masked import before_the_chain, inspect_masked

Array = npt.NDArray[Any]
Networks = Mapping[str, Network]
PREFIX = "score_"


def inspect_chain(networks: Networks, runner: Mapping[str, Any], images: Array) -> dict[str, Array]:
    """Networks in a row, each given what it names of the images and of what those before it gave.

    runner["chain"]: name and inputs of each.  runner["outputs"]: what all this is called here -> what gave it.  What
    is drawn by the image itself comes from `before_the_chain`.  runner["errors"]: of which two arrays, in what range of
    SSIM, `error_<name>` are measured.
    """
    known = before_the_chain(networks, runner, images)
    for name, inputs in runner["chain"]:
        known |= networks[name]({entry: known[entry] for entry in inputs})
    if "errors" in runner:
        shown, rebuilt, ssim_range = runner["errors"]
        measured = error_scores(known[shown], known[rebuilt], float(ssim_range))
        known |= {f"error_{name}": column for name, column in measured.items()}
    return {name: known[output] for name, output in runner["outputs"].items()}


def inspect_ensemble(networks: Networks, runner: Mapping[str, Any], images: Array) -> dict[str, Array]:
    """Several exported detectors, each by its own runner, on the scale of healthy images together.

    runner["members"]: name -> its `runner`, its `networks` (as it calls each -> as it is called here), its `scale`, and
    whether it `needs_neighbours`; one that does not is shown the slices of stacks alone.
    """
    slices = images if images.ndim == 4 else np.ascontiguousarray(images[:, 0])
    found, scales = {}, {}
    for name, member in runner["members"].items():
        own = {called: networks[here] for called, here in member["networks"].items()}
        given = images if member["needs_neighbours"] else slices
        found[name] = findings_of(RUNNERS[member["runner"]["kind"]](own, member["runner"], given))
        scales[name] = MemberScale(**member["scale"])
    return _arrays_of(judged_together(found, scales))


def inspect_measured(networks: Networks, runner: Mapping[str, Any], images: Array) -> dict[str, Array]:
    """What runner["runner"] gives of the networks, its score joined by runner["measure"] on runner["scales"]."""
    inside = runner["runner"]
    found = findings_of(RUNNERS[inside["kind"]](networks, inside, images))
    slices = images if images.ndim == 4 else images[:, 0]
    scales = {name: MemberScale(**scale) for name, scale in runner["scales"].items()}
    return _arrays_of(joined(found, slices, runner["measure"], scales))


RUNNERS: dict[str, Callable[[Networks, Mapping[str, Any], Array], dict[str, Array]]] = {
    "chain": inspect_chain,
    "masked": inspect_masked,
    "ensemble": inspect_ensemble,
    "measured": inspect_measured,
}


def _arrays_of(found: Findings) -> dict[str, Array]:
    arrays = {"score": found.scores, "map": found.maps, "reconstruction": found.reconstructions}
    said = {name: array for name, array in arrays.items() if array is not None}
    return {**said, **{f"{PREFIX}{name}": column for name, column in found.other_scores.items()}}


def findings_of(arrays: Mapping[str, Array]) -> Findings:
    """What a runner gave, as findings; its map is changed in place, where it can be."""
    others = {name.removeprefix(PREFIX): column for name, column in arrays.items() if name.startswith(PREFIX)}
    maps, rebuilt = arrays.get("map"), arrays.get("reconstruction")
    return Findings(
        scores=arrays["score"].astype(np.float64),
        maps=None
        if maps is None
        else np.maximum(maps, 0, out=maps if maps.dtype == np.float32 else None, dtype=np.float32),
        reconstructions=None if rebuilt is None else rebuilt.astype(np.float32, copy=False),
        other_scores={name: column.astype(np.float64) for name, column in others.items()},
    )
