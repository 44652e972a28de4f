"""A fitted detector on disk: its folder in a run or a copy of that, how its images were prepared, and loading it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from anomae.cohorts.case import COLOURS, GREY
from anomae.detectors.protocol import FittedDetector, engine_of, own_calibration_of
from anomae.errors import UserError
from anomae.files import read_json
from anomae.inference.decision import EXPORT_AGAIN, FIT_AGAIN
from anomae.inference.exported.detector import load_exported
from anomae.inference.exported.folder import CARD, is_exported
from anomae.inference.inspect import Model
from anomae.inference.reference import reference_from
from anomae.runs.healthy_file import read_healthy_scores
from anomae.runs.model_fingerprint import fingerprint
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


def load_model(
    run: Path | str,
    device: DeviceSettings | None = None,
    *,
    load: Callable[[Path, DeviceSettings | None], FittedDetector] | None = None,
) -> Model:
    """The fitted detector of a run, or in a copy of its fitted folder alone, with all that is kept beside it.

    load: reads the detector; None: the registry's.  Raises UserError where nothing fitted is found, or it is broken.
    """
    folder = fitted_folder(Path(run))
    detector = (load or load_fitted)(folder, device)
    return Model(
        detector=detector,
        settings=load_preparation(folder),
        healthy=read_healthy_scores(own_calibration_of(detector) or folder),
        reference=reference_from(folder),
        fingerprint=fingerprint(folder, engine_of(detector)),
    )


def load_preparation(run: Path | str) -> PrepareSettings:
    """How the images that a run learned from were prepared; new scans are to be prepared alike.

    Raises UserError where nothing fitted is found.
    """
    folder = fitted_folder(Path(run))
    settings = prepared_facts(folder).get("settings")
    if not isinstance(settings, dict):
        raise UserError(f"{folder / 'prepare.json'} is not whole: it holds no settings; copy it again.")
    return settings_from(settings)


def fitted_folder(run: Path) -> Path:
    """The fitted folder of a run, or `run` itself where it is one.  Raises UserError where there is none."""
    for folder in (run / "fitted", run):
        if (folder / "fitted.json").exists() and (folder / "prepare.json").exists():
            return folder
    raise UserError(f"{run} holds nothing fitted; run `anomae fit STORE {run}` first, or again to finish it.")


def advice_for_thresholds(fitted: Path) -> str:
    """What brings scores of healthy people to a fitted folder, or an exported model, that keeps none."""
    its_own = is_exported(fitted) and read_json(fitted / CARD).get("precision") != "fp32"
    return EXPORT_AGAIN if its_own else FIT_AGAIN


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
