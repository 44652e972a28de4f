"""The ensemble and its settings by recipe: those of its members."""

from dataclasses import asdict

from anomae.detectors.ensemble.detector import Ensemble
from anomae.detectors.ensemble.settings import EnsembleSettings
from anomae.detectors.method import Method, Situation


def ensemble_recipe(situation: Situation) -> EnsembleSettings:
    """`anomae` and `dae`, each with what the recipe gives it alone."""
    return EnsembleSettings(situation=asdict(situation))


METHOD = Method(Ensemble, ensemble_recipe)
