"""Every method by name: ours, those of installed packages, and any class by "module:Class"; found again on disk.

A method of ours is one file or folder with a METHOD (anomae.detectors.method), and one line here.  A package of its own
offers its classes as entry points of the group "anomae.detectors"; it needs no import of ours.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from anomae.detectors.method import Method, Situation
from anomae.detectors.protocol import Detector, FittedDetector
from anomae.errors import UserError
from anomae.files import read_json
from anomae.suggestions import nearest_sentence
from anomae.training.settings import DeviceSettings

GROUP = "anomae.detectors"
# Name -> where its METHOD stands; imported only when it is asked for.
_OURS = {
    "anomae": "anomae.detectors.anomae.method",
    "mae-classifier": "anomae.detectors.mae_classifier.method",
    "mae": "anomae.detectors.mae.method",
    "anovaegan": "anomae.detectors.anovaegan.method",
    "fanogan": "anomae.detectors.fanogan.method",
    "rd4ad": "anomae.detectors.rd4ad.method",
    "ast": "anomae.detectors.ast.method",
    "patchcore": "anomae.detectors.patchcore.method",
    "dae": "anomae.detectors.dae.method",
    "draem": "anomae.detectors.draem.method",
    "conv-autoencoder": "anomae.detectors.baselines.conv_autoencoder",
    "pca": "anomae.detectors.baselines.pca",
    "pixel-gaussian": "anomae.detectors.baselines.pixel_gaussian",
    "mean-image": "anomae.detectors.baselines.mean_image",
    "one-line": "anomae.detectors.baselines.one_line",
}
ATTRIBUTES = ("name", "settings_type", "fit", "load")


class _Methods(Mapping[str, Method]):
    """Names at once, methods when they are asked for."""

    def __getitem__(self, name: str) -> Method:
        if name in _OURS:
            method: Method = import_module(_OURS[name]).METHOD
            return method
        for point in entry_points(group=GROUP):
            if point.name == name:
                return _foreign(_loaded(point), name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        yield from _OURS
        yield from sorted({point.name for point in entry_points(group=GROUP)} - _OURS.keys())

    def __len__(self) -> int:
        return len(list(iter(self)))


DETECTORS: Mapping[str, Method] = _Methods()


def method_named(name: str) -> Method:
    """The method of this name, or the class at "module:Class".

    Raises UserError, naming near misses, where there is none; where a module or class is missing, or is no detector.
    """
    if ":" in name:
        module, _, attribute = name.partition(":")
        try:
            found = getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise UserError(f"The detector {name} cannot be imported ({error}); is its package installed?") from error
        return _foreign(found, name)
    if name not in DETECTORS:
        raise UserError(f"There is no detector {name!r}. {nearest_sentence(name, list(DETECTORS))}")
    return DETECTORS[name]


def make_detector(name: str, settings: BaseModel) -> Detector:
    """A detector of this name, not fitted; settings: those that `method_named(name).recipe` gives for it."""
    detector: Detector = method_named(name).detector(settings)
    return detector


def load_detector(folder: Path, device: DeviceSettings | None = None) -> FittedDetector:
    """The fitted detector in `folder`.  Raises UserError where there is none, or one of an unknown name.

    fitted.json says which class it was where that was named as "module:Class"; else settings.json names the detector.
    """
    if not (folder / "settings.json").exists():
        raise UserError(f"{folder} holds no fitted detector; run `anomae fit` first, or again to finish it.")
    name = read_json(folder / "settings.json").get("detector")
    asked = read_json(folder / "fitted.json").get("asked") if (folder / "fitted.json").exists() else None
    if asked is None and name not in DETECTORS:
        raise UserError(
            f"{folder} holds a detector {name!r} that this version does not know; it knows {', '.join(DETECTORS)}."
        )
    try:
        fitted: FittedDetector = method_named(str(asked or name)).detector.load(folder, device)
    except ValidationError as error:
        unknown = ", ".join(".".join(map(str, entry["loc"])) for entry in error.errors())
        raise UserError(
            f"{folder} was fitted with settings that this version does not have or allow ({unknown}); fit anew, or use "
            "the version that fitted it."
        ) from error
    return fitted


def _loaded(point: EntryPoint) -> Any:
    try:
        return point.load()
    except (ImportError, AttributeError) as error:
        raise UserError(f"The detector {point.name} ({point.value}) cannot be imported: {error}.") from error


def _foreign(found: Any, name: str) -> Method:
    """A stranger's class as a method: its settings' defaults are its only recipe.  A Method is taken as it is."""
    if isinstance(found, Method):
        return found
    missing = [attribute for attribute in ATTRIBUTES if not hasattr(found, attribute)]
    if missing:
        raise UserError(f"{name} is no detector: it lacks {', '.join(missing)} (see docs/extending.md).")

    def recipe(_: Situation) -> BaseModel:
        return found.settings_type()  # type: ignore[no-any-return]

    return Method(found, recipe)
