"""Any folder of healthy and abnormal scans or pictures."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anomae.cohorts.brain_files import is_brain_file
from anomae.cohorts.case import COLOURS, GREY, UNKNOWN, Case, CaseSlices, Cohort
from anomae.cohorts.channel_slices import read_colour_slices
from anomae.cohorts.folder_classes import ClassFolder, find_class_folders
from anomae.cohorts.own_outputs import without_outputs
from anomae.cohorts.picture_groups import PICTURES, group_near_duplicates
from anomae.cohorts.scan_slices import read_scan_slices
from anomae.errors import UnreadableScan, UserError

_MASK_ENDINGS = ("_seg", "_mask", "_lesion")


@dataclass(frozen=True, slots=True)
class _Survey:
    cases: list[Case]
    notes: tuple[str, ...]


class Folder(Cohort):
    """One case a scan or picture below healthy/ and abnormal/, or below train/good, test/good, test/<defect>.

    The class of the folder holds for every slice of a scan, unless a lesion mask is found (beside the scan as
    <name>_seg or <name>_mask, in ground_truth/<defect>, or in BMAD's label/): then each slice is labelled by its mask.
    A file beside a scan that tells its brain (anomae.cohorts.brain_files) is no scan.
    """

    name = "folder"

    def __init__(
        self,
        source: Path,
        healthy_name: str = "",
        abnormal_name: str = "",
        patient_pattern: str = "",
        near_duplicates: bool = False,
        per_cluster: int = 0,
        colour: bool = False,
    ) -> None:
        r"""`source`: the folder above.

        healthy_name, abnormal_name: what the class folders are called, if not one of the usual names.
        patient_pattern: a regular expression with one group, searched in the path below `source` ("p(\d+)_"); without
        it the sub-folder of a class folder is the patient, and a file that lies in none is a patient of its own.
        near_duplicates: pictures that are copies of each other, mirrored, turned or otherwise changed, count as one
        patient; of pictures with equal pixels only one is kept.  per_cluster: keep at most so many pictures of a
        class of each such cluster; 0: all.  colour: pictures are read in colour, red, green and blue as three channels;
        all have to be pictures then.
        """
        if patient_pattern and near_duplicates:
            raise UserError("Give either patient_pattern or near_duplicates, not both.")
        if per_cluster < 0 or (per_cluster and not near_duplicates):
            raise UserError("per_cluster is a number of pictures, and needs near_duplicates=true.")
        self.source, self.healthy_name, self.abnormal_name = source, healthy_name, abnormal_name
        self.pattern = _compiled(patient_pattern)
        self.near_duplicates, self.per_cluster = near_duplicates, per_cluster
        self.channel_names = COLOURS if colour else GREY
        self._surveyed: _Survey | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_surveyed": None}  # a reader in another process has no use for it

    def cases(self) -> list[Case]:
        """A case a scan or picture, in the order of their paths; named by its path below `source`."""
        return list(self._survey().cases)

    def read(self, case: Case) -> CaseSlices:
        """The slices of one scan.  Raises UnreadableScan where it, or its mask, is broken."""
        label = case.label
        if label == UNKNOWN and case.lesion is None:
            raise UnreadableScan(f"{case.source} has neither a class nor a lesion mask.")
        read = read_colour_slices if self.channel_names == COLOURS else read_scan_slices
        return read(case.source, case.lesion, label)

    def notes(self) -> tuple[str, ...]:
        """What was left out, and what the near-duplicates came to."""
        return self._survey().notes

    def _survey(self) -> _Survey:
        if self._surveyed is None:
            self._surveyed = self._look()
        return self._surveyed

    def _look(self) -> _Survey:
        folders, unused = find_class_folders(self.source, self.healthy_name, self.abnormal_name)
        notes = [f"the folder(s) {', '.join(unused)} are of no class and were left out"] if unused else []
        cases: list[Case] = []
        orphans = 0
        for folder in folders:
            found, lonely, outputs = self._cases_in(folder)
            cases += found
            orphans += lonely
            if outputs:
                notes.append(f"{outputs} folder(s) that this program wrote were left out")
        if not cases:
            raise UserError(f"{self.source} holds no scans or pictures in its class folders.")
        if orphans:
            notes.append(f"{orphans} lesion masks lie beside no scan of their name and were left out")
        if self.near_duplicates:
            cases, more = group_near_duplicates(cases, self.read, self.per_cluster)
            notes += more
        return _Survey(cases, tuple(notes))

    def _cases_in(self, folder: ClassFolder) -> tuple[list[Case], int, int]:
        from anomae.volumes.read import find_scans, is_readable_name

        scans, outputs = without_outputs(find_scans(folder.folder), folder.folder)
        scans = [scan for scan in scans if not is_brain_file(scan)]
        beside = {_lesion_of(path): path for path in scans if _lesion_of(path) is not None}
        masks = {path.name.split(".")[0]: path for path in _files(folder.masks) if is_readable_name(path)}
        cases = []
        for scan in scans:
            if _lesion_of(scan) is not None:
                continue
            stem = _stem(scan)
            lesion = beside.pop(scan.parent / stem, None) or masks.get(f"{stem}_mask") or masks.get(stem)
            # A mask may leave slices of an abnormal scan healthy; a picture has but one.
            whole = lesion is None or scan.suffix.lower() in PICTURES
            below = scan.relative_to(self.source).as_posix()
            label = folder.label if whole else UNKNOWN
            cases.append(Case(below, self._patient(scan, below, folder), scan, lesion, folder.split, label))
        return cases, len(beside), len(outputs)

    def _patient(self, scan: Path, below: str, folder: ClassFolder) -> str:
        if self.pattern:
            match = self.pattern.search(below)
            if not match or not match[1]:
                raise UserError(f"patient_pattern does not match {below}.")
            return match[1]
        inner = scan.relative_to(folder.folder).parts
        return inner[0] if len(inner) > 1 or (scan.is_dir() and inner) else below


def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        compiled = re.compile(pattern) if pattern else None
    except re.error as error:
        raise UserError(f"patient_pattern {pattern!r} is no regular expression ({error}).") from error
    if compiled and compiled.groups != 1:
        raise UserError(f"patient_pattern {pattern!r} has {compiled.groups} groups; one is needed, around the patient.")
    return compiled


def _stem(path: Path) -> str:
    return path.name if path.is_dir() else path.name.removesuffix(".gz").rpartition(".")[0] or path.name


def _lesion_of(path: Path) -> Path | None:
    """The scan, without suffix, whose lesion mask `path` is by its name, or None."""
    stem = _stem(path)
    ending = next((ending for ending in _MASK_ENDINGS if stem.lower().endswith(ending)), None)
    return path.parent / stem[: -len(ending)] if ending else None


def _files(folder: Path | None) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_file()) if folder else []
