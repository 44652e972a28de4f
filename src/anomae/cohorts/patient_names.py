"""Who the patient of each scan is: the file's header before its path, and what is only guessed is said."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, Literal

from anomae.cohorts.case import Case
from anomae.cohorts.file_roles import stem_of
from anomae.cohorts.header_patients import named_somebody, patient_in_headers
from anomae.cohorts.part_folders import NO_FOLDERS, PartFolders, is_visit, parts_files
from anomae.cohorts.same_names import NamedScan, SharedName, names_shared
from anomae.errors import UserError
from anomae.volumes.patient_ids import plain_name

Unit = Literal["patient", "file", "cluster", "scan", "image"]
# The first that knows a scan's patient names it.
TABLE, HEADER, BIDS, PATTERN, FOLDER, NAME, UNCLEAR, CLUSTER, UNKNOWN_PATIENT = KINDS = (
    "table",
    "header",
    "bids",
    "pattern",
    "folder",
    "name",
    "unclear",
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
    NAME: "by names that differ in the sequence or the channel alone (NAME_t1, NAME_0001), or lie in several folders "
    "of visits, planes, views or sequences, which is a guess",
    UNCLEAR: "by folders and names of which it is unclear which are the patients, as the same names lie in several "
    "folders: leakage cannot be excluded; patient_pattern or a table says who is who",
    CLUSTER: "by near-duplicates alone: the patients themselves are unknown and leakage cannot be excluded",
}
_SUBJECT = re.compile(r"(?<![0-9a-z])sub-([0-9a-z]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class NamedPatients:
    """Cases with their patients.

    told: case -> which of KINDS named its patient.  alike: how many names were taken as another one, which they are
    but for their spelling (anomae.volumes.patient_ids.plain_name).  alike_cases: two cases of which that is so.
    """

    cases: list[Case]
    told: Mapping[str, str]
    alike: int = 0
    alike_cases: tuple[str, ...] = ()

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
    cases: Sequence[Case],
    source: Path,
    pattern: re.Pattern[str] | None = None,
    table: Mapping[str, str] | None = None,
    folders: PartFolders = NO_FOLDERS,
    classes: Sequence[Path] = (),
) -> NamedPatients:
    """`cases` of scans below `source`, each with its patient, in the same order.

    The first that knows decides: `table` (case -> patient); the PatientID of a DICOM header, as a pseudonym; a BIDS
    subject `sub-XX` in the path, whatever the session; `pattern`, with one group; the sub-folder of a class folder, as
    it stands in `case.patient`; a name that scans share but for their sequence (anomae.cohorts.same_names); else
    nobody does, and the scan counts as a patient of its own.  A scan without header (or line in the table), but with
    the BIDS subject, the folder or the shared name of scans that have one, is of their patient.
    Names, and PatientIDs, that differ in spelling alone are one patient's (anomae.volumes.patient_ids.plain_name).
    folders: those that are no patients by what they hold, and those of which that is unclear: who is told by these, or
    below them by a name, is told by UNCLEAR.  classes: the class folders, in which a name is one patient's where they
    hold visits; elsewhere a name told by folders that several of them hold is told by UNCLEAR.

    Raises UserError where the pattern matches no path, or not that of a scan that nothing else names; where a path
    names two subjects or a folder holds slices of several patients; or where a scan could be of two known patients.
    """
    shared = _shared(cases, source, classes, folders)
    known_of = [
        _keys(case, _below(case, source), name, pattern, table or {})
        for case, (name, _) in zip(cases, shared, strict=True)
    ]
    keys, alike = _spelled_alike(cases, known_of)
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
            if pattern and kind in (FOLDER, NAME, UNKNOWN_PATIENT):
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
                if each[0] in (HEADER, BIDS, PATTERN, FOLDER, NAME):
                    holders.setdefault(each, set()).add(patient[case.case])
    for case, (_, unclear) in zip(cases, shared, strict=True):
        there = folders.unclear & {*_below(case, source).as_posix().casefold().split("/")}
        if (told[case.case] in (FOLDER, NAME) and there) or (told[case.case] == NAME and unclear):
            told[case.case] = UNCLEAR
    named = [replace(case, patient=patient[case.case]) for case in cases]
    return NamedPatients(named, told, len(alike), next(iter(alike.values()), ()))


def _spelled_alike(
    cases: Sequence[Case], keys: list[tuple[dict[str, str], str]]
) -> tuple[list[dict[str, str]], dict[tuple[str, str], tuple[str, str]]]:
    """What is known of each case, names of patients as they are first spelled.

    keys: what is known, and of the name in a header what all its spellings share.  Also returned: each other spelling
    -> the case that has the first one, and the first that has this one.
    """
    first: dict[tuple[str, str], tuple[str, str]] = {}
    others: dict[tuple[str, str], tuple[str, str]] = {}
    made = []
    for case, (known, likeness) in zip(cases, keys, strict=True):
        made.append(dict(known))
        for kind in set(known) & {TABLE, HEADER, BIDS, PATTERN, FOLDER}:
            plain = likeness if kind == HEADER else plain_name(known[kind])
            name, before = first.setdefault((kind, plain), (known[kind], case.case))
            made[-1][kind] = name
            if name != known[kind]:
                others.setdefault((kind, known[kind]), (before, case.case))
    return made, others


def count_told(cases: Sequence[Case], told: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """Kind -> scans and patients of it, for the kinds that there are."""
    found = {}
    for kind in KINDS:
        patients = [case.patient for case in cases if told[case.case] == kind]
        if patients:
            found[kind] = {"scans": len(patients), "patients": len(set(patients))}
    return found


def told_notes(counts: Mapping[str, Mapping[str, int]], alike: int = 0, alike_cases: Sequence[str] = ()) -> list[str]:
    """How the patients of a data set were told, a sentence each, without names.

    counts, alike, alike_cases: see `NamedPatients`.
    """
    said = [
        f"{counts[kind]['patients']} patient(s) of {counts[kind]['scans']} scan(s) were told {_SAID[kind]}"
        for kind in (GROUPS, *KINDS)
        if kind in counts and kind in _SAID
    ]
    if alike:
        such = f", such as those of {' and '.join(alike_cases)}" if alike_cases else ""
        said.append(
            f"{alike} name(s) of patients differ from another in case, leading zeros, blanks, hyphens or accents "
            f"alone; each was taken as the same patient{such}"
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
    unclear = (
        f"It is unclear which folders or names are the patients of {told[UNCLEAR]['scans']} scans: leakage cannot be "
        "excluded."
        if UNCLEAR in told
        else ""
    )
    if not counts:
        return unclear
    unit = _UNITS[next(iter(counts))]
    files = unit if len(counts) == 1 and unit != "cluster" else "file"
    of = (
        ""
        if set(counts) == set(told)
        else f" for {sum(counts.values())} of {sum(row['scans'] for row in told.values())}"
    )
    of = f"{of} {files}s" if of else ""
    counted = "each cluster of near-duplicates" if unit == "cluster" else f"each {unit}"
    unknown = f"Patients unknown{of}: {counted} counted as one; leakage cannot be excluded."
    return f"{unknown} {unclear}".rstrip()


def _told_in(prepared: Mapping[str, Any]) -> Mapping[str, Mapping[str, int]]:
    """How a store told patients; of LUNA16, which names none, also where an earlier version did not write it."""
    told: Mapping[str, Mapping[str, int]] = prepared.get("patients_told") or {}
    return told or ({SCANS: {"scans": 0, "patients": 0}} if prepared.get("cohort") == "luna16" else {})


def subjects_in(path: PurePath) -> list[str]:
    """The BIDS subjects that a path names, as sub-xx in small letters, the outermost first, each once."""
    found = (f"sub-{match[1].lower()}" for part in path.parts for match in _SUBJECT.finditer(part))
    return list(dict.fromkeys(found))


def patient_of_scan(file: Path, header: str) -> str:
    """The patient of a scan that is no case of a cohort: by its header, else the BIDS subject nearest to its name.

    header: the pseudonym in its header, "" where it has none.  "" where neither tells.
    """
    return named_somebody(header) or next(reversed(subjects_in(file)), "")


def _shared(cases: Sequence[Case], source: Path, classes: Sequence[Path], folders: PartFolders) -> list[SharedName]:
    scans = []
    for case in cases:
        root = next((each for each in classes if case.source.is_relative_to(each)), source)
        above = PurePosixPath(root.relative_to(source))
        scans.append(NamedScan(above, PurePosixPath(_below(case, root).parent), stem_of(case.source)))
    return names_shared(
        scans,
        lambda part: parts_files(part) or part.casefold() in folders.parts,
        lambda part: is_visit(part) or part.casefold() in folders.visits,
    )


def _below(case: Case, source: Path) -> PurePath:
    return PurePath(case.source.relative_to(source) if case.source.is_relative_to(source) else case.source.name)


def _keys(
    case: Case, below: PurePath, shared: str, pattern: re.Pattern[str] | None, table: Mapping[str, str]
) -> tuple[dict[str, str], str]:
    """Kind -> what it says, of each kind that says something of this case, the best first; never empty.

    shared: what its name shares with others.  Also what all spellings of the ID in its header share.
    """
    header = patient_in_headers(case.source)
    known = {TABLE: table.get(case.case, ""), HEADER: header.pseudonym}
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
    known[NAME] = shared
    found = {kind: name for kind, name in known.items() if name}
    return found or {UNKNOWN_PATIENT: case.case}, header.likeness
