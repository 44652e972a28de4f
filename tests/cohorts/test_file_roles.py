"""What names say of files, one sentence of the rules at a time."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomae.cohorts.file_roles import (
    IMAGE_FOLDERS,
    MASK_FOLDERS,
    bases_of,
    fits,
    given_twice,
    home_of,
    in_mask_folder,
    is_brain_mask_name,
    is_mask_folder,
    mask_base,
    mask_bases,
    stem_of,
)

NAMES = st.text("abxyz019", min_size=1, max_size=6)
WORDS = ("seg", "mask", "label", "gt", "roi", "lesion", "annotation", "Segmentation", "tumor_mask", "ground-truth")


@pytest.mark.parametrize(
    ("name", "stem"),
    [("a.nii.gz", "a"), ("a.b.NII.GZ", "a.b"), ("a.nrrd.gz", "a"), ("a.tar.gz", "a.tar"), ("a", "a"), (".png", ".png")],
)
def test_stems(name, stem):
    assert stem_of(Path(name)) == stem


def test_a_folder_of_slices_keeps_its_dots(tmp_path):
    (tmp_path / "p1.v2").mkdir()
    assert stem_of(tmp_path / "p1.v2") == "p1.v2"


@given(NAMES, st.sampled_from("-_. "), st.sampled_from(WORDS), st.booleans())
def test_an_ending_tells_a_mask_and_of_whom(name, mark, word, upper):
    assert mask_base(f"{name}{mark}{word.upper() if upper else word}") == name
    assert mask_base(word) == ""


@given(NAMES)
def test_a_plain_name_tells_no_mask(name):
    assert mask_base(name) is None
    assert mask_base(f"{name}_t1") is None


@pytest.mark.parametrize(
    ("stem", "base"), [("mask_012", "012"), ("seg-p7", "p7"), ("label_free", None), ("masked", None)]
)
def test_a_beginning_tells_it_where_a_number_follows(stem, base):
    assert mask_base(stem) == base


@pytest.mark.parametrize("name", ["x_brain_mask.nii.gz", "x-BrainMask.nii", "x_bet_mask.nii", "brainmask.nii"])
def test_brain_masks(name):
    assert is_brain_mask_name(Path(name))
    assert not is_brain_mask_name(Path("x_mask.nii"))


@given(NAMES)
def test_a_mask_fits_its_scan_and_the_sequences_of_its_patient(name):
    for scan in (name, name.upper(), f"{name}_t1", f"{name}-FLAIR", f"{name}_0001", f"{name}.t1.desc", f"img_{name}"):
        assert fits(name, scan)
    for other in (f"{name}7", f"{name}_left", f"{name}_2", f"x{name}"):
        assert not fits(name, other)
    assert not fits("", name)


def test_folders_of_masks_and_where_a_file_is_at_home():
    above = Path("/data")
    for folder in MASK_FOLDERS:
        path = above / "abnormal" / folder.upper() / "p1" / "x.png"
        assert in_mask_folder(path, above)
        assert home_of(path, above) == ("abnormal", "p1")
    for folder in IMAGE_FOLDERS:
        assert home_of(above / "abnormal" / folder / "p1" / "x.png", above) == ("abnormal", "p1")
    assert not in_mask_folder(above / "abnormal" / "masks.png", above)
    assert not in_mask_folder(Path("/masks/abnormal/x.png"), Path("/masks"))
    assert in_mask_folder(above / "contours" / "x.png", above, ("contours",))


def test_what_is_given_twice_is_read_compressed():
    twice = [Path("a/X.nii"), Path("a/x.NII.GZ"), Path("b/x.nii"), Path("a/y.nii")]
    assert given_twice(twice) == {Path("a/X.nii")}


@pytest.mark.parametrize(
    "name",
    ["Ground Truth", "ground-truth", "GroundTruthMasks", "lesion_masks", "Masks_manual", "Segmentation Masks", "MASKS"],
)
def test_folders_of_masks_that_are_called_otherwise(name):
    assert is_mask_folder(name)
    assert in_mask_folder(Path("s/abnormal") / name / "x.png", Path("s"))
    assert home_of(Path("s/abnormal") / name / "x.png", Path("s")) == ("abnormal",)
    assert not is_mask_folder(name, ("roi",)) or name.lower() == "roi"


@pytest.mark.parametrize("name", ["without_mask", "with mask", "no_masks", "masked", "mask_07", "unmasked", "GT_RS"])
def test_folders_that_merely_speak_of_masks(name):
    assert not is_mask_folder(name)


@given(NAMES, st.sampled_from("-_. "), st.sampled_from(WORDS), st.sampled_from(["v2", "final", "JD", "by_JD", "(1)"]))
def test_words_behind_a_word_for_mask_leave_it_one(name, mark, word, more):
    assert name in mask_bases(f"{name}{mark}{word}{mark}{more}")
    assert mask_bases(f"{name}{mark}t1{mark}{more}") == []


@given(
    st.text("a-_. T1", max_size=6), st.sampled_from(["", "image_", "IMG-"]), st.sampled_from(["", "_t1", ".ct", "_x"])
)
def test_what_fits_a_scan_is_among_its_bases(name, start, end):
    stem = f"{start}{name}{end}"
    parts = {stem[start:end] for start in range(len(stem) + 1) for end in range(start, len(stem) + 1)}
    assert {part for part in parts if fits(part, stem)} == {part for part in parts if part.lower() in bases_of(stem)}
