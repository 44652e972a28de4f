"""The folder that scored scans go to: what is in it already, what each scan adds, and its table.

OUT/
  scores.csv                     a line a slice: file, patient (the scan's name where it names none), slice,
                                 position_mm, score; higher is more anomalous; score_neighbours, the score smoothed
                                 over the neighbouring slices of its scan, where any scan has several; where known, see
                                 `further_columns`; threshold, threshold_by ("calibration", or "hand" where it was
                                 given), flag (1 above it, 0; blank where there is none, scans.csv says why),
                                 higher_than, the share of healthy calibration slices whose score is lower, 0..1
  scans.csv, patients.csv        a line a scan, a patient: score, threshold, flag, why there is none
  findings.csv                   a line a finding: where it is in mm (LPS), how large, how high
  maps/<name>.nii.gz             the map of a volume, in the scan's own grid (<name>.tiff for a picture)
  overlays/<name>_slice<k>.png   the highest slices of each scan, all on one colour scale
  dicom/<name>-<kind>.dcm        with --dicom: results for viewers and archives, and <name>.json, what was asked for
  scoring.json                   counts, what was skipped and why; written last: its presence means "complete"
  journal.jsonl                  a line a scored scan: what makes a stopped scoring go on where it was
  highest/<name>.npz             the highest slices and their maps, from which the overlays are drawn
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from anomae.cohorts.case import CaseSlices
from anomae.cohorts.patient_names import patient_of_scan
from anomae.errors import UserError
from anomae.files import append_json_line, read_json, read_json_lines, remove_unfinished, write_csv
from anomae.locks import LOCK
from anomae.runs.scan_stamp import stamp_of, still_holds
from anomae.statistics.neighbours import NEIGHBOURS, has_neighbours, smoothed_over_neighbours
from anomae.volumes.identity import NOT_KNOWN
from anomae.volumes.read import read_volume
from anomae.volumes.series import folder_and_series

COLUMNS = ("file", "patient", "slice", "position_mm", "score")
DECIDED = ("threshold", "threshold_by", "flag", "higher_than")
FORMAT = "anomae scoring 3"  # 1 had no further columns, 2 no findings


@dataclass(frozen=True, slots=True)
class ScoredScan:
    """One line of the journal.

    path: the scan's full path.  file: as the user named it; named: the same in full, links as they are, "" where an
    earlier version did not note it.  stamp: changes when the scan's files do.  name: of its outputs.  slices,
    positions_mm (None where unknown), scores: an entry a slice.  further: column -> an entry a slice, see
    `further_columns`.  pictured: how many of its highest slices were kept for overlays.  heat_top: the upper end of
    a colour scale that suits it; None without maps.  grid: of the scan, as Grid.to_json has it; None for pictures.
    findings: the regions of its map above `finding_threshold`, see anomae.inference.finding.Finding; left_out: how many
    more there were.  finding_threshold: None where none were looked for.  unsuited: why the model was not made for it,
    doubts, distance and percentile: see anomae.inference.suitability; compared_with: a digest of what it was compared
    with.
    computed_on: device and precision, or the engine; "" where an earlier version did not note it.
    """

    path: str
    file: str
    stamp: str
    name: str
    patient: str
    slices: Sequence[int]
    positions_mm: Sequence[float | None]
    scores: Sequence[float]
    further: Mapping[str, Sequence[Any]]
    pictured: int
    heat_top: float | None
    notes: Sequence[str]
    grid: Mapping[str, Any] | None = None
    findings: Sequence[Mapping[str, Any]] = ()
    left_out: int = 0
    finding_threshold: float | None = None
    unsuited: Sequence[str] = ()
    distance: float | None = None
    percentile: float | None = None
    compared_with: str = ""
    computed_on: str = ""
    doubts: Sequence[str] = ()
    named: str = ""

    def where(self) -> Path:
        """The path as the user named it, beside which a brain mask may lie, while it leads to the scan; else `path`."""
        named = Path(self.named or self.file)
        return named if str(named.resolve()) == self.path else Path(self.path)

    def how_it_changed(self) -> str:
        """What is said where its files are not as they were: that they changed, or could not be found as named."""
        named = self.named or self.file
        if str(self.where()) != named:
            return f"{named} could not be found as it was named"
        return f"Files of {named} have changed since it was scored"


class ScoringFolder:
    """OUT of `anomae score RUN PATH... --out OUT`.  Scans are added one at a time and survive a crash."""

    def __init__(self, folder: Path, model: str, seeks_brain_file: bool = False) -> None:
        """Open `folder`, making it where it is absent.

        model: a fingerprint of what scores.  seeks_brain_file: a file beside a scan may tell its brain, and is then one
        of the scan's.  Raises UserError where the folder holds scores of another model, or
        something else altogether.
        """
        self.folder, self.journal = folder, folder / "journal.jsonl"
        self._seeks_brain_file = seeks_brain_file
        refuse_foreign(folder)
        lines = read_json_lines(self.journal)
        if lines and str(lines[0].get("format")).startswith("anomae scoring") and lines[0]["format"] != FORMAT:
            raise UserError(f"{folder} holds scores of an older version; name another folder, or remove this one.")
        if lines and lines[0].get("format") != FORMAT:
            raise UserError(f"{folder} holds something else than scores; name another folder for what is written.")
        if lines and lines[0]["model"] != model:
            raise UserError(f"{folder} holds scores of another fitted model; name another folder, or remove this one.")
        self.scans = {line["path"]: ScoredScan(**line) for line in lines[1:]}
        self._owners = {scan.name.lower(): path for path, scan in self.scans.items()}
        if not lines:
            folder.mkdir(parents=True, exist_ok=True)
            append_json_line(self.journal, {"format": FORMAT, "model": model})

    def remove_unfinished(self) -> None:
        """Remove what a scoring that was killed left half written; whoever calls holds the lock of the folder."""
        remove_unfinished(*(self.folder / name for name in ("maps", "overlays", "highest", "dicom", "studies")))
        remove_unfinished(self.folder, below=False)

    def scored(self, file: Path, pictures: int, compared_with: str = "", computed_on: str = "") -> bool:
        """Whether `file` is scored already, unchanged since, its map there and `pictures` of its slices to be drawn.

        compared_with: a digest of what it is to be compared with, and computed_on: by what, see `ScoredScan`.
        """
        scan = self.scans.get(str(file.resolve()))
        if scan is None or scan.compared_with != compared_with:
            return False
        if computed_on and scan.computed_on and scan.computed_on != computed_on:
            return False
        if not folder_and_series(file)[0].exists():  # a link may have lost what it led to
            return False
        mapped = scan.heat_top is None or any(self.map_path(scan.name, flat).exists() for flat in (False, True))
        return mapped and scan.pictured >= min(pictures, len(scan.slices)) and self.is_unchanged(scan, file)

    def stamp(self, file: Path) -> str:
        """See anomae.runs.scan_stamp."""
        return stamp_of(file, self._seeks_brain_file)

    def is_unchanged(self, scan: ScoredScan, file: Path) -> bool:
        """Whether the files of `scan`, which is at `file`, are as they were when it was scored."""
        maps = [path for flat in (False, True) if (path := self.map_path(scan.name, flat)).exists()]
        return still_holds(scan.stamp, file, self._seeks_brain_file, scan.notes, maps)

    def name_for(self, file: Path, root: Path | None = None) -> str:
        """A name for the outputs of `file`: safe in any file system, no other scan's, and kept once it is given.

        It says the path below `root`, where the scan was found, so that scans of one file name in the folders of
        several patients are told apart.
        """
        path = str(file.resolve())
        if path in self.scans:
            return self.scans[path].name
        plain = plain_name(file, root)
        name, tries = plain, 0
        while self._owners.get(name.lower(), path) != path:
            digest = hashlib.blake2b(f"{tries}{path}".encode(errors="surrogateescape"), digest_size=4).hexdigest()
            name, tries = f"{plain}-{digest}", tries + 1
        self._owners[name.lower()] = path
        return name

    def add(self, scan: ScoredScan) -> None:
        """Enter a scan whose outputs are on the disk."""
        append_json_line(self.journal, asdict(scan))
        self.scans[scan.path] = scan

    def write_scores(self, decided: Mapping[str, Sequence[tuple[Any, ...]]] | None = None) -> None:
        """Write scores.csv: all scans of the folder, in the order in which they were first scored.

        decided: path of a scan -> its columns DECIDED, an entry a slice; blank where it is not there.
        """
        scans = list(self.scans.values())
        smoothed = any(has_neighbours(_one_case(scan), scan.slices) for scan in scans)
        further = tuple(dict.fromkeys(name for scan in scans for name in scan.further))
        columns = (*COLUMNS[:-1], *further, COLUMNS[-1], *((NEIGHBOURS,) if smoothed else ()), *DECIDED)
        write_csv(self.folder / "scores.csv", columns, _rows(scans, further, smoothed, decided or {}))

    def write_table(self, name: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
        """Write a further table, such as "scans.csv"."""
        write_csv(self.folder / name, columns, rows)

    def read_map(self, name: str) -> npt.NDArray[np.float32] | None:
        """The map of a scan as it was written, (z, y, x); None where there is none."""
        if self.map_path(name, True).exists():
            with Image.open(self.map_path(name, True)) as picture:
                return np.array(picture, dtype=np.float32)[None]
        path = self.map_path(name, False)
        return np.asarray(read_volume(path).voxels, dtype=np.float32) if path.exists() else None

    def map_path(self, name: str, flat: bool) -> Path:
        """Where the map of a volume, or of a picture (`flat`), lies."""
        return self.folder / "maps" / f"{name}.{'tiff' if flat else 'nii.gz'}"

    def highest_path(self, name: str) -> Path:
        """Where the highest slices of a scan lie."""
        return self.folder / "highest" / f"{name}.npz"

    def overlay_path(self, name: str, number: int) -> Path:
        """Where the overlay picture of slice `number` lies."""
        return self.folder / "overlays" / f"{name}_slice{number:03d}.png"

    def overlays(self, name: str) -> list[Path]:
        """The overlay pictures of one scan that are there."""
        own = re.compile(re.escape(name) + r"_slice\d+\.png")
        return [path for path in (self.folder / "overlays").glob("*.png") if own.fullmatch(path.name)]


def plain_name(file: Path, root: Path | None = None) -> str:
    """The path of `file` below `root` (None: its name alone) without suffixes.

    Of letters, digits, '_', '-' and '.' alone, and at most 100 of them, the last ones.
    """
    inner = file.relative_to(root).as_posix() if root is not None and file.is_relative_to(root) else "."
    full = file.resolve().name if inner == "." else inner
    stem = re.sub(r"(\.nii\.gz|\.[a-z]{1,5})$", "", full, flags=re.IGNORECASE)
    return re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("._-")[-100:].lstrip("._-") or "scan"


def _one_case(scan: ScoredScan) -> list[int]:
    return [0] * len(scan.slices)


def refuse_foreign(folder: Path) -> None:
    """Raises UserError where `folder` is a file, or holds something else than scores."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; name a folder for what is written.")
    others = [] if not folder.is_dir() else [path.name for path in folder.iterdir()]
    if set(others) - {"journal.jsonl", LOCK} and not read_json_lines(folder / "journal.jsonl"):
        raise UserError(f"{folder} is not empty and holds no scores; name another folder for what is written.")


