"""scores.csv of a store says which slice of its file each line is, and of DICOM which instance."""

import csv
from pathlib import Path

import numpy as np

from anomae.cohorts.case import Case, Cohort
from anomae.cohorts.scan_slices import read_scan_slices
from anomae.runs.scoring_rows import write_scores
from anomae.slices.rows import rows_or_reason
from anomae.slices.settings import settings_from
from anomae.slices.split_rule import SplitRule
from anomae.slices.store import SliceStore
from anomae.slices.writer import StoreWriter
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_dicom_series, write_volume


class Scans(Cohort):
    name = "scans"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def cases(self) -> list[Case]:
        return [Case(name, name, self.folder / name, split="test") for name in ("series", "a.nii.gz")]

    def read(self, case: Case):  # type: ignore[no-untyped-def]
        return read_scan_slices(case.source, label=0)

    def notes(self) -> tuple[str, ...]:
        return ()


def test_columns_are_those_of_the_index(tmp_path: Path) -> None:
    voxels = np.random.default_rng(0).integers(0, 900, (5, 20, 24)).astype(np.int16)
    write_dicom_series(tmp_path / "series", voxels, Grid(voxels.shape))
    write_volume(tmp_path / "a.nii.gz", voxels, Grid(voxels.shape))
    cohort, settings = Scans(tmp_path), settings_from({"image_size": (16, 12)})
    writer = StoreWriter(tmp_path / "store", {}, settings)
    for case in cohort.cases():
        rows = rows_or_reason(case, cohort, SplitRule(), settings)
        assert not isinstance(rows, str), rows
        writer.append(case, rows)
    writer.write_index()
    writer.finish({})
    store = SliceStore(tmp_path / "store")
    rows = np.array([9, 1, 4])
    write_scores(tmp_path / "scores.csv", store, rows, ["score"], np.zeros((3, 1)))
    with (tmp_path / "scores.csv").open(newline="") as handle:
        lines = list(csv.DictReader(handle))
    assert [line["file_slice"] for line in lines] == ["4", "1", "4"]
    assert [line["instance_number"] for line in lines] == ["", "2", "5"]
    assert [line["sop_instance_uid"] for line in lines] == ["", *store.index.sop_instance_uid[rows[1:]]]
    assert store.index.sop_instance_uid[1].startswith("2.25.")
