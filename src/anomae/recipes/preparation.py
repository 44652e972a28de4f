"""How the slices of each cohort are prepared where the user says nothing else."""

from typing import Any

from anomae.slices.settings import PrepareSettings

# brats2020: the released run took its pictures unscaled from a copy that was scaled already; the official scans are in
# arbitrary units, so each scan is scaled by a percentile of its body (`--set intensity=none` is the released code).
PREPARATIONS: dict[str, dict[str, Any]] = {
    "brats2020": {"image_size": 224, "intensity": "percentile"},
    "luna16": {"image_size": 64, "intensity": "hu/100"},
    "lgg": {"image_size": 128, "preparation": "brain"},
    "folder": {"image_size": 64, "intensity": "percentile"},
    "arrays": {"image_size": 48, "intensity": "full_range"},
    "phantom": {"image_size": 64, "intensity": "percentile"},
}


def preparation_for(cohort: str) -> PrepareSettings:
    """The PrepareSettings of a cohort; those of `folder` for a cohort without its own."""
    return PrepareSettings.model_validate(PREPARATIONS.get(cohort, PREPARATIONS["folder"]))
