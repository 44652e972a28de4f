"""From `--set` and `--settings` to settings: which belong to the cohort, which to the preparation, which to the fit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
    return options, overridden(preparation_for(cohort), rest, also_known=own)
