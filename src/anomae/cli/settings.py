"""From `--set` and `--settings` to settings: which belong to the cohort, which to the preparation, which to the fit."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from anomae.errors import UserError
from anomae.recipes.overrides import layered, overridden, parse_assignments, read_overrides
from anomae.slices.settings import PrepareSettings

if TYPE_CHECKING:
    from anomae.training.settings import DeviceSettings


def collected(assignments: Sequence[str], file: Path | None, as_text: Collection[str] = ()) -> dict[str, Any]:
    """All overrides: the file's, then those of `--set`, which win.  as_text: keys whose value is a text as written."""
    overrides = read_overrides(file) if file is not None else {}
    return layered(overrides, parse_assignments(assignments, as_text))


def device_settings(accelerator: str | None, precision: str | None = None) -> "DeviceSettings | None":
    """From `--device` and `--precision`; None where neither is given.  Raises UserError where one is not known."""
    from anomae.training.settings import DeviceSettings

    given = {"accelerator": accelerator, "precision": precision}
    chosen = {key: value for key, value in given.items() if value is not None}
    for option, key in (("--device", "accelerator"), ("--precision", "precision")):
        known = get_args(DeviceSettings.model_fields[key].annotation)
        if chosen.get(key, known[0]) not in known:
            raise UserError(f"{option} is {chosen[key]!r}; it is {', '.join(known[:-1])} or {known[-1]}.")
    return DeviceSettings.model_validate(chosen) if chosen else None


def cohort_and_preparation(
    cohort: str, assignments: Sequence[str], file: Path | None
) -> tuple[dict[str, Any], PrepareSettings]:
    """Options of the cohort, and how its slices are prepared.

    Raises UserError for unknown keys, naming near misses among both.
    """
    from anomae.cohorts.registry import cohort_options, text_options
    from anomae.recipes.preparation import preparation_for

    overrides, own = collected(assignments, file, text_options(cohort)), cohort_options(cohort)
    options = {key: value for key, value in overrides.items() if key in own}
    rest = {key: value for key, value in overrides.items() if key not in own}
    return options, overridden(preparation_for(cohort, str(options.get("content", ""))), rest, also_known=own)


def series_option(cohort: str, series: str | None) -> dict[str, Any]:
    """`--series` as an option of the cohort; none from None.  Raises UserError where the cohort has no such option."""
    from anomae.cohorts.registry import cohort_options
    from anomae.volumes.series import checked_series

    if series is None:
        return {}
    if "series" not in cohort_options(cohort):
        raise UserError(f"--series is for the cohort folder; {cohort} chooses its scans by itself, so leave it out.")
    return {"series": str(checked_series(series))}


def by_detector(assignments: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Detector -> its overrides, from DETECTOR.key=value, or module:Class.key=value.

    Raises UserError, naming near misses, where there is no such detector.
    """
    from anomae.detectors.registry import refuse_unknown

    found: dict[str, dict[str, Any]] = {}
    for key, value in parse_assignments(assignments).items():
        module, colon, rest = key.rpartition(":")
        name, dot, setting = rest.partition(".")
        detector = module + colon + name
        if not dot:
            raise UserError(f"--set {key!r} names no detector; write DETECTOR.key=value.")
        refuse_unknown(detector)
        found.setdefault(detector, {})[setting] = value
    return found


def listed_seeds(text: str | None) -> list[int]:
    """Seeds from "0,1,2"; none from None.  Raises UserError where one is no whole number."""
    try:
        return [int(part) for part in text.split(",")] if text is not None else []
    except ValueError as error:
        raise UserError(f"--seeds is {text!r}; write whole numbers with commas between them, like 0,1,2.") from error
