import json

import numpy as np
import pytest

from anomae.cohorts.benchmark_pictures import Bmad, MedIAnomaly
from anomae.cohorts.case import ABNORMAL, HEALTHY
from anomae.cohorts.picture_set import UNKNOWN_PATIENTS
from anomae.cohorts.scan_slices import UNDER_HEALTHY
from anomae.errors import UserError
from anomae.phantoms.layouts import write_phantom_data_set
from anomae.volumes.write import write_picture

BLANK = np.zeros((20, 18), np.uint8)


def written(folder, layout):
    write_phantom_data_set(folder, layout, count=4, seed=1, shape=(12, 20, 18))
    return folder


@pytest.mark.parametrize(("cohort", "layout"), [(Bmad, "bmad"), (MedIAnomaly, "medianomaly")])
def test_labels_splits_patients_and_masks(cohort, layout, tmp_path):
    opened = cohort(written(tmp_path / "unpacked" / "data", layout).parent)
    cases = opened.cases()
    assert {(case.split, case.label) for case in cases} == {("train", HEALTHY), ("test", HEALTHY), ("test", ABNORMAL)}
    assert len({case.patient for case in cases}) == 4
    assert opened.notes() == ("4 patients were told from the names of the pictures",)
    assert not any(word in case.case for case in cases for word in ("/label/", "annotation", "_seg_"))
    for case in cases:
        assert (case.lesion is not None) or case.label == HEALTHY
        assert opened.read(case).labels.tolist() == [case.label]


def test_an_abnormal_picture_with_an_empty_mask_never_becomes_healthy(tmp_path):
    opened = Bmad(written(tmp_path, "bmad"))
    case = next(case for case in opened.cases() if case.label == ABNORMAL)
    write_picture(case.lesion, BLANK)
    found = opened.read(case)
    assert found.labels.tolist() == [ABNORMAL]
    assert found.lesions is None  # where it lies is not known
    assert any("empty" in note for note in found.notes)


def test_masks_without_picture_and_pictures_without_mask_are_said(tmp_path):
    opened = MedIAnomaly(written(tmp_path, "medianomaly"))
    masks = sorted((tmp_path / "test" / "annotation").iterdir())
    masks[0].rename(masks[0].with_name("other.png"))
    (tmp_path / "test" / "strange").mkdir()
    notes = MedIAnomaly(tmp_path).notes()
    assert "1 lesion masks belong to no picture of their name and were left out" in notes
    assert "the folder(s) strange in test/ are of no class and were left out" in notes
    assert any(note.endswith("abnormal pictures have no lesion mask while others have") for note in notes)
    assert opened.cases()


def listed(folder, told):
    (folder / "images").mkdir(parents=True)
    for number in range(6):
        write_picture(folder / "images" / f"{number}.png", BLANK + number)
    (folder / "data.json").write_text(json.dumps(told))
    return folder


def test_a_json_list_says_label_and_split(tmp_path):
    told = {
        "train": {"0": ["0.png", "1.png"], "unlabeled": ["9.png"]},
        "test": {"0": ["2.png"], "1": ["3.png", "4.png"]},
    }
    opened = MedIAnomaly(listed(tmp_path / "RSNA", told).parent)
    found = [(case.source.name, case.split, case.label) for case in opened.cases()]
    assert found == [
        ("0.png", "train", HEALTHY),
        ("1.png", "train", HEALTHY),
        ("2.png", "test", HEALTHY),
        ("3.png", "test", ABNORMAL),
        ("4.png", "test", ABNORMAL),
    ]
    assert set(opened.notes()) == {
        "data.json has lists other than 0 and 1 (train/unlabeled), left out",
        "1 pictures in images/ stand in no list of data.json and were left out",
        UNKNOWN_PATIENTS,
    }
    listed(tmp_path / "LAG", told)
    with pytest.raises(UserError, match=r"several data sets \(LAG, RSNA\)"):
        MedIAnomaly(tmp_path).cases()


@pytest.mark.parametrize(
    ("told", "cause"),
    [
        ({"train": {"0": ["0.png"]}, "test": {"1": ["0.png"]}}, "twice"),
        ({"train": {"0": ["0.png"]}, "test": {"1": ["./0.png"]}}, "twice"),
        ({"train": {"0": ["0.png", "x/../0.png"]}}, "outside images"),
        ({"train": {"0": ["../0.png"]}}, "outside images"),
        ({"train": ["0.png"]}, "no list of MedIAnomaly"),
        ([], "no list of MedIAnomaly"),
        ({"train": {"0": "0.png"}}, "none of file names"),
    ],
)
def test_a_list_that_contradicts_itself_is_refused(told, cause, tmp_path):
    with pytest.raises(UserError, match=cause):
        MedIAnomaly(listed(tmp_path, told)).cases()


def test_a_listed_picture_that_is_called_healthy_and_has_a_lesion_is_abnormal(tmp_path):
    told = {"train": {"0": ["0.png", "1.png"]}, "test": {"0": ["2.png", "more/4.png"], "1": ["3.png", "4.png"]}}
    listed(tmp_path, told)
    (tmp_path / "images" / "more").mkdir()
    write_picture(tmp_path / "images" / "more" / "4.png", BLANK)
    lesion = np.zeros_like(BLANK)
    lesion[4:9, 3:8] = 255
    (tmp_path / "masks").mkdir()
    for name, mask in (("0", lesion), ("1", BLANK), ("3", lesion), ("4", lesion)):
        write_picture(tmp_path / "masks" / f"{name}.png", mask)
    opened = MedIAnomaly(tmp_path)
    found = {case.source.relative_to(tmp_path / "images").as_posix(): opened.read(case) for case in opened.cases()}
    assert {name: read.labels.tolist() for name, read in found.items()} == {
        "0.png": [ABNORMAL],
        "1.png": [HEALTHY],
        "2.png": [HEALTHY],
        "3.png": [ABNORMAL],
        "4.png": [ABNORMAL],
        "more/4.png": [HEALTHY],  # the mask is of the abnormal picture of its name
    }
    assert [name for name, read in found.items() if UNDER_HEALTHY in read.notes] == ["0.png"]


@pytest.mark.parametrize("masks", ["annotation", "masks"])
def test_two_masks_of_one_name_are_refused(masks, tmp_path):
    listed(tmp_path, {"train": {"0": ["0.png"]}, "test": {"0": ["1.png"], "1": ["2.png"]}})
    (tmp_path / masks).mkdir()
    for ending in ("png", "tif"):
        write_picture(tmp_path / masks / f"2.{ending}", BLANK)
    with pytest.raises(UserError, match=r"2\.png and .*2\.tif are two masks of one name"):
        MedIAnomaly(tmp_path).cases()


def test_a_list_that_is_nested_without_end_is_told(tmp_path):
    listed(tmp_path, {})
    (tmp_path / "data.json").write_text("[" * 100_000)
    with pytest.raises(UserError, match=r"data\.json is not readable as JSON"):
        MedIAnomaly(tmp_path).cases()
