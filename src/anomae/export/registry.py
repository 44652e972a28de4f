"""Which detectors can be exported: a function `traceable` in a file of this room, and one line here."""

from importlib import import_module
from typing import Any

from anomae.errors import UserError
from anomae.export.traceable import Traceable

_EXPORTED = {
    "anomae": "anomae.export.anomae",
    "mae": "anomae.export.mae",
    "mae-classifier": "anomae.export.mae_classifier",
    "rd4ad": "anomae.export.rd4ad",
    "patchcore": "anomae.export.patchcore",
    "ast": "anomae.export.ast",
    "dae": "anomae.export.one_network",
    "draem": "anomae.export.one_network",
    "conv-autoencoder": "anomae.export.one_network",
    "pca": "anomae.export.arrays",
    "pixel-gaussian": "anomae.export.arrays",
    "mean-image": "anomae.export.arrays",
    "anovaegan": "anomae.export.gans",
    "fanogan": "anomae.export.gans",
    "ensemble": "anomae.export.ensemble",
}


def traceable_of(fitted: Any) -> Traceable:
    """The networks of a fitted detector.  Raises UserError where it cannot be exported.

    A detector of another package may have a method `traceable` that gives them.
    """
    if hasattr(fitted, "traceable"):
        own: Traceable = fitted.traceable()
        return own
    if fitted.name not in _EXPORTED:
        raise UserError(
            f"The detector {fitted.name} cannot be exported; these can: {', '.join(_EXPORTED)}. Score with torch."
        )
    made: Traceable = import_module(_EXPORTED[fitted.name]).traceable(fitted)
    return made
