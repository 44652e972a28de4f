"""The store's index says of every row which slice of its file it is, and of DICOM which instance."""

import csv

import numpy as np
import pydicom

from anomae.cohorts.case import Case, Cohort
from anomae.cohorts.scan_slices import read_scan_slices
from anomae.slices.rows import rows_or_reason
from anomae.slices.split_rule import SplitRule
from anomae.slices.store import SliceStore
from anomae.slices.writer import StoreWriter
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_dicom_series, write_volume

UPSIDE_DOWN = (1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, -1.0)
SAGITTAL = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)


class Scans(Cohort):
    name = "scans"

    def __init__(self, paths):
        self.paths = paths

    def cases(self):
        return [Case(name, name, path, split="test") for name, path in self.paths.items()]

    def read(self, case):
        return read_scan_slices(case.source, label=0)


def test_columns_of_scans_of_every_kind(tmp_path, small):
    rng = np.random.default_rng(0)
    voxels = rng.integers(0, 900, (5, 20, 24)).astype(np.int16)
    across = rng.integers(0, 900, (24, 20, 5)).astype(np.int16)
    write_dicom_series(tmp_path / "series", voxels, Grid(voxels.shape, direction=UPSIDE_DOWN))
    write_dicom_series(tmp_path / "sagittal", across, Grid(across.shape, direction=SAGITTAL))
    write_volume(tmp_path / "a.nii.gz", voxels, Grid(voxels.shape, direction=UPSIDE_DOWN))
    cohort = Scans({"series": tmp_path / "series", "sagittal": tmp_path / "sagittal", "nifti": tmp_path / "a.nii.gz"})
    writer = StoreWriter(tmp_path / "store", {"cases": "x"}, small)
    for case in cohort.cases():
        rows = rows_or_reason(case, cohort, SplitRule(), small)
        assert not isinstance(rows, str), rows
        writer.append(case, rows)
    writer.write_index()
    writer.finish({})
    index = SliceStore(tmp_path / "store").index
    series, sagittal, nifti = (index.case == name for name in ("series", "sagittal", "nifti"))
    instances = {header.SOPInstanceUID: header for header in map(pydicom.dcmread, (tmp_path / "series").iterdir())}
    uids = index.sop_instance_uid[series].tolist()
    assert sorted(uids) == sorted(instances)
    assert index.instance_number[series].tolist() == [instances[uid].InstanceNumber for uid in uids]
    heights = [float(instances[uid].ImagePositionPatient[2]) for uid in uids]
    np.testing.assert_allclose(index.position_mm[series], heights)
    assert (np.diff(index.position_mm[series]) > 0).all()
    assert index.file_slice[nifti].tolist() == [4, 3, 2, 1, 0]
    for other in (sagittal, nifti):
        assert set(index.sop_instance_uid[other]) == {""}
        assert set(index.instance_number[other]) == {-1}
    assert set(index.file_slice[sagittal]) == {-1}
    with (tmp_path / "store" / "index.csv").open(newline="") as handle:
        lines = list(csv.DictReader(handle))
    assert {line["file_slice"] for line in lines if line["case"] == "sagittal"} == {""}
    assert {line["instance_number"] for line in lines if line["case"] == "nifti"} == {""}
