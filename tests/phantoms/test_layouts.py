"""Made-up data sets: names and contents as the real ones have them, and the truth beside them true."""

import csv
import hashlib

import h5py
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from PIL import Image

from anomae.errors import UserError
from anomae.phantoms.layouts import LAYOUTS, SLICE_CHANNELS, write_phantom_data_set

SHAPE = (12, 32, 32)


def read(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def rows(path):
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


def names_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("layout", "file_format"), [(layout, kind.formats[0]) for layout, kind in LAYOUTS.items()] + [("folder", "dicom")]
)
def test_the_same_wish_writes_the_same_and_another_seed_another(tmp_path, layout, file_format):
    digests = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_phantom_data_set(tmp_path / name, layout, count=3, seed=seed, shape=(10, 20, 20), file_format=file_format)
        assert not list((tmp_path / name).rglob(".part-*"))
        found = names_below(tmp_path / name)
        # A .gz and a .npz hold the time of writing, so what is in them is compared.
        digests.append({file: _digest(tmp_path / name / file) for file in found})
    assert digests[0] == digests[1]
    assert digests[0] != digests[2]


def _digest(path):
    if path.suffix == ".gz":
        content = read(path).tobytes()
    elif path.suffix == ".npz":
        with np.load(path) as found:
            content = b"".join(found[name].tobytes() for name in sorted(found))
    else:
        content = path.read_bytes()
    return hashlib.sha256(content).hexdigest()


def test_progress_is_told_of_every_patient(tmp_path):
    class Count:
        steps = 0

        def advance(self, steps=1, note=""):
            self.steps += steps

    for layout in LAYOUTS:
        watch = Count()
        write_phantom_data_set(tmp_path / layout, layout, count=4, shape=(10, 20, 20), watch=watch)
        assert watch.steps == 4


@pytest.mark.parametrize("file_format", ["nii.gz", "nii"])
def test_brats2020_folders(tmp_path, file_format):
    write_phantom_data_set(tmp_path, "brats2020", count=3, shape=SHAPE, file_format=file_format, first=354)
    wanted = ["name_mapping.csv"]
    for number in (354, 355, 356):
        case = f"BraTS20_Training_{number}"
        segmentation = "W39_1998.09.19_Segm" if number == 355 else f"{case}_seg"
        wanted += [f"{case}/{case}_{name}.{file_format}" for name in ("t1", "t1ce", "t2", "flair")]
        wanted.append(f"{case}/{segmentation}.{file_format}")
    assert names_below(tmp_path) == sorted(wanted)
    for number in (354, 356):
        folder = tmp_path / f"BraTS20_Training_{number}"
        lesions = read(folder / f"BraTS20_Training_{number}_seg.{file_format}")
        assert lesions.any()
        assert set(np.unique(lesions)) <= {0, 1, 2, 4}
        flair = read(folder / f"BraTS20_Training_{number}_flair.{file_format}")
        t1 = read(folder / f"BraTS20_Training_{number}_t1.{file_format}")
        assert (flair[lesions > 0] > 0).all()
        np.testing.assert_array_equal(flair > 0, t1 > 0)  # the same skull-stripped brain
        header = sitk.ReadImage(str(folder / f"BraTS20_Training_{number}_t1.{file_format}"))
        assert header.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)
        assert header.GetOrigin()[0] == header.GetOrigin()[2] == 0


def test_full_brats_grids_are_the_real_ones(tmp_path):
    write_phantom_data_set(tmp_path, "brats2020", count=1, shape=(155, 24, 24), file_format="nii")
    header = sitk.ReadImage(str(tmp_path / "BraTS20_Training_001/BraTS20_Training_001_t1.nii"))
    assert header.GetSpacing() == (10, 10, 1)
    assert header.GetOrigin() == (0, -230, 0)


def test_brats2020_slice_files_hold_the_same_patients(tmp_path):
    write_phantom_data_set(tmp_path / "slices", "brats2020-slices", count=2, shape=SHAPE)
    write_phantom_data_set(tmp_path / "scans", "brats2020", count=2, shape=SHAPE)
    assert len(names_below(tmp_path / "slices")) == 2 * SHAPE[0]
    case = tmp_path / "scans/BraTS20_Training_002"
    lesions = read(case / "BraTS20_Training_002_seg.nii.gz")
    for channel, modality in enumerate(SLICE_CHANNELS):
        scan = read(case / f"BraTS20_Training_002_{modality}.nii.gz").astype(float)
        for place in range(SHAPE[0]):
            with h5py.File(tmp_path / f"slices/volume_2_slice_{place}.h5") as file:
                image, mask = file["image"][()], file["mask"][()]
            assert image.shape == (32, 32, 4)
            assert image.dtype == np.float64
            assert mask.shape == (32, 32, 3)
            assert mask.dtype == np.uint8
            np.testing.assert_allclose(image[:, :, channel], (scan[place] - scan.mean()) / scan.std(), atol=1e-9)
            for plane, part in enumerate((1, 2, 4)):
                np.testing.assert_array_equal(mask[:, :, plane] == 1, lesions[place] == part)


