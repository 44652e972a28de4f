"""The settings of any detector by its name: the paper's method has its recipes, each other one for every scale."""

from pydantic import BaseModel

from anomae.errors import UserError
from anomae.recipes.anomae_settings import anomae_settings
from anomae.recipes.baselines import BASELINES, baseline_settings, scale_of
from anomae.recipes.named import named_recipe
from anomae.recipes.recipe import Profile
from anomae.suggestions import nearest_sentence

METHOD, ANOMAE = "mae-classifier", "anomae"
# The masked autoencoder alone is made of the method's settings too.
OF_THE_METHOD = (METHOD, "mae")


def settings_for(
    detector: str,
    recipe: str,
    profile: Profile,
    image_size: tuple[int, int],
    aligned: bool = False,
    modality: str = "",
) -> BaseModel:
    """The settings of `detector` for images of (h, w) pixels.

    recipe: of the paper's method; a baseline takes the scale that goes with it (`scale_of`).  aligned: a midline lies
    in the middle of the images.  modality: of the scans, "" where unknown.  Raises UserError, naming near misses, where
    there is no such detector, recipe or profile.
    """
    if detector == ANOMAE:
        named_recipe(recipe, profile, image_size)  # says what is wrong with the name, or with the size
        if profile == "released":
            raise UserError("The profile 'released' is of the paper's method: give it with --detector mae-classifier.")
        return anomae_settings(recipe, image_size, aligned, modality)
    if detector in OF_THE_METHOD:
        return named_recipe(recipe, profile, image_size)
    if detector not in BASELINES:
        raise UserError(
            f"There is no detector {detector!r}. {nearest_sentence(detector, (ANOMAE, *OF_THE_METHOD, *BASELINES))}"
        )
    return baseline_settings(detector, scale_of(recipe))
