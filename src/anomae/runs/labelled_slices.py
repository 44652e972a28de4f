"""What a table of labels, joined with one or more tables of scores, says of its slices: whose they are, and where."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from anomae.errors import UserError
from anomae.runs.score_table import Table
from anomae.runs.table_agreement import other_labels, splits_of
from anomae.runs.table_join import Joined, Rows
from anomae.runs.table_patients import Patients, patients_of
from anomae.statistics.positions import relative_positions, seen_extents
from anomae.statistics.scored import ScoredSlices
from anomae.statistics.trivial_baselines import known_baselines, labelled_elsewhere

Texts = npt.NDArray[np.str_]


class Scored(NamedTuple):
    """A table of scores, and which of its lines mean the same slices as which of the labels."""

    table: Table
    joined: Joined


@dataclass(frozen=True, slots=True)
class LabelledSlices:
    """Of every line of the labels, (n,) each; several scores of them share one of these.

    split: "" where unknown, though a table names some; split_known: whether any does.  doubts: of patients, splits and
    labels, a sentence each.  number: of the slice, -1 where unknown.  by_slice: whether any is known.  by_patient:
    whether each case is one slice of its patient's scan, so that positions are those among the slices of a patient.
    relative: position, NaN where unknown.  depth: slices of a usual scan.
    """

    table: Table
    split: Texts
    label: npt.NDArray[np.int8]
    case: Texts
    patients: Patients
    split_known: bool
    doubts: list[str]
    number: Rows
    by_slice: bool
    by_patient: bool
    relative: npt.NDArray[np.float64]
    depth: int
    empty: npt.NDArray[np.bool_]
    body: npt.NDArray[np.float64]

    @property
    def split_doubt(self) -> str:
        """A sentence where lines of splits name no patient, so that it is not known whether one is in several."""
        unnamed = self.patients.unnamed & (self.split != "")
        if self.patients.unit != "patient" or len({*self.split.tolist()} - {""}) < 2 or not unnamed.any():
            return ""
        names = np.unique(self.split[unnamed])
        return (
            f"Of {np.count_nonzero(unnamed)} line(s) of {self.table.path.name} ({', '.join(names)}) it "
            "is not known who the patient is: one may be in several splits."
        )

    def at(self, rows: Rows) -> ScoredSlices:
        """The slices of these lines."""
        return ScoredSlices(
            self.case[rows],
            self.patients.names[rows],
            self.number[rows],
            self.label[rows],
            self.relative[rows],
            self.empty[rows],
            self.body[rows],
            self.table.text("site")[rows],
            self.table.text("scanner")[rows],
            self.table.text("source")[rows],
        )

    def trivial_baselines(self, rows: Rows, slices: ScoredSlices) -> dict[str, npt.NDArray[np.float64]]:
        """Those that need no pixel, of these lines of the test split; none where `slices` hold one class."""
        if not slices.both_classes:
            return {}
        elsewhere = labelled_elsewhere(self.split, self.label, "test")
        learned = (self.relative[elsewhere], self.label[elsewhere]) if len(elsewhere) else None
        usual = self.relative[(self.split == "train") & (self.label == 0)]
        found = known_baselines(slices, usual, self.depth, learned)
        if found and "file_size" in self.table.columns:
            found["file_size"] = self.table.numbers("file_size")[rows]
        return found

    def not_audited(self, position: bool) -> list[str]:
        """What could not be checked for want of a column, a sentence each; position: whether its baselines exist."""
        images = "brightness" if "body_fraction" in self.table.columns else "brightness, tissue area"
        notes = [
            f"Not audited: trivial baselines from the images ({images}) and near-duplicates across the split, since "
            "only scores were given."
        ]
        if not self.by_slice:
            notes.append("Not audited: slice position, since the tables have no column slice.")
        elif not position:
            notes.append("Not audited: slice position, since not every case has several slices.")
        if self.patients.unit == "case":
            notes.append(
                "Not audited: patients, since none is named: intervals resample cases, and are too narrow where "
                "one patient has several."
            )
        if not self.split_known:
            notes.append("Not audited: the split, since the labels have no column split.")
        return notes


def labelled_slices(truth: Table, scored: Sequence[Scored]) -> LabelledSlices:
    """Of a table of labels and the tables of scores joined with it.

    Raises UserError where tables name different patients or splits for a slice, where a slice lies outside its case by
    the column depth, and where body_fraction is none or empty neither 0 nor 1.
    """
    case, joined = truth.text("case"), [(one.table, one.joined.ours, one.joined.theirs) for one in scored]
    patients, splits = patients_of(truth, joined), splits_of(truth, joined)
    single = len(np.unique(case)) == truth.rows and patients.unit == "patient"  # each case one slice of its patient's
    number, by_slice = _numbers(truth, scored, single)
    by_patient = single and by_slice and "depth" not in truth.columns
    scan = patients.names if by_patient else case
    extents = _extents(truth, scan, number)
    return LabelledSlices(
        table=truth,
        split=splits.names,
        label=truth.labels(),
        case=case,
        patients=patients,
        split_known=splits.known,
        doubts=[*splits.doubts, *patients.doubts, *other_labels(truth, joined)],
        number=number,
        by_slice=by_slice,
        by_patient=by_patient,
        relative=relative_positions(scan, number, extents),
        depth=int(np.median([last - first + 1 for first, last in extents.values()])) if extents else 0,
        empty=_shares(truth, "empty", 0.0, whole=True) > 0,
        body=_shares(truth, "body_fraction", np.nan),
    )


def _shares(truth: Table, name: str, otherwise: float, *, whole: bool = False) -> npt.NDArray[np.float64]:
    """A column (n,) of numbers from 0 to 1, or whole: of 0 and 1 alone; `otherwise` everywhere where there is none.

    Raises UserError naming the first line that has another.
    """
    if name not in truth.columns:
        return np.full(truth.rows, otherwise)
    values = truth.numbers(name)
    odd = np.flatnonzero((values < 0) | (values > 1) | (whole & (values % 1 > 0)))
    if len(odd):
        fit = "0 or 1" if whole else "a share from 0 to 1 (0.45 for 45 %)"
        raise UserError(
            f"{truth.path}, line {truth.lines[odd[0]]}: the {name} must be {fit}, not {values[odd[0]]:g}; mend it, or "
            "leave the column out."
        )
    return values


def _numbers(truth: Table, scored: Sequence[Scored], single: bool) -> tuple[Rows, bool]:
    """Slice number of each line of the labels (n,), -1 where unknown, and whether there are any.

    Where each case is one slice it is enough that one table has them.
    """
    number = np.full(truth.rows, -1, dtype=np.int64)
    if "slice" in truth.columns and (single or all("slice" in table.columns for table, _ in scored)):
        return truth.whole_numbers("slice"), True
    known = False
    for table, joined in scored:
        if "slice" in table.columns and (single or "file_slice" in truth.columns):  # then joined by file_slice
            number[joined.theirs] = table.whole_numbers("slice")[joined.ours]
            known = True
    return number, known


def _extents(truth: Table, case: Texts, number: Rows) -> dict[str, tuple[int, int]]:
    """First and last slice of each case (or patient): from the column depth, else from the lines that are there."""
    if "depth" not in truth.columns:
        return seen_extents(case, number)
    depth = truth.whole_numbers("depth")
    beyond = np.flatnonzero((depth < 1) | (number >= depth) | ((number < 0) & ("slice" in truth.columns)))
    if len(beyond):
        row = beyond[0]
        raise UserError(
            f"{truth.path}, line {truth.lines[row]}: there is no slice {number[row]} in a case of {depth[row]} slices "
            "(its depth); count slices from 0, or mend the column depth."
        )
    first: dict[str, tuple[int, int]] = {}
    for row, (name, count) in enumerate(zip(case.tolist(), depth.tolist(), strict=True)):
        at, known = first.setdefault(name, (row, count))
        if known != count:
            raise UserError(
                f"{truth.path}: lines {truth.lines[at]} and {truth.lines[row]} give case {name} a depth of {known} and "
                f"of {count} slices; write one."
            )
    return {name: (0, count - 1) for name, (_, count) in first.items()}