@pytest.fixture(scope="module")
def luna(tmp_path_factory):
    folder = tmp_path_factory.mktemp("luna")
    write_phantom_data_set(folder, "luna16", count=5, seed=3, shape=(24, 64, 64))
    return folder


def test_luna16_files(luna):
    scans = sorted(luna.glob("subset*/*.mhd"))
    assert len(scans) == 5
    assert sorted(path.name for path in luna.glob("subset*")) == [f"subset{k}" for k in range(10)]
    assert all(path.with_suffix(".raw").is_file() for path in scans)
    assert (luna / "candidates.csv").read_text().startswith("seriesuid,coordX,coordY,coordZ,class\n")
    assert (luna / "annotations.csv").read_text().startswith("seriesuid,coordX,coordY,coordZ,diameter_mm\n")
    assert {row["seriesuid"] for row in rows(luna / "candidates.csv")} == {path.name[:-4] for path in scans}


def test_candidates_are_what_they_are_called(luna):
    """Nodules are brighter than the lung around them, and no other candidate lies near one."""
    candidates, nodules = rows(luna / "candidates.csv"), rows(luna / "annotations.csv")
    assert 0 < len(nodules) == sum(row["class"] == "1" for row in candidates) < len(candidates) / 3
    directions = set()
    for path in luna.glob("subset*/*.mhd"):
        scan = sitk.ReadImage(str(path))
        directions.add(scan.GetDirection()[0])
        own = [row for row in candidates if row["seriesuid"] == path.name[:-4]]
        balls = [(_place(row), float(row["diameter_mm"])) for row in nodules if row["seriesuid"] == path.name[:-4]]
        for row in own:
            index = scan.TransformPhysicalPointToIndex(_place(row).tolist())  # raises where it is outside the scan
            distances = [np.linalg.norm(_place(row) - middle) for middle, _ in balls]
            if row["class"] == "1":
                nearest = int(np.argmin(distances))
                assert distances[nearest] <= min(balls[nearest][1] / 4, 3) + 1e-6
                assert scan.GetPixel(*index) > -830
            else:
                assert min(distances) > 10
    assert directions == {1.0, -1.0}  # some scans lie turned in their files


def _place(row):
    return np.array([float(row[name]) for name in ("coordX", "coordY", "coordZ")])


def test_candidates_fall_on_the_nodules_of_the_phantom(luna):
    from anomae.phantoms.candidates import list_candidates
    from anomae.phantoms.phantom import make_chest
    from anomae.seeds import generator

    for seed in range(5):
        chest = make_chest(seed, shape=(24, 64, 64), lesions=3)
        found, nodules = list_candidates(chest, generator(seed, "test"))
        to_index = np.linalg.inv(chest.grid.affine_lps())
        for *place, kind in found:
            x, y, z = np.rint(to_index @ (*place, 1))[:3].astype(int)
            assert chest.lesions[z, y, x] == (kind == 1)
            assert chest.body[z, y, x]
        assert sum(kind == 1 for *_, kind in found) == len(nodules) == 3


def test_lgg_folders(tmp_path):
    write_phantom_data_set(tmp_path, "lgg", count=8, shape=(10, 24, 24))
    table = rows(tmp_path / "patients.csv")
    assert list(table[0]) == ["patient", "part", "slices", "tumour_slices", "has_t1"]
    assert {row["part"] for row in table} == {"train", "validation", "report"}
    assert [row["has_t1"] for row in table].count("0") == 1
    for row in table:
        folder = tmp_path / row["patient"]
        flair, lesions = (read(folder / f"{row['patient']}_{kind}.nii.gz") for kind in ("flair", "seg"))
        assert (folder / f"{row['patient']}_t1.nii.gz").exists() == (row["has_t1"] == "1")
        assert flair.dtype == lesions.dtype == np.uint8
        assert set(np.unique(lesions)) == {0, 1}
        assert (len(flair), (lesions.any((1, 2))).sum()) == (int(row["slices"]), int(row["tumour_slices"]))
        assert flair.max() == 255


