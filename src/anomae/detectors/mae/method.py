"""The masked autoencoder alone, as a method: the paper's recipes without their classifier."""

from anomae.detectors.mae.detector import MaskedAutoencoderDetector
from anomae.detectors.mae_classifier.recipes import named_recipe
from anomae.detectors.method import Method, Situation
from anomae.detectors.settings import MaeSettings


def recipe(situation: Situation) -> MaeSettings:
    """The masked autoencoder of the paper's recipe.  Raises UserError where there is no such recipe or profile."""
    settings = named_recipe(situation.recipe, situation.profile, situation.image_size)
    return MaeSettings(autoencoder=settings.autoencoder, device=settings.device)


METHOD = Method(MaskedAutoencoderDetector, recipe)
