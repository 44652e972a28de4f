import numpy as np
import pytest

from anomae.cohorts.case import ABNORMAL, HEALTHY, UNKNOWN
from anomae.cohorts.folder import Folder
from anomae.cohorts.scan_slices import APART
from anomae.errors import UnreadableScan, UserError
from anomae.phantoms.layouts import write_phantom_data_set
from anomae.seeds import generator
from anomae.volumes.patient_ids import pseudonym
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_picture, write_volume


def draw(path, mask=False, number=0):
    """A picture of noise, or a mask with one square set."""
    if mask:
        picture = np.zeros((12, 10), np.uint8)
        picture[3:6, 4:7] = 255
    else:
        picture = generator(number, path.name).integers(0, 255, (12, 10))
    write_picture(path, picture)


def table(cohort):
    return {case.case: (case.patient, case.label, case.split) for case in cohort.cases()}


@pytest.mark.parametrize("names", [("healthy", "abnormal"), ("Normal", "Yes"), ("no", "yes"), ("good", "anomaly")])
def test_usual_names_of_the_classes(names, tmp_path):
    draw(tmp_path / names[0] / "a.png")
    draw(tmp_path / names[1] / "a.png")
    assert table(Folder(tmp_path)) == {
        f"{names[0]}/a.png": (f"{names[0]}/a.png", HEALTHY, ""),
        f"{names[1]}/a.png": (f"{names[1]}/a.png", ABNORMAL, ""),
    }


def test_other_names_are_told(tmp_path):
    for name in ("gesund", "krank", "unklar"):
        draw(tmp_path / name / "a.png")
    with pytest.raises(UserError, match="healthy_name"):
        Folder(tmp_path).cases()
    cohort = Folder(tmp_path, healthy_name="Gesund", abnormal_name="krank,other")
    assert [case.label for case in cohort.cases()] == [HEALTHY, ABNORMAL]
    assert cohort.notes() == (
        "the folder(s) unklar are of no class and were left out (--set healthy_name=A,B --set abnormal_name=C names "
        "the folders of each class)",
        "patients unknown: each file counted as one; leakage cannot be excluded",
    )


def test_a_folder_whose_scans_are_all_healthy(tmp_path):
    for name in ("p1/a.png", "p1/more/b.png", "c.png"):
        draw(tmp_path / name, number=len(name))
    with pytest.raises(UserError, match=r"healthy_name=\."):
        Folder(tmp_path).cases()
    cohort = Folder(tmp_path, healthy_name=".")
    assert table(cohort) == {
        "c.png": ("c.png", HEALTHY, ""),
        "p1/a.png": ("p1", HEALTHY, ""),
        "p1/more/b.png": ("p1", HEALTHY, ""),
    }
    assert cohort.notes()[0] == "every scan below the folder counts as healthy, as healthy_name=. says"


def test_pictures_beside_their_masks_in_a_folder_whose_scans_are_all_healthy(tmp_path):
    for number, name in enumerate(("a", "b")):
        draw(tmp_path / "images" / f"{name}.png", number=number)
    draw(tmp_path / "masks" / "b.png", mask=True)
    cohort = Folder(tmp_path, healthy_name=".")
    assert {case.patient for case in cohort.cases()} == {"images/a.png", "images/b.png"}
    a, b = cohort.cases()
    assert (list(cohort.read(a).labels), list(cohort.read(b).labels)) == ([HEALTHY], [ABNORMAL])  # its mask says so


def test_patients_by_sub_folder_or_pattern(tmp_path):
    for name in ("healthy/p1/x1.png", "healthy/p1/more/x2.png", "abnormal/p1/x1.png", "healthy/x7_4.png"):
        draw(tmp_path / name)
    found = {name: patient for name, (patient, _, _) in table(Folder(tmp_path)).items()}
    assert found == {
        "healthy/p1/x1.png": "p1",
        "healthy/p1/more/x2.png": "p1",
        "abnormal/p1/x1.png": "p1",
        "healthy/x7_4.png": "healthy/x7_4.png",
    }
    found = {name: patient for name, (patient, _, _) in table(Folder(tmp_path, patient_pattern=r"x(\d+)")).items()}
    assert list(found.values()).count("1") == 2
    assert found["healthy/x7_4.png"] == "7"
    with pytest.raises(UserError, match=r"does not match .*\.png"):
        Folder(tmp_path, patient_pattern=r"p(\d)/").cases()
    for wrong in ("x", "(x)(y)", "(x"):
        with pytest.raises(UserError, match="patient_pattern"):
            Folder(tmp_path, patient_pattern=wrong)