def further_columns(case: CaseSlices, kept: npt.NDArray[np.int64]) -> dict[str, list[Any]]:
    """Columns of scores.csv that say where each slice of a scan is found again in its files: name -> an entry a slice.

    None where a slice has no such entry; a column that is known of no slice is left out.  kept: (k,), indices in the
    case of the slices that were scored.
    """
    known: dict[str, npt.NDArray[Any] | None] = {
        "file_slice": case.file_slices,
        "sop_instance_uid": case.sop_instance_uids,
        "instance_number": case.instance_numbers,
    }
    return {
        name: [None if value in (NOT_KNOWN, "") else value for value in column[kept].tolist()]
        for name, column in known.items()
        if column is not None
    }


def _rows(
    scans: Iterable[ScoredScan],
    further: Sequence[str],
    smoothed: bool,
    decided: Mapping[str, Sequence[tuple[Any, ...]]],
) -> Iterator[tuple[Any, ...]]:
    """A line a slice; further: these columns too, blank where a scan has none; smoothed: with the score smoothed."""
    for scan in scans:
        over = smoothed_over_neighbours(scan.scores, _one_case(scan), scan.slices).tolist()
        blank = [None] * len(scan.slices)
        columns = (
            zip(*(scan.further.get(name, blank) for name in further), strict=True) if further else ((),) * len(blank)
        )
        flags = decided.get(scan.path) or [("",) * len(DECIDED)] * len(blank)
        lines = zip(scan.slices, scan.positions_mm, scan.scores, over, columns, flags, strict=True)
        for number, position_mm, score, over_neighbours, more, flag in lines:
            position = "" if position_mm is None else f"{position_mm:.3f}"
            found = ("" if entry is None else entry for entry in more)
            line = (scan.file, scan.patient, number, position, *found, repr(score))
            yield (*line, *((repr(over_neighbours),) if smoothed else ()), *flag)


def earlier_scale(path: Path) -> float | None:
    """The colour scale of the overlays that an earlier, finished scoring drew."""
    if not (path / "scoring.json").exists():
        return None
    scale: Any = read_json(path / "scoring.json").get("overlay_scale")
    return scale if isinstance(scale, float) else None


def unknown_patients(scans: Sequence[ScoredScan]) -> list[str]:
    """What is said where several scans name no patient, and each of them counts as one."""
    unknown = sum(scan.patient == scan.name and not patient_of_scan(Path(scan.file), "") for scan in scans)
    if unknown < 2:
        return []
    return [f"Patients unknown for {unknown} of {len(scans)} scans: each file counted as one, under its own name."]
