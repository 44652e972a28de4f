"""The method `anomae` and its settings by recipe: what is looked at, which pseudo-lesions, for how long."""

from typing import Any

from anomae.detectors.anomae.detector import Anomae
from anomae.detectors.anomae.settings import AnomaeSettings
from anomae.detectors.dae.method import denoising_recipe
from anomae.detectors.mae_classifier.recipes import OF_PAPER, named_recipe
from anomae.detectors.method import Method, Scale, Situation
from anomae.detectors.patches import coarse_patch, fitting_patch

CANDIDATES = ("luna16", "luna16-patches", "reproduce-small-patches")
BRIGHT_LESIONS = ("flair", "t2")
# Minutes on two cores (`small`), a quarter of an hour (`paper`, recipe `thorough`), seconds to see that it runs.
_SIZES: dict[Scale, dict[str, Any]] = {
    "paper": {"sizes": (128,), "heads": 3, "pool": 16_000, "head": {"training": {"steps": 2000}}},
    "small": {"sizes": (128,), "heads": 3, "pool": 6000, "head": {"training": {"steps": 700}}},
    "tiny": {
        "sources": ("pixels", "mirror"),
        "sizes": (64,),
        "heads": 1,
        "pool": 512,
        "head": {"width": 32, "training": {"steps": 150, "batch": 32}},
    },
}
# Of brains: the pretext figure prefers small batches and long training, but lesions are found as well by several heads
# trained shortly, and seeds differ less; so nine of those for `thorough`, not three trained for long
# (docs/experiments.md).
_BRAINS: dict[Scale, dict[str, Any]] = {
    "paper": {"lesions": {"families": "all"}, "heads": 9, "head": {"training": {"steps": 1500, "batch": 24}}},
    "small": {"lesions": {"families": "all"}, "pool": 7000, "head": {"training": {"steps": 1500, "batch": 24}}},
}
_SCALES: dict[str, Scale] = {"thorough": "paper"}  # where they are not those of `scale_of`
_TRAINING = {"batch": 56, "lr": 2e-3, "warmup_steps": 50}


def anomae_recipe(situation: Situation) -> AnomaeSettings:
    """The settings of a recipe.

    Where no midline lies in the middle of the images, left and right cannot be compared, and the source `mirror` is
    left out.  Where one does, they are brains: the heads learn from every family of pseudo-lesions, and patches are
    compared with healthy ones at their location (elsewhere a location says little of what is there).  On FLAIR and T2
    most lesions are brighter than their surroundings, which textbooks say and no label has to; there nine in ten
    pseudo-lesions that have a sign are brighter, and of brains the brightest spot joins the score (before a skull is
    taken off it is fat).  Raises UserError, naming near misses, where there is no such recipe.
    """
    autoencoder = _autoencoder(situation)
    scale = _SCALES.get(situation.recipe, situation.scale)
    content: dict[str, Any] = {
        "autoencoder": autoencoder,
        "denoiser": denoising_recipe("tiny" if scale == "tiny" else "small"),
        **_SIZES[scale],
        **(_BRAINS.get(scale, {}) if situation.aligned else {}),
    }
    content["head"] = {**content["head"], "training": {**_TRAINING, **content["head"]["training"]}}
    if situation.recipe in CANDIDATES:
        content |= {"lesions": {"kind": "centre"}, "window": (0.0, 1.0), "sizes": (96,)}
    if situation.modality in BRIGHT_LESIONS:
        content["lesions"] = {**content.get("lesions", {}), "brighter": 0.9}
        if situation.aligned:
            content["measure"] = "brightest_spot_9"
    content["by_location"] = situation.aligned
    sources = content.get("sources", ("features", "pixels", "mirror"))
    content["sources"] = tuple(name for name in sources if situation.aligned or name != "mirror")
    return AnomaeSettings.model_validate(content)


def _autoencoder(situation: Situation) -> dict[str, Any]:
    """That of the paper's method at this recipe, its masks complementary, so that every patch is hidden alike.

    Where no patch fits, one that is too coarse, as runs of before have it: only the source `residual` looks at it, and
    refuses it.
    """
    settings = named_recipe(situation.recipe, "paper", situation.image_size).autoencoder
    patch = settings.patch
    if situation.recipe not in OF_PAPER and fitting_patch(situation.image_size) is None:
        patch = coarse_patch(situation.image_size) or patch
    return {**settings.model_dump(), "patch": patch, "masks": "covering"}


METHOD = Method(Anomae, anomae_recipe)