def test_mvtec(tmp_path):
    for name in ("train/good/000.png", "test/good/000.png", "test/crack/000.png", "test/hole/000.png"):
        draw(tmp_path / name)
    draw(tmp_path / "ground_truth/crack/000_mask.png", mask=True)
    cohort = Folder(tmp_path)
    assert table(cohort) == {
        "train/good/000.png": ("train/good/000.png", HEALTHY, "train"),
        "test/crack/000.png": ("test/crack/000.png", ABNORMAL, "test"),
        "test/good/000.png": ("test/good/000.png", HEALTHY, "test"),
        "test/hole/000.png": ("test/hole/000.png", ABNORMAL, "test"),
    }
    lesions = {case.case: cohort.read(case).lesions for case in cohort.cases()}
    assert lesions["test/crack/000.png"].sum() == 9
    assert lesions["test/hole/000.png"] is None


def test_bmad(tmp_path):
    draw(tmp_path / "train/good/1.png")
    for split in ("valid", "test"):
        for kind in ("good", "Ungood"):
            draw(tmp_path / split / kind / "img" / "1.png", number=kind == "good")
            write_picture(tmp_path / split / kind / "label" / "1.png", np.full((12, 10), 255 * (kind == "Ungood")))
    cohort = Folder(tmp_path)
    found = {case.case: (case.split, case.label, cohort.read(case)) for case in cohort.cases()}
    assert {name: (split, label) for name, (split, label, _) in found.items()} == {
        "train/good/1.png": ("train", HEALTHY),
        "valid/good/img/1.png": ("validation", HEALTHY),
        "valid/Ungood/img/1.png": ("validation", ABNORMAL),
        "test/good/img/1.png": ("test", HEALTHY),
        "test/Ungood/img/1.png": ("test", ABNORMAL),
    }
    assert found["test/Ungood/img/1.png"][2].lesions.all()
    assert not found["test/good/img/1.png"][2].lesions.any()
    assert found["train/good/1.png"][2].lesions is None


def test_scans_with_and_without_a_mask_beside_them(tmp_path):
    grid = Grid((5, 6, 7), (2.0, 1.0, 1.0))
    voxels = np.arange(210, dtype=np.int16).reshape(5, 6, 7)
    lesion = np.zeros((5, 6, 7), np.uint8)
    lesion[3, 2, 2] = 1
    for name in ("healthy/a/t1.nii.gz", "abnormal/b/t1.nii.gz", "abnormal/c/t1.nrrd"):
        write_volume(tmp_path / name, voxels, grid)
    write_volume(tmp_path / "abnormal/b/t1_seg.nii.gz", lesion, grid)
    write_volume(tmp_path / "abnormal/d/lonely_mask.nii.gz", lesion, grid)
    cohort = Folder(tmp_path)
    found = {case.patient: (case.label, cohort.read(case)) for case in cohort.cases()}
    assert {patient: label for patient, (label, _) in found.items()} == {"a": HEALTHY, "b": UNKNOWN, "c": ABNORMAL}
    assert found["b"][1].labels.tolist() == [0, 0, 0, 1, 0]
    assert found["c"][1].labels.tolist() == [1] * 5
    assert cohort.notes() == (
        "1 of 3 scans were paired with a lesion mask; prepare.json names each",
        "1 abnormal scans have no lesion mask while others have; all their slices count as abnormal",
        "1 lesion masks lie beside no scan of their name and were left out",
        "3 patient(s) of 3 scan(s) were told by the folder that they lie in, which is a guess",
    )
    assert cohort.pairing()["pairs"] == {"abnormal/b/t1.nii.gz": "abnormal/b/t1_seg.nii.gz"}


