"""How the slices of each cohort are prepared where the user says nothing else."""

from typing import Any, Literal

from anomae.errors import UserError
from anomae.slices.settings import PrepareSettings

# brats2020: the released run took its pictures unscaled from a copy that was scaled already; the official scans are in
# arbitrary units, and skull-stripped, so each scan is scaled by the median of its brain, and that cropped.  What the
# paper had is `--set preparation=plain --set intensity=none`.
PREPARATIONS: dict[str, dict[str, Any]] = {
    "brats2020": {"image_size": 224, "preparation": "brain", "brain_mask": "nonzero"},
    "luna16": {"image_size": 64, "intensity": "hu/100"},
    "lgg": {"image_size": 128, "preparation": "brain"},
    "folder": {"image_size": 64},
    "arrays": {"image_size": 48, "intensity": "full_range"},
    "phantom": {"image_size": 64, "intensity": "percentile"},
}


# What the paper did to whole slices of the scans, apart from their size: `anomae reproduce`, if nothing else is asked.
LITERAL: dict[str, dict[str, Any]] = {
    "brats2020": {"preparation": "plain", "intensity": "percentile"},
    "lgg": {"preparation": "plain", "intensity": "percentile"},
}


def preparation_for(cohort: str) -> PrepareSettings:
    """The PrepareSettings of a cohort; those of `folder` for a cohort without its own."""
    return PrepareSettings.model_validate(PREPARATIONS.get(cohort, PREPARATIONS["folder"]))


def reproduction_preparation(cohort: str, preparation: Literal["plain", "brain"]) -> PrepareSettings:
    """The PrepareSettings with which the paper's tables are reproduced on a cohort.

    plain: as the paper has them.  brain: those of the cohort, whole slices of scans prepared as brains.  Raises
    UserError for patches, which are no brains.
    """
    usual = PREPARATIONS.get(cohort, PREPARATIONS["folder"])
    if preparation == "plain":
        return PrepareSettings.model_validate({"image_size": usual["image_size"], **LITERAL.get(cohort, usual)})
    if cohort in ("luna16", "arrays"):
        raise UserError(f"The patches of {cohort} are no brains; leave --preparation out.")
    mask = {name: usual[name] for name in ("brain_mask",) if name in usual}
    return PrepareSettings.model_validate({"image_size": usual["image_size"], "preparation": "brain", **mask})
