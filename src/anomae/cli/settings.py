"""From `--set` and `--settings` to settings: which belong to the cohort, which to the preparation, which to the fit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anomae.errors import UserError
from anomae.recipes.overrides import overridden, parse_assignments, read_overrides
from anomae.slices.settings import PrepareSettings


def collected(assignments: Sequence[str], file: Path | None) -> dict[str, Any]:
    """All overrides: the file's, then those of `--set`, which win."""
    overrides = read_overrides(file) if file is not None else {}
    return overrides | parse_assignments(assignments)


def cohort_and_preparation(
    cohort: str, assignments: Sequence[str], file: Path | None
) -> tuple[dict[str, Any], PrepareSettings]:
    """Options of the cohort, and how its slices are prepared.

    Raises UserError for unknown keys, naming near misses among both.
    """
    from anomae.cohorts.registry import cohort_options
    from anomae.recipes.preparation import preparation_for

    overrides, own = collected(assignments, file), cohort_options(cohort)
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
