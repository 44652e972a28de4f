"""Any folder of healthy and abnormal scans or pictures."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from anomae.cohorts.called_like_masks import taken_as_scans
from anomae.cohorts.case import ABNORMAL, COLOURS, GREY, HEALTHY, UNKNOWN, Case, CaseSlices, Cohort
from anomae.cohorts.case_table import CaseTable, read_case_table
from anomae.cohorts.channel_slices import read_colour_slices
from anomae.cohorts.file_roles import in_mask_folder
from anomae.cohorts.folder_classes import ITSELF, ClassFolder, find_class_folders
from anomae.cohorts.given_twice import require_equal_copy
from anomae.cohorts.ignored_regions import told_regions
from anomae.cohorts.lesion_masks import MaskValues
from anomae.cohorts.mask_pairing import Paired, RoleSettings, pair
from anomae.cohorts.named_pictures import refuse_named_pictures
from anomae.cohorts.own_outputs import without_outputs
from anomae.cohorts.pairing_facts import are_of_organs, pairing_facts, pairing_notes
from anomae.cohorts.part_folders import PartFolders, guessed_from_folders, told_by_content
from anomae.cohorts.patient_names import CLUSTER, compiled_pattern, count_told, name_patients, told_notes
from anomae.cohorts.patient_rows import rows_of_scans
from anomae.cohorts.picture_groups import PICTURES, group_near_duplicates
from anomae.cohorts.scan_slices import read_scan_slices
from anomae.cohorts.table_cases import by_scan, contradicted, with_table
from anomae.errors import UnreadableScan, UserError
from anomae.volumes.passed_over import told as passed_over_notes
from anomae.volumes.series import checked_series


@dataclass(frozen=True, slots=True)
class _Survey:
    cases: list[Case]
    notes: tuple[str, ...]
    pairing: dict[str, Any]
    patients: dict[str, dict[str, int]]


class Folder(Cohort):
    """One case a scan or picture below healthy/ and abnormal/, or below train/good, test/good, test/<defect>.

    The class of the folder holds for every slice of a scan, unless a lesion mask is found (by its name beside the scan,
    or in a folder of masks; anomae.cohorts.file_roles): then each slice is labelled by its mask.
    A file beside a scan that tells its brain (anomae.cohorts.brain_files) is no scan.
    """

    name = "folder"
    # Pictures are windowed by their makers: a median says little of them, and twice and a half of it would cut the
    # white of dark ones.
    preparations = {  # noqa: RUF012  a ClassVar by its protocol
        "brain-mri": {"image_size": 128, "preparation": "brain"},
        "pictures": {"image_size": 128, "preparation": "body", "intensity": "percentile"},
    }

    def __init__(
        self,
        source: Path,
        healthy_name: str = "",
        abnormal_name: str = "",
        patient_pattern: str = "",
        near_duplicates: bool = False,
        per_cluster: int = 0,
        colour: bool = False,
        mask_pattern: str = "",
        mask_folder: str = "",
        mask_labels: str = "",
        image_pattern: str = "",
        ignore: str = "",
        table: str = "",
        healthy: str = "",
        series: str = "",
        content: Literal["", "brain-mri", "pictures", "other"] = "",
    ) -> None:
        r"""`source`: the folder above.

        healthy_name, abnormal_name: what the class folders are called, if not one of the usual names; healthy_name ".":
        there are none, and every scan below `source` is healthy.
        patient_pattern: a regular expression with one group, searched in the path below `source` ("p(\d+)_"), for the
        scans that neither a DICOM header nor a BIDS name sub-XX gives a patient (anomae.cohorts.patient_names); without
        it the sub-folder of a class folder is the patient, and a file that lies in none is a patient of its own.
        near_duplicates: pictures that are copies of each other, mirrored, turned or otherwise changed, count as one
        patient; of pictures with equal pixels only one is kept.  per_cluster: keep at most so many pictures of a
        class of each such cluster; 0: all.  colour: pictures are read in colour, red, green and blue as three channels;
        all have to be pictures then.
        mask_pattern: names of lesion masks, where the first * stands for the name of the scan ("*-roi.nii.gz").
        mask_folder: names of folders of masks.  mask_labels: which values of a mask are lesion; without it all above 0.
        image_pattern: names of scans ("*_t1.nii.gz"); all others are left out.  ignore: what is not to be judged,
        neither lesion nor healthy (anomae.cohorts.ignored_regions): values of a lesion mask, names of mask files
        ("*_ignore.png", as mask_pattern) or of folders of such.  Several of each with commas between them.
        table: a CSV file that says what files, or patients, are (anomae.cohorts.case_table); it wins over every guess.
        healthy: which diagnoses of the table are healthy ("NV", in any case); all others are abnormal then.
        series: of folders with several DICOM series only this one, a number from 1 or "largest"; "": each is a scan.
        content: what the scans show, which says how they are prepared where nothing else is said (`preparations`): MRI
        of heads, single pictures, or something else; "": not said, prepared as something else is.
        """
        if patient_pattern and near_duplicates:
            raise UserError("Give either patient_pattern or near_duplicates, not both.")
        if per_cluster < 0 or (per_cluster and not near_duplicates):
            raise UserError("per_cluster is a number of pictures, and needs near_duplicates=true.")
        self.source, self.healthy_name, self.abnormal_name = source, healthy_name, abnormal_name
        self.pattern = compiled_pattern(patient_pattern)
        self.near_duplicates, self.per_cluster = near_duplicates, per_cluster
        self.channel_names = COLOURS if colour else GREY
        values, regions, folders = told_regions(ignore)
        self.roles = RoleSettings(
            _listed(mask_pattern), _listed(image_pattern), _listed(mask_folder.lower()), regions, folders
        )
        self.values = MaskValues(_whole_numbers("mask_labels", mask_labels), values)
        if healthy and not table:
            raise UserError("healthy names diagnoses of a table; give it by --table.")
        self.table, self.healthy = table, _listed(healthy)
        self.series = checked_series(series) if series else None
        self.content = content
        self._surveyed: _Survey | None = None
        self._passed_over: Counter[str] = Counter()
        self._outputs: set[Path] = set()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_surveyed": None}  # a reader in another process has no use for it

    def cases(self) -> list[Case]:
        """A case a scan or picture, in the order of their paths; named by its path below `source`."""
        return list(self._survey().cases)

    def read(self, case: Case) -> CaseSlices:
        """The slices of one scan.  Raises UnreadableScan where it, or its mask, is broken."""
        label = case.label
        if label == UNKNOWN and case.lesion is None and case.called != UNKNOWN:  # else the table says unknown
            raise UnreadableScan(f"{case.source} may have several lesion masks; say which by mask_pattern.")
        read = read_colour_slices if self.channel_names == COLOURS else read_scan_slices
        for path in (case.source, *case.lesion_files, *case.ignored):
            require_equal_copy(path)
        return read(
            case.source,
            case.lesion_files,
            label,
            values=self.values,
            called=case.called,
            ignored=case.ignored,
            by_subject=case.by_subject,
        )

    def notes(self) -> tuple[str, ...]:
        """What was left out, and what the near-duplicates came to."""
        return self._survey().notes

    def pairing(self) -> dict[str, Any]:
        """Which mask was paired with which scan, and counts of what was left out."""
        return self._survey().pairing

    def patients_told(self) -> dict[str, dict[str, int]]:
        """How patients were told, with counts: see anomae.cohorts.patient_names.NamedPatients."""
        return self._survey().patients

    def _survey(self) -> _Survey:
        if self._surveyed is None:
            self._surveyed = self._look()
        return self._surveyed

    def _look(self) -> _Survey:
        table = read_case_table(Path(self.table), self.source, self.healthy) if self.table else CaseTable()
        said, notes = table.files, list(table.notes)
        names = self.healthy_name, self.abnormal_name
        folders, unused = find_class_folders(self.source, *names, self.roles.role_folders, labelled=table.labelled)
        cure = "--set healthy_name=A,B --set abnormal_name=C names the folders of each class"
        notes += [f"the folder(s) {', '.join(unused)} are of no class and were left out ({cure})"] if unused else []
        if self.healthy_name.strip() == ITSELF:
            notes.append("every scan below the folder counts as healthy, as healthy_name=. says")
        self._passed_over = Counter()
        paired = self._pair(folders, said.keys())
        classes = [folder.root for folder in folders if folder.label != UNKNOWN]
        notes += taken_as_scans(paired, classes, self.source, self.roles)
        if (self.roles.regions or self.roles.region_folders) and not (
            paired.lonely_regions or any(paired.regions.values())
        ):
            raise UserError("ignore names no file here; write a pattern of file names, a folder, or values of masks.")
        notes += [sentence.removesuffix(".") for sentence in passed_over_notes(self._passed_over)]
        if self._outputs:
            notes.append(f"{len(self._outputs)} folder(s) that this program wrote were left out")
        organs = not (self.roles.mask_folders or self.values.lesion) and are_of_organs(
            self._healthy_masks(folders, paired)
        )
        cases: list[Case] = []
        parting = told_by_content(
            (folder.inside(scan), scan.is_dir())
            for folder in folders
            if folder.label != UNKNOWN
            for scan in paired.lesions
            if scan.is_relative_to(folder.root)
        )
        for folder in folders:
            cases += self._cases_in(folder, paired, organs, parting)
        if table.patients:
            said, more = rows_of_scans(cases, table.patients, self.source)
            notes += more
        said = by_scan(cases, said, self.source)
        cases, otherwise = with_table(cases, said), cases
        notes += contradicted(otherwise, cases)
        if any(folder.label == UNKNOWN for folder in folders):
            there, cases = len(cases), [case for case in cases if case.source in said]
            notes.append(
                f"the table says of which class each scan is; {there - len(cases)} that it lacks were left out"
            )
        if not cases:
            left_out = passed_over_notes(self._passed_over)
            raise UserError(" ".join([f"{self.source} holds no scans or pictures in its class folders.", *left_out]))
        notes += pairing_notes(paired, cases, organs)
        facts = pairing_facts(paired, cases, self.source)
        facts |= {"ignore_values": list(self.values.ignored)} if self.values.ignored else {}
        by_table = {case.case: case.patient for case in cases if (row := said.get(case.source)) and row.patient}
        named = name_patients(cases, self.source, self.pattern, by_table, parting, classes)
        cases, told = named.cases, dict(named.told)
        if self.near_duplicates:
            refuse_named_pictures(cases, told)
            before = {case.case: case.patient for case in cases}
            cases, more = group_near_duplicates(cases, self.read, self.per_cluster)
            told |= {case.case: CLUSTER for case in cases if case.patient != before[case.case]}
            notes += more
        counts = count_told(cases, told)
        return _Survey(cases, (*notes, *told_notes(counts, named.alike, named.alike_cases)), facts, counts)

    def _pair(self, folders: list[ClassFolder], named: Collection[Path]) -> Paired:
        from anomae.volumes.read import look_for_scans

        roots = {folder.root for folder in folders} | {masks for folder in folders for masks in folder.masks}
        paths: set[Path] = set()
        for root in sorted(roots):
            found = look_for_scans(root, self.series, named)
            self._passed_over += found.passed_over
            scans, outputs = without_outputs(found.scans, root)
            self._outputs |= set(outputs)
            paths |= set(scans)
        return pair(sorted(paths), self.source, self.roles)

    def _healthy_masks(self, folders: list[ClassFolder], paired: Paired) -> list[Path]:
        """The masks of healthy pictures that lie in a folder of masks of their class."""
        roots = [folder.root for folder in folders if folder.label == HEALTHY]
        return [
            mask
            for masks in paired.lesions.values()
            for mask in masks
            if any(mask.is_relative_to(root) and in_mask_folder(mask, root) for root in roots)
        ]

    def _cases_in(self, folder: ClassFolder, paired: Paired, organs: bool, parting: PartFolders) -> list[Case]:
        cases = []
        for scan, lesions in paired.lesions.items():
            if not scan.is_relative_to(folder.root):
                continue
            if organs and any(in_mask_folder(lesion, self.source) for lesion in lesions):
                lesions = ()
            # A mask may leave slices of an abnormal scan healthy; a picture has but one.
            whole = not lesions or scan.suffix.lower() in PICTURES
            below = scan.relative_to(self.source).as_posix()
            label = folder.label if whole else UNKNOWN
            if scan in paired.unclear and folder.label != ABNORMAL:
                label = UNKNOWN
            # Where a table tells the classes, a folder may be anything: the part of a download, a clinic, a patient.
            told = folder.label != UNKNOWN
            guessed = guessed_from_folders(folder.inside(scan), scan.is_dir(), parting.parts) if told else ""
            patient = guessed or below
            made = Case(below, patient, scan, lesions[0] if lesions else None, folder.split, label, called=folder.label)
            ignored, by_subject = paired.regions.get(scan, ()), scan in paired.by_subject
            cases.append(replace(made, more_lesions=lesions[1:], ignored=ignored, by_subject=by_subject))
        return cases


def _listed(text: str) -> tuple[str, ...]:
    return tuple(piece.strip() for piece in text.split(",") if piece.strip())


def _whole_numbers(name: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(piece) for piece in _listed(text))
    except ValueError as error:
        raise UserError(f"{name} is {text!r}; write whole numbers with commas between them, like 2,3.") from error
