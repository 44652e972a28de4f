"""The paper's method, with its recipes in both profiles."""

from anomae.detectors.mae_classifier.detector import PseudoAbnormalClassifier
from anomae.detectors.mae_classifier.recipes import PROFILES, named_recipe
from anomae.detectors.method import Method, Situation
from anomae.detectors.settings import MethodSettings


def recipe(situation: Situation) -> MethodSettings:
    """The paper's recipe of this name.  Raises UserError where there is no such recipe or profile."""
    return named_recipe(situation.recipe, situation.profile, situation.image_size)


METHOD = Method(PseudoAbnormalClassifier, recipe, PROFILES)
