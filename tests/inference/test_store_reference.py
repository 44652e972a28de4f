"""What is kept of a store: of DICOM scans the header's words, of all a bounded number of slices."""

import shutil

import numpy as np
import pytest

from anomae.files import read_json, write_json
from anomae.inference import store_reference as module
from anomae.inference.store_reference import store_reference
from anomae.slices.settings import PrepareSettings
from anomae.slices.store import SliceStore
from anomae.stages.prepare import prepare
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_dicom_series


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Ten DICOM series of as many patients."""
    folder = tmp_path_factory.mktemp("series")
    rng = np.random.default_rng(0)
    for number in range(10):
        voxels = rng.integers(0, 200, (10, 24, 24)).astype(np.int16)
        grid = Grid((10, 24, 24), (3.0, 1.0 + number / 10, 1.0))
        write_dicom_series(folder / "scans" / "healthy" / f"p{number}", voxels, grid, patient=f"Doe{number}")
    settings = PrepareSettings(image_size=(16, 16))
    return prepare("folder", folder / "scans", folder / "store", workers=0, settings=settings)


def test_modality_and_body_part_come_from_the_headers(store):
    cases = read_json(store.folder / "cases.json")
    assert {facts["modality"] for facts in cases.values()} == {"CT"}
    reference = store_reference(store)
    assert reference.modalities == ("CT",)
    assert reference.scans == len(set(store.index.case[store.rows("train", label=0)]))
    assert reference.slice_mm == (3.0, 3.0)
    assert reference.planes == ("axial",)
    assert len(reference.features.held_out) == reference.scans + len(set(store.index.case[store.rows("validation")]))


def test_a_store_that_says_less_is_compared_by_less(store, tmp_path):

    copy = tmp_path / "store"
    shutil.copytree(store.folder, copy)
    cases = read_json(copy / "cases.json")
    old = {name: {key: facts[key] for key in ("source", "grid")} for name, facts in cases.items()}
    write_json(copy / "cases.json", old)
    assert store_reference(SliceStore(copy)).modalities == ()
    (copy / "cases.json").unlink()
    assert store_reference(SliceStore(copy)).pixel_mm is None


def test_a_bounded_number_of_slices_is_looked_at(store, monkeypatch):
    seen = []
    monkeypatch.setattr(module, "learn_features", lambda training, held_out: seen.extend([training, held_out]))
    monkeypatch.setattr(module, "MOST_SCANS", 2)
    store_reference(store)
    assert len(seen[0]) == 2
    assert all(len(scan) == module.SLICES for scan in seen[0])
