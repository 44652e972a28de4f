"""The runner of the paper's method: masks drawn as torch's scoring draws them, originals put back, errors measured.

Two networks, or either alone: `reconstruct` predicts hidden patches from visible ones, `classify` judges an image and
its reconstruction.  All indices come from here, so that the networks sort and draw nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.detectors.anomae.by_location import HealthyOdds, areas_of
from anomae.inference.exported.engines import Network
from anomae.inference.exported.errors import error_scores
from anomae.models.transformer.visible_patches import drawn_visible
from anomae.seeds import content_seed

Array = npt.NDArray[Any]


def inspect_masked(networks: Mapping[str, Network], runner: Mapping[str, Any], images: Array) -> dict[str, Array]:
    """Images (b, c, h, w): score, map |X - X^|, reconstruction X^ and its errors; of `classify` alone, the score.

    runner["score"]: the error that is the score where there is no `classify`.
    """
    if "reconstruct" not in networks:
        return {"score": classified(networks, images, images)}
    rebuilt = reconstructed(networks["reconstruct"], runner, images)
    errors = error_scores(images, rebuilt, float(runner["ssim_range"]))
    return {
        "score": classified(networks, images, rebuilt) if "classify" in networks else errors[runner["score"]],
        "map": np.abs(images - rebuilt).mean(axis=1),
        "reconstruction": rebuilt,
        **{f"score_{name}": column for name, column in errors.items()},
    }


def before_the_chain(networks: Mapping[str, Network], runner: Mapping[str, Any], images: Array) -> dict[str, Array]:
    """The images, (b, c, h, w) or stacks of three, and what hides patches of them, drawn as torch's scoring draws it.

    runner["window"]: low and width of the intensities seen as 0..1.  runner["rebuilt"]: how the slice in that window is
    masked and rebuilt, "rebuilt".  runner["hidden"]: how patches of features are hidden, masks (b, passes, gh, gw) of
    each grid, "hidden_0" and so on.  runner["healthy_odds"]: what the odds of each patch are divided by, "factors"
    (b, gh, gw).
    """
    known: dict[str, Array] = {"images": images}
    slices = images if images.ndim == 4 else images[:, 0]
    if "healthy_odds" in runner:
        known["factors"] = HealthyOdds.read(runner["healthy_odds"]).factors(areas_of(slices))
    if "rebuilt" not in runner and "hidden" not in runner:
        return known
    low, width = (_per_channel(runner["window"][name]) for name in ("low", "width"))
    seen = np.ascontiguousarray(np.clip((slices - low) / width, np.float32(0), np.float32(1)))
    if "rebuilt" in runner:
        known["rebuilt"] = reconstructed(networks["reconstruct"], runner["rebuilt"], low + seen * width)
    if "hidden" in runner:
        wanted = runner["hidden"]
        seeds = [content_seed(int(wanted["seed"]), image) for image in seen]
        for at, grid in enumerate(wanted["grids"]):
            known[f"hidden_{at}"] = _hidden(seeds, tuple(grid), int(wanted["passes"]), int(wanted["block"]))
    return known


def _per_channel(values: Sequence[float]) -> Array:
    """(c, 1, 1) float32, or of one value a number that stands for all channels."""
    array: Array = np.array(values, dtype=np.float32)
    return array[:, None, None] if len(values) > 1 else array.reshape(())


def _hidden(seeds: Sequence[int], grid: tuple[int, int], passes: int, block: int) -> Array:
    """(b, passes, gh, gw) float32: 1 where hidden, as anomae.models.transformer.feature_masks draws it."""
    down, across = (-(-side // block) for side in grid)
    turns = [np.random.Generator(np.random.Philox(seed)).permutation(down * across) % passes for seed in seeds]
    squares = np.stack(turns).reshape(-1, 1, down, across) == np.arange(passes)[None, :, None, None]
    patches = squares.repeat(block, axis=2).repeat(block, axis=3)[..., : grid[0], : grid[1]]
    return np.ascontiguousarray(patches, dtype=np.float32)


def classified(networks: Mapping[str, Network], images: Array, rebuilt: Array) -> Array:
    """(b,) float64: the probability of "pseudo-abnormal" of images and what was rebuilt of them, (b, c, h, w) each."""
    from scipy.special import expit

    logits = networks["classify"]({"images": images, "rebuilt": rebuilt})["logit"]
    return np.asarray(expit(logits.astype(np.float64)))


def reconstructed(network: Network, runner: Mapping[str, Any], images: Array) -> Array:
    """(b, c, h, w) float32: the passes averaged, originals put back where they were visible (`runner["paste"]`)."""
    patch, passes, count = int(runner["patch"]), int(runner["passes"]), int(runner["visible"])
    cut = patchify(images, patch)  # (b, N, P*P*C)
    patches = cut.shape[1]
    seeds = [content_seed(int(runner["seed"]), image) for image in images]
    visible = drawn_visible(seeds, patches, count, passes, covering=bool(runner["covering"]))
    flat = visible.reshape(-1, count)  # (b * passes, K)
    spread = np.repeat(cut, passes, axis=0)  # (b * passes, N, P*P*C)
    shown = np.take_along_axis(spread, flat[..., None], axis=1)
    rows = np.arange(len(flat))[:, None]
    # Of each pass the network has K + 2 tokens in a row: the class token, the visible ones, the mask token.
    whole = np.full((len(flat), 1 + patches), count + 1, dtype=np.int64)
    whole[:, 0] = 0
    whole[rows, 1 + flat] = 1 + np.arange(count)
    whole += rows * (count + 2)
    inputs = {"patches": shown, "visible": flat, "whole": whole}
    if runner["paste"]:
        unseen = np.ones((len(flat), patches), dtype=bool)
        unseen[rows, flat] = False
        hidden = np.nonzero(unseen)[1].reshape(len(flat), patches - count)
        inputs["hidden"] = 1 + hidden + rows * (1 + patches)
        predicted = spread  # which holds the originals where they were visible
        predicted[rows, hidden] = network(inputs)["predicted"]
    else:
        predicted = network(inputs)["predicted"]
    averaged = predicted.reshape(len(images), passes, *cut.shape[1:]).mean(axis=1, dtype=np.float32)
    return unpatchify(averaged, images.shape, patch)


def patchify(images: Array, patch: int) -> Array:
    """(b, c, h, w) -> (b, N, P*P*C), as anomae.models.transformer.masked_autoencoder cuts them."""
    batch, channels, height, width = images.shape
    cut = images.reshape(batch, channels, height // patch, patch, width // patch, patch).transpose(0, 2, 4, 3, 5, 1)
    return cut.reshape(batch, -1, patch * patch * channels)


def unpatchify(patches: Array, shape: tuple[int, ...], patch: int) -> Array:
    """The inverse of `patchify`, to images of `shape` (b, c, h, w)."""
    batch, channels, height, width = shape
    laid = patches.reshape(batch, height // patch, width // patch, patch, patch, channels)
    return np.ascontiguousarray(laid.transpose(0, 5, 1, 3, 2, 4).reshape(shape))
