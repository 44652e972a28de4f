"""What the files of scans say beside their pictures: volumes, pictures, folders, notes."""

import numpy as np
import pytest
from PIL import Image

from anomae.files import write_json
from anomae.slices.acquisition import scan_facts
from anomae.volumes.volume import Grid

CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, -1.0, 0.0)


@pytest.mark.parametrize(
    ("direction", "told"),
    [((1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0), (20, 64, 1.5, 5.0)), (CORONAL, (64, 48, 3.0, 2.0))],
)
def test_of_a_volume_the_axial_slices_count_however_it_is_stored(tmp_path, direction, told):
    grid = Grid((20, 64, 48), (5.0, 2.0, 1.0), direction=direction)
    write_json(tmp_path / "cases.json", {"a": {"source": "/scans/a.nii.gz", "grid": grid.to_json()}})
    numbers, names = scan_facts(tmp_path, ["a"])
    assert [float(values[0]) for values in numbers.values()] == pytest.approx(told)
    assert names["kind of file"] == [{".nii.gz"}]


def test_of_a_picture_its_longer_side_and_its_kind(tmp_path):
    cases = {}
    for name, size in (("a.png", (30, 20)), ("b.jpg", (16, 40)), ("broken.png", None)):
        if size is None:
            (tmp_path / name).write_bytes(b"no picture")
        else:
            Image.new("L", size).save(tmp_path / name)
        cases[name] = {"source": str(tmp_path / name), "grid": None}
    cases["gone.png"] = {"source": str(tmp_path / "gone.png")}
    write_json(tmp_path / "cases.json", cases)
    numbers, names = scan_facts(tmp_path, [*cases, "unheard of"])
    np.testing.assert_array_equal(numbers["pixels in a row or column"], [30, 40, np.nan, np.nan, np.nan])
    assert names["kind of file"] == [{".png"}, {".jpg"}, {".png"}, {".png"}, set()]
    assert all(np.isnan(numbers[name]).all() for name in ("slices", "pixel size (mm)", "slice distance (mm)"))


def test_headers_and_notes_count_but_those_of_lesion_masks(tmp_path):
    (tmp_path / "series").mkdir()
    notes = ["It was turned.", "12 voxels are padding.", "its lesion mask is in colour"]
    entry = {"source": str(tmp_path / "series"), "modality": "MR", "body_part": "", "sequence": "T1", "notes": notes}
    write_json(tmp_path / "cases.json", {"a": entry, "b": {**entry, "notes": ["7 voxels are padding."]}})
    _, names = scan_facts(tmp_path, ["a", "b"])
    assert names["kind of file"] == [{"folder"}] * 2
    assert (names["modality"][0], names["body part"][0], names["sequence"][0]) == ({"MR"}, set(), {"T1"})
    assert names["note"] == [{"It was turned", "# voxels are padding"}, {"# voxels are padding"}]


def test_a_store_that_wrote_nothing_of_its_scans_tells_nothing(tmp_path):
    numbers, names = scan_facts(tmp_path, ["a", "b"])
    assert all(np.isnan(values).all() for values in numbers.values())
    assert all(each == set() for values in names.values() for each in values)
