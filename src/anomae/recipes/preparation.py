"""How the slices of each cohort are prepared where the user says nothing else."""

from typing import Literal

from anomae.cohorts.registry import cohort_named
from anomae.errors import UserError
from anomae.slices.settings import PrepareSettings

# What the paper did to whole slices of the scans, apart from their size: `anomae reproduce`, if nothing else is asked.
LITERAL = {"preparation": "plain", "intensity": "percentile"}


def preparation_for(cohort: str, content: str = "") -> PrepareSettings:
    """The PrepareSettings of a cohort.

    content: what its option of this name says that the scans show; "": nothing, or it has no such option.  Raises
    UserError, naming near misses, where there is no such cohort.  A content that the cohort does not know has the usual
    settings; opening the cohort refuses it.
    """
    kind = cohort_named(cohort)
    return PrepareSettings.model_validate(dict(kind.preparations.get(content, kind.preparation)))


def reproduction_preparation(cohort: str, preparation: Literal["plain", "brain"]) -> PrepareSettings:
    """The PrepareSettings with which the paper's tables are reproduced on a cohort.

    plain: as the paper has them.  brain: those of the cohort, whole slices of scans prepared as brains.  Raises
    UserError for patches, which are no brains.
    """
    kind = cohort_named(cohort)
    usual = kind.preparation
    if preparation == "plain":
        paper = LITERAL if usual.get("preparation", "plain") != "plain" else usual
        return PrepareSettings.model_validate({"image_size": usual["image_size"], **paper})
    if kind.order == "none":
        raise UserError(f"The patches of {cohort} are no brains; leave --preparation out.")
    mask = {name: usual[name] for name in ("brain_mask",) if name in usual}
    return PrepareSettings.model_validate({"image_size": usual["image_size"], "preparation": "brain", **mask})
