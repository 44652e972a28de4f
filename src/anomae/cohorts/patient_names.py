"""Who the patient of each scan is: the file's header before its path, and what is only guessed is said."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any, Literal

from anomae.cohorts.case import Case
from anomae.errors import UnreadableScan, UserError
from anomae.volumes.dicom import list_series
from anomae.volumes.dicom_headers import is_dicom, patient_in_header, pseudonym
from anomae.volumes.series import folder_and_series

Unit = Literal["patient", "file", "cluster", "scan", "image"]
# The first that knows a scan's patient names it.
TABLE, HEADER, BIDS, PATTERN, FOLDER, CLUSTER, UNKNOWN_PATIENT = KINDS = (
    "table",
    "header",
    "bids",
    "pattern",
    "folder",
    "cluster",
    "unknown",
)
# Kinds of the cohorts whose files hold many images, or whose tables name scans: groups in the file tell, or nothing.
GROUPS, IMAGES, SCANS = "groups", "images", "scans"
# What counts as one patient where none is known, the coarsest first.
_UNITS: dict[str, Unit] = {CLUSTER: "cluster", UNKNOWN_PATIENT: "file", SCANS: "scan", IMAGES: "image"}
_SAID = {
    GROUPS: "by the groups in their file",
    TABLE: "by the table",
    HEADER: "by the PatientID of their DICOM header (as a pseudonym)",
    BIDS: "by the BIDS name sub-XX in their path",
    PATTERN: "by patient_pattern",
    FOLDER: "by the folder that they lie in, which is a guess",
    CLUSTER: "by near-duplicates alone: the patients themselves are unknown and leakage cannot be excluded",
}
_LEADING_ZEROS = re.compile(r"(?<!\d)0+(?=\d)")
_SUBJECT = re.compile(r"(?<![0-9a-z])sub-([0-9a-z]+)", re.IGNORECASE)
# Folders of these names part the files of a patient or of a data set; none is a patient.
_NO_PATIENTS = re.compile(
    r"(images?|images(?:tr|ts|val)|imgs?|pictures?|scans?|slices|volumes|data|dicoms?|dcm|nii|nifti|anat|func|dwi|ct|mri?|flair|t1|t1w|t2|"
    r"t2w|axial|ses-.*|session[-_ ]?\d*|png|jpe?g)",
    re.IGNORECASE,
)
# What anonymisers leave behind in every file: it names nobody.
_WORDS = ("anon", "anonym", "anonymous", "anonymized", "anonymised", "unknown", "none", "n/a", "removed", "deleted")
_NOBODY = {pseudonym(form) for word in _WORDS for form in (word, word.upper(), word.capitalize())} | {
    pseudonym("0" * count) for count in range(1, 17)
}


@dataclass(frozen=True, slots=True)
class NamedPatients:
    """Cases with their patients.

    told: case -> which of KINDS named its patient.  alike: how many names were taken as another one, of which they
    differ in case, leading zeros, blanks around them or the writing of accents alone.
    """

    cases: list[Case]
    told: Mapping[str, str]
    alike: int = 0

    def counts(self) -> dict[str, dict[str, int]]:
        """Kind -> how many scans it named the patient of, and how many patients these are."""
        return count_told(self.cases, self.told)


def compiled_pattern(pattern: str) -> re.Pattern[str] | None:
    """The setting patient_pattern, or None.  Raises UserError where it has not one group."""
    try:
        compiled = re.compile(pattern) if pattern else None
    except re.error as error:
        raise UserError(f"patient_pattern {pattern!r} is no regular expression ({error}).") from error
    if compiled and compiled.groups != 1:
        raise UserError(f"patient_pattern {pattern!r} has {compiled.groups} groups; one is needed, around the patient.")
    return compiled


def name_patients(
    cases: Sequence[Case], source: Path, pattern: re.Pattern[str] | None = None, table: Mapping[str, str] | None = None
) -> NamedPatients:
    """`cases` of scans below `source`, each with its patient, in the same order.

    The first that knows decides: `table` (case -> patient); the PatientID of a DICOM header, as a pseudonym; a BIDS
    subject `sub-XX` in the path, whatever the session; `pattern`, with one group; the sub-folder of a class folder, as
    it stands in `case.patient`; else nobody does, and the scan counts as a patient of its own.  A scan without
    header (or line in the table), but with the BIDS subject or the folder of scans that have one, is of their patient.
    Names that differ in case, leading zeros, blanks around them or the writing of accents alone are one patient's.

    Raises UserError where the pattern matches no path, or not that of a scan that nothing else names; where a path
    names two subjects or a folder holds slices of several patients; or where a scan could be of two known patients.
    """
    keys, alike = _spelled_alike([_keys(case, source, pattern, table or {}) for case in cases])
    if pattern and cases and not any(PATTERN in known for known in keys):
        raise UserError(
            f"patient_pattern {pattern.pattern!r} matches none of the {len(cases)} paths below {source}, such as "
            f"{cases[0].case}; it is searched in these, and its one group is the patient."
        )
    told: dict[str, str] = {}
    patient: dict[str, str] = {}
    holders: dict[tuple[str, str], set[str]] = {}  # what is known of a patient -> under which names
    for kind in KINDS:
        own = [(case, known) for case, known in zip(cases, keys, strict=True) if next(iter(known)) == kind]
        for case, known in own:
            if pattern and kind in (FOLDER, UNKNOWN_PATIENT):
                raise UserError(
                    f"patient_pattern {pattern.pattern!r} does not match {case.case}; let it match the path of every "
                    "scan that neither a DICOM header nor a BIDS name sub-XX gives a patient."
                )
            before = holders.get((kind, known[kind]), set())
            if len(before) > 1:
                raise UserError(
                    f"{case.case} could be of {len(before)} patients: other scans of its {kind} name "
                    f"({known[kind] if kind != HEADER else 'PatientID'}) are known to be of several. Say its patient "
                    "in a table, or leave it out."
                )
            told[case.case], patient[case.case] = kind, next(iter(before), known[kind])
        for case, known in own:
            for each in known.items():
                if each[0] in (HEADER, BIDS, PATTERN, FOLDER):
                    holders.setdefault(each, set()).add(patient[case.case])
    return NamedPatients([replace(case, patient=patient[case.case]) for case in cases], told, alike)


def _spelled_alike(keys: list[dict[str, str]]) -> tuple[list[dict[str, str]], int]:
    """What is known of each case, names of patients as they are first spelled; and how many spellings that saves."""
    first: dict[tuple[str, str], str] = {}
    others: set[tuple[str, str]] = set()
    made = []
    for known in keys:
        made.append(dict(known))
        for kind in set(known) & {TABLE, PATTERN, FOLDER}:  # the names of BIDS are exact
            plain = unicodedata.normalize("NFC", known[kind]).strip().casefold()
            made[-1][kind] = first.setdefault((kind, _LEADING_ZEROS.sub("", plain)), known[kind])
            others |= {(kind, known[kind])} if made[-1][kind] != known[kind] else set()
    return made, len(others)


def count_told(cases: Sequence[Case], told: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """Kind -> scans and patients of it, for the kinds that there are."""
    found = {}
    for kind in KINDS:
        patients = [case.patient for case in cases if told[case.case] == kind]
        if patients:
            found[kind] = {"scans": len(patients), "patients": len(set(patients))}
    return found


def told_notes(counts: Mapping[str, Mapping[str, int]], alike: int = 0) -> list[str]:
    """How the patients of a data set were told, a sentence each, without names; counts, alike: see `NamedPatients`."""
    said = [
        f"{counts[kind]['patients']} patient(s) of {counts[kind]['scans']} scan(s) were told {_SAID[kind]}"
        for kind in (GROUPS, *KINDS)
        if kind in counts and kind in _SAID
    ]
    if alike:
        said.append(
            f"{alike} name(s) of patients differ from another in case, leading zeros, blanks or accents alone; each "
            "was taken as the same patient"
        )
    for kind, unit in _UNITS.items():
        unknown = counts.get(kind, {}).get("scans", 0) if kind != CLUSTER else 0
        if unknown:
            of = "" if len(counts) == 1 else f" for {unknown} {unit}(s)"
            said.append(f"patients unknown{of}: each {unit} counted as one; leakage cannot be excluded")
    return said


def unit_of(prepared: Mapping[str, Any]) -> Unit:
    """What a store counts as one patient, by its prepare.json: another word than "patient" where none is known."""
    kinds = set(_told_in(prepared))
    return (
        next((unit for kind, unit in _UNITS.items() if kind in kinds), "patient") if kinds <= {*_UNITS} else "patient"
    )


def doubt_of(prepared: Mapping[str, Any]) -> str:
    """A sentence where it is not known of every scan of a store who its patient is; else empty."""
    if prepared.get("cohort") == "folder" and "patients_told" not in prepared:
        return (
            "An earlier version prepared this store and did not write how it told patients: leakage cannot be "
            "excluded; prepare it anew, into a new folder."
        )
    told = _told_in(prepared)
    counts = {kind: int(told[kind]["scans"]) for kind in _UNITS if kind in told}
    if not counts:
        return ""
    unit = _UNITS[next(iter(counts))]
    files = unit if len(counts) == 1 and unit != "cluster" else "file"
    of = (
        ""
        if set(counts) == set(told)
        else f" for {sum(counts.values())} of {sum(row['scans'] for row in told.values())}"
    )
    of = f"{of} {files}s" if of else ""
    counted = "each cluster of near-duplicates" if unit == "cluster" else f"each {unit}"
    return f"Patients unknown{of}: {counted} counted as one; leakage cannot be excluded."


def _told_in(prepared: Mapping[str, Any]) -> Mapping[str, Mapping[str, int]]:
    """How a store told patients; of LUNA16, which names none, also where an earlier version did not write it."""
    told: Mapping[str, Mapping[str, int]] = prepared.get("patients_told") or {}
    return told or ({SCANS: {"scans": 0, "patients": 0}} if prepared.get("cohort") == "luna16" else {})


def guessed_from_folders(inside: PurePath, is_folder: bool) -> str:
    """The patient that the folders between a class folder and its scan suggest; "" where there is none.

    inside: the path of the scan below its class folder.  is_folder: the scan is a folder itself (a DICOM series).
    """
    parts = inside.parts if is_folder else inside.parts[:-1]
    return next((part for part in parts if not _NO_PATIENTS.fullmatch(part)), "")


def subjects_in(path: PurePath) -> list[str]:
    """The BIDS subjects that a path names, as sub-xx in small letters, the outermost first, each once."""
    found = (f"sub-{match[1].lower()}" for part in path.parts for match in _SUBJECT.finditer(part))
    return list(dict.fromkeys(found))


def patient_of_scan(file: Path, header: str) -> str:
    """The patient of a scan that is no case of a cohort: by its header, else the BIDS subject nearest to its name.

    header: the pseudonym in its header, "" where it has none.  "" where neither tells.
    """
    return _somebody(header) or next(reversed(subjects_in(file)), "")


def _keys(case: Case, source: Path, pattern: re.Pattern[str] | None, table: Mapping[str, str]) -> dict[str, str]:
    """Kind -> what it says, of each kind that says something of this case, the best first; never empty."""
    known = {TABLE: table.get(case.case, ""), HEADER: _in_headers(case.source)}
    below = PurePath(case.source.relative_to(source) if case.source.is_relative_to(source) else case.source.name)
    subjects = subjects_in(below)
    if len(subjects) > 1 and not any(known.values()):
        raise UserError(
            f"{case.case} names {len(subjects)} BIDS subjects ({', '.join(subjects)}); rename it, or say its patient "
            "in a table."
        )
    known[BIDS] = subjects[0] if len(subjects) == 1 else ""
    match = pattern.search(below.as_posix()) if pattern else None
    known[PATTERN] = (match[1] or "") if match else ""
    known[FOLDER] = case.patient if case.patient != case.case else ""
    found = {kind: name for kind, name in known.items() if name}
    return found or {UNKNOWN_PATIENT: case.case}


def _in_headers(scan: Path) -> str:
    """The pseudonym in the DICOM headers of a file or of the files in a folder, pixels not read; "" where none is."""
    folder, number = folder_and_series(scan)
    if number is not None:  # one of several series in a folder
        frames = [*list_series(folder)[0].values()][number - 1 : number]  # none where it is refused when it is read
        return _one_patient(scan, {_somebody(frame.patient) for own in frames for frame in own})
    files = sorted(scan.iterdir()) if scan.is_dir() else [scan]
    found = set()
    for file in files:
        if file.name.startswith(".") or not file.is_file() or not is_dicom(file):
            continue
        try:
            found.add(_somebody(patient_in_header(file)))
        except UnreadableScan:  # it stays a case, and is refused and listed when it is read for good
            continue
    return _one_patient(scan, found)


def _one_patient(scan: Path, found: set[str]) -> str:
    found.discard("")
    if len(found) > 1:
        raise UserError(
            f"{scan} holds DICOM files of {len(found)} patients by their PatientID; part them, a folder a patient."
        )
    return found.pop() if found else ""


def _somebody(header: str) -> str:
    return "" if header in _NOBODY else header