@pytest.mark.parametrize("file_format", LAYOUTS["folder"].formats)
def test_class_folders(tmp_path, file_format):
    write_phantom_data_set(tmp_path, "folder", count=4, shape=(12, 24, 24), file_format=file_format)
    healthy = sorted(path.name for path in (tmp_path / "healthy").iterdir())
    abnormal = sorted(path.name for path in (tmp_path / "abnormal").iterdir() if path.is_dir())
    assert (healthy, abnormal) == (["patient_001", "patient_003"], ["patient_002", "patient_004"])
    patient = tmp_path / "abnormal/patient_002"
    if file_format in ("png", "jpg", "tiff"):
        for path in tmp_path.rglob(f"*.{file_format}"):
            with Image.open(path) as picture:
                assert (picture.mode, picture.size) == ("L", (24, 24))
                assert np.asarray(picture).max() > 100
        assert list(patient.glob("slice_*"))
    elif file_format == "dicom":
        slices = [pydicom.dcmread(path) for path in sorted(patient.iterdir())]
        assert [one.ImagePositionPatient[2] for one in slices] == sorted(one.ImagePositionPatient[2] for one in slices)
        assert {one.Modality for one in slices} == {"MR"}
        assert read(tmp_path / "abnormal/patient_002_seg.nii.gz").shape == (12, 24, 24)
    elif file_format in ("npy", "npz"):
        scan, lesions = (np.load(patient / f"{name}.{file_format}") for name in ("scan", "scan_seg"))
        voxels, marked = (found if file_format == "npy" else found["voxels"] for found in (scan, lesions))
        assert voxels.shape == marked.shape == (12, 24, 24)
    else:
        assert read(patient / f"scan.{file_format}").shape == (12, 24, 24)
        assert read(patient / f"scan_seg.{file_format}").any()
        assert not (tmp_path / f"healthy/patient_001/scan_seg.{file_format}").exists()


def test_mvtec_folders(tmp_path):
    write_phantom_data_set(tmp_path, "mvtec", count=7, shape=(16, 32, 32))
    found = names_below(tmp_path)
    patients = {
        part: {name.rpartition("/")[2][:4] for name in found if name.startswith(part)}
        for part in ("train/good", "test/good", "test/large", "test/small", "ground_truth")
    }
    assert patients["train/good"] == {"p001", "p004", "p005"}
    assert patients["test/good"] == {"p002", "p006"}
    assert patients["test/large"] | patients["test/small"] == patients["ground_truth"] == {"p003", "p007"}
    for path in (tmp_path / "test").glob("[ls]*/*.png"):
        mask = tmp_path / "ground_truth" / path.parent.name / f"{path.stem}_mask.png"
        with Image.open(mask) as picture:
            assert set(np.unique(np.asarray(picture))) == {0, 255}


def test_arrays(tmp_path):
    write_phantom_data_set(tmp_path, "arrays", count=4, shape=(12, 24, 24))
    with np.load(tmp_path / "slices.npz", allow_pickle=False) as found:
        assert found["images"].shape == found["lesions"].shape
        assert found["images"].dtype == np.uint8
        np.testing.assert_array_equal(found["labels"], found["lesions"].any((1, 2)))
        assert sorted(set(found["groups"])) == ["patient_001", "patient_002", "patient_003", "patient_004"]
        ill = set(found["groups"][found["labels"] == 1])
        assert ill == {"patient_002", "patient_004"}
        assert len(found["slices"]) == len(found["images"])


@pytest.mark.parametrize(
    ("layout", "options", "says"),
    [
        ("brats", {}, "brats2020"),
        ("lgg", {"file_format": "png"}, "nii.gz"),
        ("mvtec", {"count": 2}, "3 patients"),
        ("arrays", {"count": 0}, "2 patients"),
        ("luna16", {"first": 0}, "from 1"),
        ("folder", {"shape": (4, 32, 32)}, "8 to 1024"),
        ("folder", {"shape": (32, 32, 10**6)}, "8 to 1024"),
    ],
)
def test_wrong_wishes_are_refused_before_anything_is_written(tmp_path, layout, options, says):
    with pytest.raises(UserError, match=says):
        write_phantom_data_set(tmp_path / "set", layout, **options)
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("modality", ["MR", "ct", None])
def test_dicom_series_and_the_truth_about_them(tmp_path, modality):
    write_phantom_data_set(tmp_path, "dicom", shape=SHAPE, modality=modality)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lesions.csv", "patient_001"]
    slices = [pydicom.dcmread(path) for path in sorted((tmp_path / "patient_001").iterdir())]
    assert len(slices) == SHAPE[0]
    assert {one.Modality for one in slices} == {(modality or "MR").upper()}
    for row in rows(tmp_path / "lesions.csv"):
        x, y, z = (float(row[name]) for name in ("x_mm", "y_mm", "z_mm"))
        one = min(slices, key=lambda one: abs(float(one.ImagePositionPatient[2]) - z))
        across, down = one.PixelSpacing[::-1]
        column, line = (x - one.ImagePositionPatient[0]) / across, (y - one.ImagePositionPatient[1]) / down
        assert abs(column - round(column)) < 0.01
        assert 0 <= round(line) < one.Rows


def test_a_layout_without_a_choice_of_modality_says_so(tmp_path):
    with pytest.raises(UserError, match="no choice of modality"):
        write_phantom_data_set(tmp_path, "lgg", modality="MR")
    with pytest.raises(UserError, match="MR or CT"):
        write_phantom_data_set(tmp_path, "dicom", modality="PET")
    assert not list(tmp_path.iterdir())
