"""Every method by name: ours, those of installed packages, and any class by "module:Class"; found again on disk.

A method of ours is one file or folder with a METHOD (anomae.detectors.method), and one line here.  A package of its own
offers its classes as entry points of the group "anomae.detectors"; it needs no import of ours.  Names are had without
importing a method, and so without torch.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from traceback import extract_tb
from typing import Any

from pydantic import BaseModel, ValidationError

from anomae.detectors.method import Method, Situation
from anomae.detectors.protocol import FittedDetector
from anomae.errors import UserError
from anomae.files import read_json
from anomae.suggestions import nearest_sentence
from anomae.training.settings import DeviceSettings

GROUP = "anomae.detectors"
# Name -> where its METHOD stands; imported only when it is asked for.
_OURS = {
    "anomae": "anomae.detectors.anomae.method",
    "ensemble": "anomae.detectors.ensemble.method",
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
    """Names at once, methods when they are asked for; a name of ours is never another package's."""

    def __getitem__(self, name: str) -> Method:
        if name in _OURS:
            return _ours(name)
        for point in entry_points(group=GROUP):
            if point.name == name:
                return _foreign(_loaded(point), name)
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return name in list(self)  # without importing the method

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
    if not isinstance(name, str):
        raise UserError(f'A detector is asked for by its name, or by "module:Class", not by {name!r}.')
    if ":" not in name:
        refuse_unknown(name)
        return DETECTORS[name]
    module, _, attribute = name.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except Exception as error:  # such as a SyntaxError of its file, or ValueError of a name like ":Class"
        raise _not_imported(name, error) from error
    return _foreign(found, name)


def is_ours(name: str) -> bool:
    """Whether the method of this name is one of this package."""
    return name in _OURS


def refuse_unknown(name: str) -> None:
    """Raises UserError, naming near misses, where there is no method of this name; imports none of ours."""
    if ":" in name:
        method_named(name)
    elif name not in DETECTORS:
        raise UserError(f"There is no detector {name!r}. {nearest_sentence(name, list(DETECTORS))}")


def load_detector(folder: Path, device: DeviceSettings | None = None) -> FittedDetector:
    """The fitted detector in `folder`.  Raises UserError where there is none, or one of an unknown name.

    What was asked for stands in fitted.json: the name of an entry point, "module:Class", or a name of ours, which
    settings.json has too.
    """
    if not (folder / "settings.json").exists():
        raise UserError(f"{folder} holds no fitted detector; run `anomae fit` first, or again to finish it.")
    content = read_json(folder / "settings.json")
    name = str(content.get("detector"))
    if (folder / "fitted.json").exists():
        name = str(read_json(folder / "fitted.json").get("asked", name))
    if ":" not in name and name not in DETECTORS:
        raise UserError(
            f"{folder} holds a detector {name!r} that this version does not know; it knows {', '.join(DETECTORS)}."
        )
    if name in _OURS:
        _refuse_cut(folder, content)
    try:
        with told_of(name, str(content.get("detector"))):
            return method_named(name).detector.load(folder, device)
    except ValidationError as error:
        unknown = ", ".join(".".join(map(str, entry["loc"])) for entry in error.errors())
        raise UserError(
            f"{folder} was fitted with settings that this version does not have or allow ({unknown}); fit anew, or use "
            "the version that fitted it."
        ) from error
    except KeyError as error:
        if name not in _OURS:
            raise
        raise UserError(
            f"{folder} lacks {error} of what this version reads for {name}: a file in it is damaged, or another "
            "version fitted it; copy it again, or fit anew."
        ) from error


def _refuse_cut(folder: Path, content: Mapping[str, Any]) -> None:
    """Raises UserError where settings.json lacks what every method of ours writes; a stranger's is its own business."""
    if "channels" not in content:
        raise UserError(f"{folder} was fitted by an earlier version, whose images had no channels; fit anew.")
    size, channels = content.get("image_size"), content["channels"]
    sides = [channels, *(size if isinstance(size, list) and len(size) == 2 else [None])]
    counted = all(type(side) is int and side > 0 for side in sides)
    if not counted or type(content.get("seed", 0)) is not int or not isinstance(content.get("settings"), dict):
        raise UserError(
            f"{folder / 'settings.json'} is not whole: image_size, channels, seed or settings are not those of a "
            "fitted detector; copy it again, or fit anew."
        )


def _ours(name: str) -> Method:
    method: Method = import_module(_OURS[name]).METHOD
    return method


def _loaded(point: EntryPoint) -> Any:
    try:
        return point.load()
    except Exception as error:
        raise _not_imported(f"{point.name} ({point.value})", error) from error


def _not_imported(name: str, error: Exception) -> UserError:
    if isinstance(error, ImportError | AttributeError | ValueError):
        return UserError(f"The detector {name} cannot be imported ({error}); is its package installed?")
    return UserError(f"The detector {name} cannot be imported ({_said(error)}); --debug shows where.")


@contextmanager
def told_of(name: str, own: str) -> Iterator[None]:
    """Within, an error of a detector that is none of ours is a UserError that names it, and no defect of this program.

    name: as it was asked for.  own: as it calls itself.
    """
    try:
        yield
    except (UserError, MemoryError, ValidationError):  # the last of settings, which are checked where they are read
        raise
    except Exception as error:
        if is_ours(own):
            raise
        raise UserError(f"The detector {name} failed: {_said(error)}; --debug shows where.") from error


def _said(error: Exception) -> str:
    """Of an error: its kind and what it says, on one line, and the line of the file that it comes from."""
    frames = extract_tb(error.__traceback__)
    at = f", {Path(frames[-1].filename).name} line {frames[-1].lineno}" if frames else ""
    here = "" if isinstance(error, SyntaxError) else at  # which says that itself
    return " ".join(f"{type(error).__name__}: {error}".split()) + here


def _foreign(found: Any, name: str) -> Method:
    """A stranger's class as a method: its settings' defaults are its only recipe.  A Method is taken as it is.

    found: what was imported.  Raises UserError where it is no detector, or goes by the name of one of ours.
    """
    if isinstance(found, Method):
        return found
    missing = [attribute for attribute in ATTRIBUTES if not hasattr(found, attribute)]
    if missing:
        raise UserError(f"{name} is no detector: it lacks {', '.join(missing)} (see docs/extending.md).")
    if found.name in _OURS:
        ours = _ours(found.name)
        if found is ours.detector:
            return ours
        raise UserError(f"{name} has the name of another detector, {found.name!r}; give it a name of its own.")

    def recipe(_: Situation) -> BaseModel:
        try:
            return found.settings_type()  # type: ignore[no-any-return]
        except ValidationError as error:
            wanted = ", ".join(".".join(map(str, entry["loc"])) for entry in error.errors())
            raise UserError(
                f"The settings of {name} have no defaults for {wanted}; give every one a default."
            ) from error

    return Method(found, recipe)