def test_a_mask_of_another_size_is_refused(tmp_path):
    draw(tmp_path / "healthy/a.png")
    draw(tmp_path / "abnormal/b.png")
    write_picture(tmp_path / "abnormal/b_mask.png", np.ones((3, 3)))
    cohort = Folder(tmp_path)
    refused = next(case for case in cohort.cases() if case.label == ABNORMAL)
    with pytest.raises(UnreadableScan, match="has shape"):
        cohort.read(refused)


def test_pictures_of_unlike_size_are_fine(tmp_path):
    draw(tmp_path / "healthy/a.png")
    write_picture(tmp_path / "healthy/b.jpg", np.ones((20, 30)))
    cohort = Folder(tmp_path)
    assert [cohort.read(case).images.shape for case in cohort.cases()] == [(1, 1, 12, 10), (1, 1, 20, 30)]


def test_made_up_patients_are_named_by_their_headers(tmp_path):
    write_phantom_data_set(tmp_path, "folder", count=4, seed=0, shape=(10, 20, 20), file_format="dicom")
    cohort = Folder(tmp_path)
    cases = cohort.cases()
    assert [case.patient for case in cases] == [pseudonym(f"PHANTOM{case.source.name[-3:]}") for case in cases]
    assert [case.case.split("/")[0] for case in cases].count("healthy") == 2
    for case in cases:
        assert (ABNORMAL in cohort.read(case).labels) == case.case.startswith("abnormal")


def test_options_that_do_not_go_together(tmp_path):
    with pytest.raises(UserError, match="not both"):
        Folder(tmp_path, patient_pattern="(x)", near_duplicates=True)
    with pytest.raises(UserError, match="per_cluster"):
        Folder(tmp_path, per_cluster=2)
    (tmp_path / "healthy").mkdir()
    with pytest.raises(UserError, match="no scans or pictures"):
        Folder(tmp_path).cases()


def test_near_duplicates_are_one_patient(tmp_path):
    picture = generator(0, "picture").integers(0, 255, (40, 40))
    write_picture(tmp_path / "no/a.png", picture)
    write_picture(tmp_path / "no/b.png", picture[:, ::-1])
    write_picture(tmp_path / "no/c.png", generator(1, "picture").integers(0, 255, (40, 40)))
    write_picture(tmp_path / "yes/d.png", np.rot90(picture) // 2)
    cohort = Folder(tmp_path, near_duplicates=True)
    patients = {case.source.stem: case.patient for case in cohort.cases()}
    assert patients["a"] == patients["b"] == patients["d"] != patients["c"]
    assert cohort.notes()[0] == "4 pictures fall into 2 clusters of near-duplicates"
    assert "the patients themselves are unknown" in cohort.notes()[1]
    assert cohort.patients_told() == {"cluster": {"scans": 4, "patients": 2}}
    assert len(Folder(tmp_path, near_duplicates=True, per_cluster=1).cases()) == 3


def test_a_lesion_mask_of_a_subject_counts_for_the_scans_that_it_lies_on(tmp_path):
    lesion = np.zeros((4, 6, 6), np.uint8)
    lesion[1, 2:4, 2:4] = 1
    for name, depth in (("T1w", 5), ("FLAIR", 4)):
        for folder in ("healthy/sub-2/sub-2", "abnormal/sub-1/sub-1"):
            voxels = generator(0, name).integers(1, 99, (depth, 6, 6)).astype(np.int16)
            (tmp_path / folder).parent.mkdir(parents=True, exist_ok=True)
            write_volume(tmp_path / f"{folder}_{name}.nii.gz", voxels, Grid(voxels.shape))
    write_volume(tmp_path / "abnormal/sub-1/sub-1_label-lesion_mask.nii.gz", lesion, Grid(lesion.shape))
    cohort = Folder(tmp_path)
    found = {case.source.name: cohort.read(case) for case in cohort.cases()}
    assert found["sub-1_FLAIR.nii.gz"].labels.tolist() == [HEALTHY, ABNORMAL, HEALTHY, HEALTHY]
    assert found["sub-1_T1w.nii.gz"].labels.tolist() == [ABNORMAL] * 5
    assert {name for name, read in found.items() if APART in read.notes} == {"sub-1_T1w.nii.gz"}
