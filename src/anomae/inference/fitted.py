"""A fitted detector on disk: its folder in a run or a copy of that, how its images were prepared, and loading it."""

from pathlib import Path
from typing import Any

from anomae.cohorts.case import COLOURS, GREY
from anomae.detectors.protocol import FittedDetector
from anomae.errors import UserError
from anomae.files import read_json
from anomae.inference.exported.detector import load_exported
from anomae.inference.exported.folder import is_exported
from anomae.slices.settings import PrepareSettings, settings_from
from anomae.training.settings import DeviceSettings


def load(run: Path | str, device: DeviceSettings | None = None) -> FittedDetector:
    """The fitted detector of a run, or in a copy of its fitted folder alone.

    device: where it is to compute; None: the best there is.  Raises UserError where nothing fitted is found, or it is
    broken.
    """
    return load_fitted(fitted_folder(Path(run)), device)


def load_fitted(folder: Path, device: DeviceSettings | None = None) -> FittedDetector:
    """The fitted detector in the folder that its `save` wrote, or an exported model.

    Raises UserError where there is none.
    """
    if is_exported(folder):
        return load_exported(folder)
    from anomae.detectors.registry import load_detector  # torch is imported only now

    return load_detector(folder, device)


def load_preparation(run: Path | str) -> PrepareSettings:
    """How the images that a run learned from were prepared; new scans are to be prepared alike.

    Raises UserError where nothing fitted is found.
    """
    return settings_from(prepared_facts(fitted_folder(Path(run)))["settings"])


def fitted_folder(run: Path) -> Path:
    """The fitted folder of a run, or `run` itself where it is one.  Raises UserError where there is none."""
    for folder in (run / "fitted", run):
        if (folder / "fitted.json").exists() and (folder / "prepare.json").exists():
            return folder
    raise UserError(f"{run} holds nothing fitted; run `anomae fit STORE {run}` first, or again to finish it.")


def prepared_facts(fitted: Path) -> dict[str, Any]:
    """What the store that a detector learned from says of itself: prepare.json in the fitted folder."""
    facts: dict[str, Any] = read_json(fitted / "prepare.json")
    return facts


def learned_in_colour(prepared: dict[str, Any]) -> bool:
    """Whether a detector learned from pictures in colour; prepared: see `prepared_facts`.

    Raises UserError where its channels are modalities: those of a new patient are in several files.
    """
    names = tuple(prepared.get("channel_names", GREY))
    if names not in (GREY, COLOURS):
        raise UserError(
            f"This run learned from {len(names)} modalities as channels ({', '.join(names)}), and a new scan is one "
            "file of one modality: prepare new patients as a cohort, and score their store."
        )
    return names == COLOURS


def engine_of(detector: FittedDetector) -> str:
    """What computes its scores: "torch", or the engine of an exported model with version and precision."""
    return str(getattr(detector, "engine", "torch"))
