"""Which scans a table means that says what patients are, not files: a line stands for every scan of its patient."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from anomae.cohorts.case import Case
from anomae.cohorts.case_table import TableRow
from anomae.cohorts.file_roles import stem_of
from anomae.cohorts.folder_classes import ABNORMAL_NAMES, HEALTHY_NAMES, SPLIT_NAMES
from anomae.cohorts.header_patients import patient_in_headers
from anomae.cohorts.part_folders import parts_files
from anomae.cohorts.patient_names import subjects_in
from anomae.errors import UserError
from anomae.volumes.patient_ids import likeness, plain_name

_PARTED = re.compile(r"[-_. ]")
_CLASSES = {*HEALTHY_NAMES, *ABNORMAL_NAMES, *SPLIT_NAMES}


def rows_of_scans(
    cases: Sequence[Case], patients: Mapping[str, TableRow], source: Path
) -> tuple[dict[Path, TableRow], list[str]]:
    """Scan -> what the table says of its patient, and a sentence on what was found.

    Whom a header names is called by the pseudonym of that PatientID, all scans of the same line too.
    patients: name -> its line.  A scan is a patient's whose name is the PatientID of its header, a BIDS subject
    `sub-XX` of its path (with sub- or without), a folder below `source` that it lies in, or its own name or the
    beginning of that, up to a hyphen, underscore, dot or blank; however it is spelled
    (anomae.volumes.patient_ids.plain_name).
    Raises UserError where a scan could be of several, where a name lies in several folders that may be of several
    people, where two names are one but for their spelling, or where no scan is anyone's.
    """
    plain = _spelled_apart(patients)
    of_header = {likeness(name): name for name in patients}
    whose: dict[Path, str] = {}
    pseudonyms: dict[str, str] = {}
    headers: dict[str, str] = {}  # patient -> what all spellings of the PatientID of its scans share
    above: dict[str, tuple[PurePath, str]] = {}  # patient -> the folders above its name, and the first scan there
    for case in cases:
        below = PurePath(case.source.relative_to(source))
        matches = [(plain[name], folder) for name, folder in _names_in(below) if name in plain]
        header = patient_in_headers(case.source)
        by_header = of_header.get(header.likeness, "")
        names = {name for name, _ in matches} | ({by_header} if by_header else set())
        if len(names) > 1:
            raise UserError(
                f"{case.case} could be of the patients {' and '.join(sorted(names))} of the table; say of its file in "
                "a table what it is."
            )
        if not names:
            continue
        name = whose[case.source] = next(iter(names))
        if header.likeness and headers.setdefault(name, header.likeness) != header.likeness:
            raise UserError(
                f"{case.case} and another scan that the paths give to {name} of the table are of two people by their "
                "PatientID; say of each file in a table what it is."
            )
        if by_header:
            pseudonyms.setdefault(name, header.pseudonym)
        folder = matches[0][1] if not by_header else None
        if folder is not None:
            first, scan = above.setdefault(name, (folder, case.case))
            if first != folder:
                raise UserError(
                    f"{scan} and {case.case} lie in unlike folders, so that {name} of the table may be two people; say "
                    "of each file in a table what it is."
                )
    if not whose:
        raise UserError(
            f"The table has no column file, and none of its {len(patients)} patients, such as "
            f"{next(iter(patients))!r}, is named by a folder, a file or a header below {source}, such as "
            f"{cases[0].case if cases else 'none'}; write them as they are called there, or add a column file."
        )
    rows = {name: replace(row, patient=pseudonyms.get(name, name)) for name, row in patients.items()}
    here = len(set(whose.values()))
    more = f"; {len(patients) - here} more have none" if here < len(patients) else ""
    notes = [f"{here} patient(s) of the table have {len(whose)} scan(s) here, by paths or headers{more}"]
    return {scan: rows[name] for scan, name in whose.items()}, notes


def _spelled_apart(patients: Mapping[str, TableRow]) -> dict[str, str]:
    """Name plainly spelled -> as the table has it.  Raises UserError where two are one then."""
    plain: dict[str, str] = {}
    for name in patients:
        before = plain.setdefault(plain_name(name), name)
        if before != name:
            raise UserError(f"The table has the patients {before!r} and {name!r}, which differ in spelling alone.")
    return plain


def _names_in(below: PurePath) -> Iterator[tuple[str, PurePath | None]]:
    """What a patient may be called by the path of a scan, plainly spelled, the outermost first.

    Beside each the folders above it that may tell people apart; None for a BIDS subject, who is the whole data set's.
    """
    for subject in subjects_in(below):
        yield plain_name(subject), None
        yield plain_name(subject.removeprefix("sub-")), None
    stem = stem_of(Path(below))
    for at, part in enumerate((*below.parts[:-1], stem)):
        telling = [each for each in below.parts[:at] if not parts_files(each) and each.lower() not in _CLASSES]
        folder = PurePath(*telling)
        yield plain_name(part), None if subjects_in(PurePath(part)) else folder
    for mark in _PARTED.finditer(stem):
        start = stem[: mark.start()]
        yield plain_name(start), None if subjects_in(PurePath(start)) else folder
