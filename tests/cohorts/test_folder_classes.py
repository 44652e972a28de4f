"""Which folders are of which class, in the layouts that folders come in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomae.cohorts.case import ABNORMAL, HEALTHY
from anomae.cohorts.folder_classes import ABNORMAL_NAMES, HEALTHY_NAMES, SPLIT_NAMES, find_class_folders
from anomae.errors import UserError


def found(folder, *inner, **names):
    """Class folder -> (label, split), and the folders of no class."""
    for name in inner:
        (folder / name).mkdir(parents=True, exist_ok=True)
    classes, unused = find_class_folders(folder, **names)
    return {each.root.relative_to(folder).as_posix(): (each.label, each.split) for each in classes}, unused


@given(st.sampled_from(HEALTHY_NAMES), st.sampled_from(ABNORMAL_NAMES), st.booleans())
def test_usual_names_in_any_case(tmp_path_factory, healthy, abnormal, upper):
    folder = tmp_path_factory.mktemp("classes")
    names = [name.upper() if upper else name for name in (healthy, abnormal)]
    classes, unused = found(folder, *names, ".git", "__MACOSX", "masks", "others")
    assert classes == {names[0]: (HEALTHY, ""), names[1]: (ABNORMAL, "")}
    assert unused == ["others"]


@given(st.sampled_from(sorted(SPLIT_NAMES)))
def test_in_a_folder_of_a_split_every_other_name_is_a_defect(tmp_path_factory, split):
    folder = tmp_path_factory.mktemp("splits")
    classes, unused = found(folder, f"{split.title()}/good", f"{split.title()}/scratch", "ground_truth/scratch")
    assert set(classes.values()) == {(HEALTHY, SPLIT_NAMES[split]), (ABNORMAL, SPLIT_NAMES[split])}
    assert unused == []


def test_classes_beside_the_folders_of_splits_are_said(tmp_path):
    classes, unused = found(tmp_path, "test/good", "test/spot", "healthy", "abnormal", "masks")
    assert set(classes) == {"test/good", "test/spot"}
    assert unused == ["abnormal", "healthy"]


def test_pictures_in_a_folder_of_their_own_beside_their_masks(tmp_path):
    (tmp_path / "bad" / "img").mkdir(parents=True)
    (tmp_path / "bad" / "label").mkdir()
    (tmp_path / "good" / "img").mkdir(parents=True)
    (tmp_path / "good" / "more").mkdir()
    classes, _ = find_class_folders(tmp_path)
    assert [each.folder.relative_to(tmp_path).as_posix() for each in classes] == ["bad/img", "good"]


def test_names_that_are_told(tmp_path):
    inner = ("Control", "Glioma", "Other")
    told = {"healthy_name": "control", "abnormal_name": "glioma, meningioma"}
    assert found(tmp_path, *inner, **told) == ({"Control": (HEALTHY, ""), "Glioma": (ABNORMAL, "")}, ["Other"])
    with pytest.raises(UserError, match="no folder of healthy scans"):
        find_class_folders(tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        find_class_folders(tmp_path / "nowhere")


def test_a_class_in_another_is_refused(tmp_path):
    for inside in ("healthy/abnormal", "abnormal/part1/Normal", "healthy/lesion"):
        with pytest.raises(UserError, match="in it is called as another; move it beside"):
            found(tmp_path / inside.replace("/", "_"), "healthy", "abnormal", inside)
    assert found(tmp_path / "fine", "healthy/p1/lesion", "healthy/good", "abnormal/bad")[1] == []
    assert found(tmp_path / "told", "healthy", "abnormal", "healthy/abnormal", labelled=True)[1] == []


def test_a_folder_of_healthy_scans_alone_is_said_to_be_one(tmp_path):
    assert found(tmp_path, "p1", "p2/masks", healthy_name=".") == ({".": (HEALTHY, "")}, [])
    with pytest.raises(UserError, match=r"if all its scans are healthy, say so: --set healthy_name=\."):
        find_class_folders(tmp_path)
    for names in ({"healthy_name": "., normal"}, {"healthy_name": ".", "abnormal_name": "p2"}):
        with pytest.raises(UserError, match="give no other name"):
            find_class_folders(tmp_path, **names)
    (tmp_path / "p2" / "Abnormal").mkdir()
    with pytest.raises(UserError, match="Abnormal in it is called as another"):
        find_class_folders(tmp_path, healthy_name=".")
    assert find_class_folders(tmp_path, healthy_name=".", labelled=True)[0][0].label == HEALTHY  # the table wins


def test_healthy_scans_alone_in_the_folders_of_splits(tmp_path):
    classes, unused = found(tmp_path, "train/p1", "val/p2", "masks", "notes", healthy_name=".")
    assert classes == {"train": (HEALTHY, "train"), "val": (HEALTHY, "validation")}
    assert unused == ["notes"]
    assert find_class_folders(tmp_path, healthy_name=".")[0][0].masks == (tmp_path / "masks",)
