"""Pictures whose patients are known are not to be parted by what they show."""

from collections.abc import Mapping, Sequence

from anomae.cohorts.case import Case
from anomae.cohorts.patient_names import FOLDER, NAME, UNCLEAR, UNKNOWN_PATIENT
from anomae.cohorts.picture_groups import PICTURES
from anomae.errors import UserError


def refuse_named_pictures(cases: Sequence[Case], told: Mapping[str, str]) -> None:
    """Raise UserError where pictures name their patients: clusters would part those of one.

    told: case -> which of anomae.cohorts.patient_names.KINDS named its patient.
    """
    named = [
        case.case
        for case in cases
        if told[case.case] not in (FOLDER, NAME, UNCLEAR, UNKNOWN_PATIENT) and _is_picture(case)
    ]
    if named:
        raise UserError(
            f"near_duplicates is for pictures whose patients are unknown, but {len(named)} name theirs, such as "
            f"{named[0]}; leave near_duplicates out."
        )


def _is_picture(case: Case) -> bool:
    return case.source.suffix.lower() in PICTURES
