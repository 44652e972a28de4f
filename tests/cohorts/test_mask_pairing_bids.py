"""BIDS' names of lesion masks and of segmentations of tissues: the first are paired, the second are left out."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomae.cohorts import mask_pairing, scan_index
from anomae.cohorts.file_roles import bids_name, home_of, is_tissue_name
from anomae.cohorts.mask_pairing import RoleSettings, pair
from anomae.cohorts.pairing_facts import pairing_notes

ABOVE = Path("/data")
SCANS = ("{0}/anat/{0}_T1w.nii.gz", "{0}/anat/{0}_FLAIR.nii.gz")
MNI = "{0}/ses-1/anat/{0}_ses-1_space-MNI152NLin2009aSym"
PREPARED = [*SCANS, "{0}/anat/{0}_space-MNI_T1w.nii.gz"]
TISSUES = (
    "dseg",
    "desc-aseg_dseg",
    "label-GM_probseg",
    "label-CSF_mask",
    "space-MNI_label-WM_res-2_probseg",
    "probseg",
    "T1w_label-SC_seg",
    "T1w_label-discs_seg",
)


def paired(*names, **told):
    """Scan -> its masks, names below the class folder; and all that was found."""
    found = pair(sorted(ABOVE / "abnormal" / name for name in names), ABOVE, RoleSettings(**told))
    return {path.name: [mask.name for mask in masks] for path, masks in found.lesions.items()}, found


def of_subjects(names, subjects=("sub-p0", "sub-p1", "sub-p10")):
    return [name.format(subject) for name in names for subject in subjects]


@pytest.mark.parametrize(
    ("scans", "mask", "marked"),
    [
        (SCANS, "{0}/anat/{0}_label-lesion_mask", ("T1w", "FLAIR")),
        (SCANS, "{0}/anat/{0}_label-lesion_roi", ("T1w", "FLAIR")),
        (SCANS, "{0}/anat/{0}_desc-lesion_mask", ("T1w", "FLAIR")),
        (SCANS, "{0}/anat/{0}_space-T1w_label-lesion_mask", ("T1w", "FLAIR")),
        (SCANS, "{0}/anat/{0}_FLAIR_label-lesion_mask", ("FLAIR",)),
        (SCANS, "masks/{0}_label-lesion_mask", ("T1w", "FLAIR")),
        (SCANS, "derivatives/lesions/{0}/anat/{0}_label-lesion_roi", ("T1w", "FLAIR")),
        (SCANS, "derivatives/masks/{0}/anat/{0}_label-lesion_mask", ("T1w", "FLAIR")),
        (SCANS, "derivatives/labels/{0}/anat/{0}_label-lesion_mask", ("T1w", "FLAIR")),
        (SCANS, "derivatives/lesion_masks/{0}/anat/{0}_label-lesion_mask", ("T1w", "FLAIR")),
        (SCANS, "derivatives/manual_masks/{0}/anat/{0}_T1w_lesion", ("T1w",)),
        (SCANS, "derivatives/lesion_segmentation/{0}/anat/{0}_T1w", ("T1w",)),
        (SCANS, "derivatives/labels/{0}/anat/{0}_FLAIR_label-lesion_seg", ("FLAIR",)),
        (SCANS, "derivatives/masks/{0}/anat/{0}_run-2_label-lesion_mask", ()),
        (PREPARED, "derivatives/masks/{0}/anat/{0}_space-MNI_label-lesion_mask", ("MNI_T1w",)),
        (PREPARED, "{0}/anat/{0}_label-lesion_mask", ("p0_T1w", "p1_T1w", "p10_T1w", "FLAIR")),
        (PREPARED, "{0}/anat/{0}_space-MNI_label-lesion_mask", ("MNI_T1w",)),
        ([f"{MNI}_T1w.nii.gz", f"{MNI}_FLAIR.nii.gz"], f"{MNI}_label-L_desc-T1lesion_mask", ("T1w", "FLAIR")),
        (["{0}/{0}_run-1_T1w.nii", "{0}/{0}_run-2_T1w.nii"], "{0}/{0}_run-2_label-lesion_mask", ("run-2_T1w",)),
        (["{0}/{0}_run-1_T1w.nii", "{0}/{0}_run-2_T1w.nii"], "{0}/{0}_label-lesion_mask", ()),
    ],
)
def test_a_lesion_mask_is_of_the_scans_of_its_entities(scans, mask, marked):
    below, found = paired(*of_subjects(scans), *of_subjects([f"{mask}.nii.gz"]))
    for scan, masks in below.items():
        wanted = any(scan.partition(".")[0].endswith(each) for each in marked)
        subject = scan.partition("_")[0]
        assert masks == ([f"{Path(mask.format(subject)).name}.nii.gz"] if wanted else []), scan
    assert len(found.lonely) == (0 if marked else 3)


def test_derivatives_are_of_the_scans_beside_their_folder():
    names = ("healthy/sub-1_T1w.nii", "abnormal/sub-1_T1w.nii", "abnormal/derivatives/x/sub-1_label-lesion_mask.nii")
    found = pair([ABOVE / name for name in names], ABOVE, RoleSettings())
    assert [bool(found.lesions[ABOVE / name]) for name in names[:2]] == [False, True]


@pytest.mark.parametrize(
    ("scans", "mask", "shared"),
    [
        (SCANS, "{0}/anat/{0}_label-lesion_mask.nii.gz", True),
        (SCANS, "{0}/anat/{0}_lesion.nii.gz", True),
        (SCANS, "{0}/anat/{0}_T1w_label-lesion_mask.nii.gz", False),
        (SCANS[:1], "{0}/anat/{0}_label-lesion_mask.nii.gz", False),
        (["{0}/{0}_t1.nii", "{0}/{0}_flair.nii"], "{0}/{0}_seg.nii", True),
    ],
)
@pytest.mark.parametrize("subject", ["sub-1", "p1"])
def test_masks_of_several_scans_of_a_subject_are_told_from_those_of_one(scans, mask, shared, subject):
    _, found = paired(*of_subjects([*scans, mask], [subject]))
    masked = {scan for scan, masks in found.lesions.items() if masks}
    assert found.by_subject == (masked if shared and subject == "sub-1" else set())


@pytest.mark.parametrize("name", ["mask", "1", "lesion_2", "other_mask", "label-lesion_mask"])
@pytest.mark.parametrize("folder", ["masks", "labels", "x"])
def test_a_mask_in_derivatives_that_names_no_subject_is_of_none(name, folder):
    below, found = paired(*of_subjects(SCANS), f"derivatives/{folder}/sub-p0/anat/{name}.nii.gz")
    assert not any(below[Path(scan).name] for scan in of_subjects(SCANS))
    assert not found.unclear


def test_a_segmentation_of_a_pipeline_in_a_folder_of_masks_is_not_guessed_to_be_of_lesions():
    masks = of_subjects(["derivatives/segmentation/{0}/anat/{0}_T1w_dseg.nii.gz"])
    below, found = paired(*of_subjects(SCANS), *masks)
    assert not any(below.values())
    assert len(found.lonely) == len(masks)
    below, _ = paired(*of_subjects(SCANS), *masks, masks=("*_dseg.nii.gz",))
    assert sum(map(bool, below.values())) == len(masks)


@pytest.mark.parametrize("folder", ["lesions", "lesion_masks"])
def test_of_many_subjects_each_mask_looks_at_few_scans(monkeypatch, folder):
    calls = []
    for where in (scan_index, mask_pairing):
        monkeypatch.setattr(where, "home_of", lambda *of: calls.append(of) or home_of(*of))
    monkeypatch.setattr(mask_pairing, "bids_name", lambda of: calls.append(of) or bids_name(of))
    names = ("{0}/anat/{0}_T1w.nii", f"derivatives/{folder}/{{0}}/anat/{{0}}_label-lesion_mask.nii")
    subjects = [f"sub-{number}" for number in range(80)]
    paired(*of_subjects(names, subjects))
    assert len(calls) <= 10 * len(subjects)


@pytest.mark.parametrize("tissue", TISSUES)
@pytest.mark.parametrize("more", [(), ("{0}/anat/{0}_label-lesion_mask.nii.gz",)])
def test_segmentations_of_tissues_are_neither_scans_nor_masks(tissue, more):
    names = of_subjects([*SCANS, *more])
    alone, _ = paired(*names)
    beside, found = paired(*names, *of_subjects([f"{{0}}/anat/{{0}}_{tissue}.nii.gz"]))
    assert beside == alone
    assert len(found.tissues) == 3
    assert any("3 files are segmentations of tissues" in note for note in pairing_notes(found, [], False))


def test_several_tissues_leave_the_lesion_mask_alone():
    names = [f"sub-1_{name}.nii.gz" for name in ("T1w", "T1w_lesion", *TISSUES)]
    assert paired(*names)[0] == {"sub-1_T1w.nii.gz": ["sub-1_T1w_lesion.nii.gz"]}


def test_where_the_user_or_a_folder_calls_them_lesion_masks_they_are():
    assert paired("a.nii", "a_dseg.nii", masks=("*_dseg.nii",))[0] == {"a.nii": ["a_dseg.nii"]}
    below, found = paired("images/a.nii", "masks/a_dseg.nii", "masks/a_label-GM_probseg.nii")
    assert below == {"a.nii": []}
    assert (found.lonely, len(found.tissues)) == ([ABOVE / "abnormal/masks/a_dseg.nii"], 1)
    assert paired("sub-1_T1w.nii", "sub-1_FLAIR.nii", "sub-1_label-lesion_probseg.nii")[0] == {
        "sub-1_T1w.nii": ["sub-1_label-lesion_probseg.nii"],
        "sub-1_FLAIR.nii": ["sub-1_label-lesion_probseg.nii"],
    }


@given(st.text("abcTW0189", min_size=1, max_size=8), st.permutations(["space-MNI", "desc-preproc", "label-L", "res-2"]))
def test_what_derives_a_file_is_no_part_of_its_name(subject, entities):
    for tail, _ in pairwise([*range(4), 4]):
        assert bids_name("_".join([f"sub-{subject}", *entities[:tail]]))[0] == f"sub-{subject}"
    assert bids_name(f"sub-{subject}_{entities[0]}_T1w")[0] == f"sub-{subject}_T1w"


@pytest.mark.parametrize("name", ["x_mask.nii", "x_label-lesion_mask.nii", "x_label-L_probseg.nii", "probsegment.nii"])
def test_other_names_are_no_tissues(name):
    assert not is_tissue_name(Path(name))
