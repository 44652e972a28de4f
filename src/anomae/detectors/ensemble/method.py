"""The ensemble and its settings by recipe: those of its members."""

from dataclasses import asdict

from anomae.detectors.anomae.method import BRIGHT_LESIONS, CANDIDATES
from anomae.detectors.ensemble.detector import Ensemble
from anomae.detectors.ensemble.settings import EnsembleSettings
from anomae.detectors.method import Method, Situation


def ensemble_recipe(situation: Situation) -> EnsembleSettings:
    """`anomae` and one other, each with what the recipe gives it alone.

    On FLAIR and T2, and of candidates, `dae`, which knows what is too bright; else `rd4ad`, which knows what healthy
    features look like (docs/results.md has both where they were measured).
    """
    too_bright = situation.modality in BRIGHT_LESIONS or situation.recipe in CANDIDATES
    return EnsembleSettings(members=("anomae", "dae" if too_bright else "rd4ad"), situation=asdict(situation))


METHOD = Method(Ensemble, ensemble_recipe)
