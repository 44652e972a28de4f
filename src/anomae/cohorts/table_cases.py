"""Cases as a table says they are: what it names is set, what it does not name stays as it was guessed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from anomae.cohorts.case import ABNORMAL, HEALTHY, UNKNOWN, Case
from anomae.cohorts.case_table import NO_MASK, TableRow
from anomae.cohorts.picture_groups import PICTURES
from anomae.errors import UserError

_NAMED = 3  # scans of a folder in an error


def by_scan(cases: Sequence[Case], said: Mapping[Path, TableRow], source: Path) -> dict[Path, TableRow]:
    """What the table says, by the scans of `cases`: a folder that it names stands for the only scan in it.

    Raises UserError where it names what is no scan, a folder of several, or a scan and its folder.
    """
    masks, known = _masks_of(said), {case.source for case in cases}
    inside: dict[Path, list[Path]] = {}
    for scan in sorted(known - masks):
        for folder in scan.parents:
            inside.setdefault(folder, []).append(scan)
    found: dict[Path, TableRow] = {}
    for file, row in said.items():
        below = [file] if file in known else inside.get(file, [])
        name = file.relative_to(source)
        if not below:
            classes = any(case.called != UNKNOWN for case in cases)
            what = "which is no scan in a folder of a class" if classes else "which is no scan, and holds none"
            raise UserError(f"The table names {name}, {what}; name scans, and their masks in the column mask.")
        if len(below) > 1:
            several = ", ".join(str(scan.relative_to(source)) for scan in below[:_NAMED])
            more = ", ..." if len(below) > _NAMED else ""
            raise UserError(f"The table names {name}, which holds {len(below)} scans: {several}{more}; name one.")
        if below[0] in found:
            raise UserError(f"The table names {below[0].relative_to(source)} and its folder; keep one line of a scan.")
        found[below[0]] = row
    return found


def with_table(cases: Sequence[Case], said: Mapping[Path, TableRow]) -> list[Case]:
    """`cases` with what the table says of them (`by_scan`).  A file that it gives as a mask is a case no longer."""
    masks = _masks_of(said)
    return [_told(case, said.get(case.source)) for case in cases if case.source not in masks or case.source in said]


def _masks_of(said: Mapping[Path, TableRow]) -> set[Path]:
    return {row.mask for row in said.values() if isinstance(row.mask, Path)}


def contradicted(guessed: Sequence[Case], told: Sequence[Case]) -> list[str]:
    """A sentence where a table calls scans healthy that lie in an abnormal folder, or the reverse; [] elsewhere.

    guessed: cases by their folders; told: those of them that `with_table` made.
    """
    before = {case.source: case.called for case in guessed}
    count = sum({before[case.source], case.called} == {HEALTHY, ABNORMAL} for case in told)
    return [f"the table calls {count} scan(s) otherwise than their folders do; the table was believed"] if count else []


def _told(case: Case, row: TableRow | None) -> Case:
    if row is None:
        return case
    lesions, label = case.lesion_files, case.called if row.label is None else row.label
    if row.mask is not None:
        lesions = () if row.mask == NO_MASK else (Path(row.mask),)
    elif row.label == HEALTHY:
        lesions = ()  # a mask that was only guessed counts for nothing against the table
    whole = not lesions or case.source.suffix.lower() in PICTURES
    return replace(
        case,
        patient=row.patient or case.patient,
        lesion=lesions[0] if lesions else None,
        more_lesions=lesions[1:],
        by_subject=case.by_subject and row.mask is None,
        split=row.split or case.split,
        label=case.label if row.label is None and row.mask is None else label if whole else UNKNOWN,
        site=row.site or case.site,
        called=label,
    )
