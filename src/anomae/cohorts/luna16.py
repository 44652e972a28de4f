"""LUNA16: chest CTs in ten subsets, and patches around the candidates that its table names."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anomae.cohorts.case import UNKNOWN, Case, CaseSlices, Cohort
from anomae.cohorts.luna16_candidates import Candidates, find_table, read_candidates
from anomae.cohorts.patches import cut_patches
from anomae.cohorts.patient_names import SCANS, told_notes
from anomae.cohorts.source_folder import existing_folder
from anomae.cohorts.splits import parse_subsets
from anomae.errors import UnreadableScan, UserError
from anomae.volumes.volume import Volume

EXPECTED = "subset0 to subset9, with .mhd files in them, and candidates.csv"
OUTSIDE = "candidate outside its scan"
# Armato and others, Med Phys 38 (2011): LIDC-IDRI, from which LUNA16 was chosen.
FEW_TWICE = "LUNA16's scans are of LIDC-IDRI, which has 1,018 scans of 1,010 patients: at most a few are of one person"


class Luna16(Cohort):
    """One case a scan; its slices are the patches around its candidates, numbered by the row of the table.

    A slice is abnormal where the candidate is a nodule.  LUNA16 names no patients: the scan is the unit of a split.
    """

    name = "luna16"
    kind = "patches"
    order = "none"
    recipe = "luna16"
    preparation = {"image_size": 64, "intensity": "hu/100"}  # noqa: RUF012  a ClassVar by its protocol
    accepts_rows = True

    def __init__(
        self,
        source: Path,
        patch_side: int = 64,
        patch_spacing_mm: float = 1.0,
        candidates: str = "",
        subsets: str = "",
        rows: Sequence[int] | None = None,
    ) -> None:
        """`source`: the folder of the subsets.

        patch_side: pixels; the paper has 64.  patch_spacing_mm: of a pixel of a patch, which the paper does not tell.
        candidates: the table's file name in `source` or a folder below; "" takes candidates.csv, or candidates_V2.csv
        where there is no other.
        subsets: which of the ten go to which split, such as "train=0-5,validation=6,test=7-9"; "" fixes no split.
        rows: only these rows of the table are cut (the released lists name a tenth of them); None: all.
        """
        if not 1 <= patch_side <= 1024 or not 0.01 <= patch_spacing_mm <= 100:
            raise UserError("patch_side must be 1 to 1024 pixels and patch_spacing_mm 0.01 to 100 mm.")
        self.source, self.side, self.spacing_mm, self.table_name = source, patch_side, patch_spacing_mm, candidates
        self.splits = parse_subsets(subsets) if subsets else {}
        self.rows = None if rows is None else np.unique(np.asarray(rows, dtype=np.int64))

    def cases(self) -> list[Case]:
        """A case a scan that has candidates, in the order of the table."""
        scans, wanted = self._scans(), self._wanted_scans()
        there = [uid for uid in wanted if uid in scans]
        if not there:
            raise UserError(
                f"None of the {len(wanted)} scans that the candidates name is among the {len(scans)} scans under "
                f"{self.source}; the table and the subsets do not belong together."
            )
        used = [uid for uid in there if not self.splits or self._split(scans[uid])]
        if not used:
            raise UserError(f"No scan under {self.source} lies in a subset that was given a split; change subsets.")
        table, path = self._table(), find_table(self.source, self.table_name)[0]
        said = {uid: table.digest_of(self._only_wanted(table.rows_of(uid))) for uid in used}
        return [Case(uid, uid, scans[uid], split=self._split(scans[uid]), table=(path, said[uid])) for uid in used]

    def read(self, case: Case) -> CaseSlices:
        """The patches of one scan, in HU; candidates outside the scan are left out and counted.

        Raises UnreadableScan where the scan is broken or not axial, or all its candidates lie outside.
        """
        from anomae.volumes.read import read_volume

        if not case.source.is_file():
            raise UnreadableScan(f"{case.source} is missing.")
        table = self._table()
        rows = self._only_wanted(table.rows_of(case.case))
        volume = read_volume(case.source)
        nearest = _nearest_voxels(volume, table.places_mm[rows])  # (n, 3)
        inside = ((nearest >= 0) & (nearest < volume.voxels.shape)).all(axis=1)
        if len(rows) and not inside.any():
            raise UnreadableScan(
                f"{case.source} has none of its {len(rows)} candidates in it; are table and scan a pair?"
            )
        off = int(np.sum(~inside))
        rows, nearest = rows[inside], nearest[inside, 0]
        places_mm = table.places_mm[rows]
        return CaseSlices(
            images=cut_patches(volume, places_mm, self.side, self.spacing_mm),
            slices=rows,
            labels=table.labels[rows],
            lesions=None,
            positions_mm=places_mm[:, 2],
            spacing_mm=(self.spacing_mm, self.spacing_mm),
            notes=volume.notes,
            file_slices=nearest,
            left_out={OUTSIDE: off} if off else {},
        )

    def candidates(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int8]]:
        """The rows (n,) of the table whose scans are there, and their labels (n,)."""
        table, scans = self._table(), self._scans()
        there = np.array([uid in scans for uid in table.scans], dtype=np.bool_)
        rows = self._only_wanted(np.flatnonzero(there[table.scan]))
        return rows, table.labels[rows]

    def scans_of(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.str_]:
        """The scan of each row of the table (n,); rows beyond the table are of no scan, ""."""
        table = self._table()
        names = np.array([*table.scans, ""], dtype=np.str_)
        inside = rows < len(table.scan)
        return names[np.where(inside, table.scan[np.minimum(rows, len(table.scan) - 1)], len(table.scans))]

    def notes(self) -> tuple[str, ...]:
        """How many scans of the table are not on disk, how many on disk are not used, and that no patient is named."""
        scans, wanted = self._scans(), self._wanted_scans()
        table, others = find_table(self.source, self.table_name)
        other_names = ", ".join(sorted({path.name for path in others}))
        absent = sum(uid not in scans for uid in wanted)
        torn = int(np.sum(self._table().labels == UNKNOWN))
        unused = sum(bool(self.splits) and not self._split(path) for uid, path in scans.items() if uid in set(wanted))
        said = tuple(
            sentence
            for count, sentence in (
                (len(others), f"the candidates are those of {table.name}, not of {other_names}"),
                (torn, f"{torn} candidates are called nodule in one line and none in another; their label is unknown"),
                (absent, f"{absent} of {len(wanted)} scans that the candidates name are not under {self.source}"),
                (unused, f"{unused} scans lie in subsets that were given no split"),
            )
            if count
        )
        return (*said, *told_notes(self.patients_told()), FEW_TWICE)

    def patients_told(self) -> dict[str, dict[str, int]]:
        """No patient is named: each scan counts as one."""
        scans = len(self.cases())
        return {SCANS: {"scans": scans, "patients": scans}}

    def _table(self) -> Candidates:
        return read_candidates(find_table(self.source, self.table_name)[0])

    def _wanted_scans(self) -> list[str]:
        table = self._table()
        wanted = np.unique(table.scan[self._only_wanted(np.arange(len(table.scan)))])
        return [table.scans[index] for index in wanted]

    def _only_wanted(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return rows if self.rows is None else rows[np.isin(rows, self.rows)]

    def _scans(self) -> dict[str, Path]:
        source = existing_folder(self.source, EXPECTED)
        folders = sorted(path for path in source.glob("subset*") if path.is_dir())
        folders = folders or sorted(path for path in source.glob("*/subset*") if path.is_dir())
        # Some archives unpack to subset0/subset0.
        scans = (path for folder in folders for path in sorted(folder.rglob("*.mhd")) if path.name[0] != ".")
        found: dict[str, Path] = {}
        for path in scans:
            before = found.setdefault(path.stem, path)
            if self.splits and self._split(before) != self._split(path):
                raise UserError(f"{before} and {path} are the same scan in subsets of two splits; keep one of them.")
            found[path.stem] = path
        if not found:
            raise UserError(f"{self.source} holds no scans; expected {EXPECTED}.")
        return found

    def _split(self, scan: Path) -> str:
        folders = scan.relative_to(self.source).parts
        subset = next(name for name in folders if name.startswith("subset")).removeprefix("subset")
        return self.splits.get(int(subset), "") if subset.isdigit() else ""


def _nearest_voxels(volume: Volume, places_mm: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """(n, 3) index z, y, x of the voxels nearest to places (n, 3) in the world; beyond the scan where they are."""
    to_index = np.linalg.inv(volume.grid.affine_lps())
    index = (np.c_[places_mm, np.ones(len(places_mm))] @ to_index.T)[:, 2::-1]
    return np.asarray(np.rint(np.clip(index, -1e9, 1e9)), dtype=np.int64)
