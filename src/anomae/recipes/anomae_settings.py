"""The settings of the detector `anomae` by recipe: what is looked at, which pseudo-lesions, for how long."""

from typing import Any

from anomae.detectors.anomae.settings import AnomaeSettings
from anomae.recipes.baselines import Scale, scale_of
from anomae.recipes.named import named_recipe

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
_TRAINING = {"batch": 56, "lr": 2e-3, "warmup_steps": 50}


def anomae_settings(recipe: str, image_size: tuple[int, int], aligned: bool, modality: str = "") -> AnomaeSettings:
    """The settings for images of (h, w) pixels.

    recipe: a name in anomae.recipes.named.RECIPES.  aligned: the preparation laid the midline of a brain into the
    middle of the image, so that left and right can be compared; else the source `mirror` is left out.  modality: of
    MRI, "" where unknown: on FLAIR and T2 most lesions are brighter than their surroundings, which textbooks say and no
    label has to; there nine in ten pseudo-lesions that have a sign are brighter.
    """
    scale: Scale = {"demo": "small", "thorough": "paper"}.get(recipe, scale_of(recipe))  # type: ignore[assignment]
    content: dict[str, Any] = {"autoencoder": _autoencoder(recipe, image_size), **_SIZES[scale]}
    content["head"] = {**content["head"], "training": {**_TRAINING, **content["head"]["training"]}}
    if recipe in CANDIDATES:
        content |= {"lesions": {"kind": "centre"}, "window": (0.0, 1.0), "sizes": (96,)}
    if modality in BRIGHT_LESIONS:
        content["lesions"] = {**content.get("lesions", {}), "brighter": 0.9}
    sources = content.get("sources", ("features", "pixels", "mirror"))
    content["sources"] = tuple(name for name in sources if aligned or name != "mirror")
    return AnomaeSettings.model_validate(content)


def _autoencoder(recipe: str, image_size: tuple[int, int]) -> dict[str, Any]:
    """That of the paper's method at this recipe, its masks complementary, so that every patch is hidden alike."""
    settings = named_recipe(recipe, "paper", image_size).autoencoder
    return {**settings.model_dump(), "masks": "covering"}
