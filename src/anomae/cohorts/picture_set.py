"""What cohorts of single pictures share: what is known of each picture, and how it becomes a case."""

import re
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from anomae.cohorts.case import ABNORMAL, COLOURS, GREY, Case, CaseSlices, Cohort
from anomae.cohorts.channel_slices import read_colour_slices
from anomae.cohorts.file_roles import in_mask_folder, mask_base
from anomae.cohorts.group_names import Spelling
from anomae.cohorts.patient_names import CLUSTER, PATTERN, UNKNOWN_PATIENT, compiled_pattern, count_told
from anomae.cohorts.picture_groups import PICTURES, group_near_duplicates
from anomae.cohorts.scan_slices import read_scan_slices
from anomae.errors import UserError

UNKNOWN_PATIENTS = (
    "patients are unknown: each picture counts as one patient, so leakage between the splits cannot be excluded"
)


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture as the layout tells of it: its file, HEALTHY or ABNORMAL, its split ("" where free), its mask."""

    path: Path
    label: int
    split: str = ""
    mask: Path | None = None


class PictureSet(Cohort):
    """One case a picture, named by its path below the source; a layout says in `find` what there is."""

    kind = "pictures"
    order = "none"
    names_of_patients: tuple[
        str, ...
    ] = ()  # patterns with one group: a patient is known where one of them fits every file name

    def __init__(
        self, source: Path, patient_pattern: str = "", near_duplicates: bool = False, colour: bool = False
    ) -> None:
        r"""`source`: the folder that was unpacked.

        patient_pattern: a regular expression with one group, searched in the path below `source` ("p(\d+)_").
        near_duplicates: pictures that are copies of each other, mirrored, turned or otherwise changed, count as one
        patient; of pictures with equal pixels only one is kept.  colour: read red, green and blue as three channels.
        """
        if patient_pattern and near_duplicates:
            raise UserError("Give either patient_pattern or near_duplicates, not both.")
        self.pattern = compiled_pattern(patient_pattern)
        self.source, self.near_duplicates = source, near_duplicates
        self.channel_names = COLOURS if colour else GREY
        self._surveyed: tuple[list[Case], tuple[str, ...]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_surveyed": None}  # a reader in another process has no use for it

    @abstractmethod
    def find(self) -> tuple[list[Picture], list[str]]:
        """All pictures in a fixed order, and what was left out.  Raises UserError where the layout is another."""

    def cases(self) -> list[Case]:
        """A case a picture, in the order of their paths."""
        return list(self._survey()[0])

    def notes(self) -> tuple[str, ...]:
        """What was left out, where the patients come from, and what the near-duplicates came to."""
        return self._survey()[1]

    def patients_told(self) -> dict[str, dict[str, int]]:
        """How patients were told; empty where the names of the pictures do."""
        cases = self.cases()
        if self.pattern:
            return count_told(cases, {case.case: PATTERN for case in cases})
        if all(case.patient != case.case for case in cases) and not self.near_duplicates:
            return {}
        told = {case.case: UNKNOWN_PATIENT if case.patient == case.case else CLUSTER for case in cases}
        return count_told(cases, told)

    def read(self, case: Case) -> CaseSlices:
        """The picture of one case.

        Raises UnreadableScan where it or its mask is missing or broken.  One that is called abnormal and whose mask is
        empty stays abnormal, with a note.
        """
        read = read_colour_slices if self.channel_names == COLOURS else read_scan_slices
        return read(case.source, case.lesion, case.label, called=case.label)

    def _survey(self) -> tuple[list[Case], tuple[str, ...]]:
        if self._surveyed is None:
            pictures, notes = self.find()
            if not pictures:
                raise UserError(f"{self.source} holds no pictures ({', '.join(PICTURES)}) in its folders.")
            notes += _passed_over(self.source, pictures)
            pictures, beside = _without_masks(pictures)
            if beside:
                notes.append(f"{beside} files are by their names masks of a picture beside them and were left out")
            cases, more = self._as_cases(sorted(pictures, key=lambda picture: picture.path))
            masks = sum(case.lesion is not None for case in cases)
            ill = [case for case in cases if case.label == ABNORMAL]
            lacking = sum(case.lesion is None for case in ill)
            if masks and lacking:
                notes.append(f"{lacking} of {len(ill)} abnormal pictures have no lesion mask while others have")
            self._surveyed = (cases, (*notes, *more))
        return self._surveyed

    def _as_cases(self, pictures: list[Picture]) -> tuple[list[Case], list[str]]:
        names = [picture.path.relative_to(self.source).as_posix() for picture in pictures]
        notes: list[str] = []
        patients = names
        if self.pattern:
            found = np.array([_patient(self.pattern, name) for name in names])
            spelling = Spelling()
            spelling.learn(found)
            patients, notes = spelling.named(found), spelling.notes({})
        elif not self.near_duplicates:
            told = _told_by_names([picture.path.stem for picture in pictures], self.names_of_patients)
            if told:
                patients = told
                notes.append(f"{len(set(patients))} patients were told from the names of the pictures")
            else:
                notes.append(UNKNOWN_PATIENTS)
        cases = [
            Case(name, patient, picture.path, picture.mask, picture.split, picture.label)
            for name, patient, picture in zip(names, patients, pictures, strict=True)
        ]
        if self.near_duplicates:
            cases, more = group_near_duplicates(cases, self.read)
            notes += more
        return cases, notes


def _without_masks(pictures: list[Picture]) -> tuple[list[Picture], int]:
    """The pictures but those that lie beside one whose mask they are by their names ("x_mask" beside "x")."""
    there = {(picture.path.parent, picture.path.stem.lower()) for picture in pictures}
    bases = [mask_base(picture.path.stem) for picture in pictures]
    kept = [
        picture
        for picture, base in zip(pictures, bases, strict=True)
        if base is None or (picture.path.parent, base.lower()) not in there
    ]
    return kept, len(pictures) - len(kept)


def _passed_over(source: Path, pictures: list[Picture]) -> list[str]:
    """A sentence on pictures in folders that the layout has no role for; those of masks are said elsewhere."""
    used = {path.parent for picture in pictures for path in (picture.path, picture.mask) if path is not None}
    found = [
        path
        for folder in sorted(path for path in (source, *source.rglob("*")) if path.is_dir() and path not in used)
        if not any(part.startswith((".", "__MACOSX")) for part in folder.relative_to(source).parts)
        for path in pictures_in(folder)
        if not in_mask_folder(path, source)
    ]
    if not found:
        return []
    first = found[0].relative_to(source).as_posix()
    return [f"{len(found)} pictures lie in folders that this layout does not look into and were left out, as {first}"]


def _told_by_names(stems: list[str], patterns: tuple[str, ...]) -> list[str]:
    """The patient of each file name by the first pattern that fits all of them; [] where none does."""
    for pattern in patterns:
        found = [match[1] for stem in stems if (match := re.match(pattern, stem))]
        if len(found) == len(stems):
            return found
    return []


def pictures_in(folder: Path) -> list[Path]:
    """All pictures in a folder itself, sorted: what lies deeper has a role that its folder would have to tell."""
    found = (path for path in folder.iterdir() if path.suffix.lower() in PICTURES and not path.name.startswith("."))
    return sorted(path for path in found if path.is_file())


def folder_of(folder: Path, *names: str) -> Path | None:
    """The sub-folder of one of these names, upper or lower case; None where there is none."""
    wanted = [name.lower() for name in names]
    inner = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_dir()}
    return next((inner[name] for name in wanted if name in inner), None)


def _patient(pattern: re.Pattern[str], name: str) -> str:
    match = pattern.search(name)
    if not match or not match[1]:
        raise UserError(f"patient_pattern does not match {name}.")
    return match[1]
