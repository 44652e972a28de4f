"""Where uploaded files go: whatever the names are, headers, voxels and masks stay with those they came with."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomae.serving.placing import plain_part, plain_path, refuse_unclear, told_apart
from anomae.serving.refusals import Refused

NAMES = st.text(st.characters(codec="utf-8"), max_size=300)


@given(NAMES)
def test_a_plain_part_is_safe(name: str):
    plain = plain_part(name)
    assert 0 < len(plain.encode()) <= 100
    assert not plain.startswith(".")
    assert not set(plain) & set("/\\:\0\n\"'<>&*?|~")
    assert plain.isprintable()


@given(st.text(max_size=9), st.text(max_size=9))
def test_two_names_never_become_one(one: str, other: str):
    assert (plain_part(one) == plain_part(other)) == (one == other or {one, other} == {"", "file"})


def test_letters_digits_and_blanks_stay():
    for name in ("my scan \u00e9 (1).mhd", "Ko\u0301pf_t1.nii.gz", "_x-1.raw", "\u8111.nii"):
        assert plain_part(name) == name


@given(NAMES)
def test_no_path_leads_outside(sent: str):
    path = plain_path(sent)
    assert path.parts
    assert not path.is_absolute()
    assert ".." not in path.parts
    assert len(path.parts) <= 20


@given(st.data())
def test_files_of_one_name_stay_with_their_own(data: st.DataObject):
    """In whatever order files of several folders are sent, the n-th header lies beside the n-th voxels."""
    count = data.draw(st.integers(1, 4))
    kinds = ("scan.mhd", "scan.raw", "scan_seg.nii.gz")
    sent = data.draw(st.permutations([Path(name) for name in kinds for _ in range(count)]))
    targets = told_apart(sent, [False] * len(sent))
    assert len(set(targets)) == len(targets)
    by_kind = [[target for target in targets if target.name == name] for name in kinds]
    assert [[target.parent for target in own] for own in by_kind] == [[target.parent for target in by_kind[0]]] * 3


@given(st.lists(st.tuples(st.sampled_from(["a", "A", "2", "2/a", "2_a", "a/2/a", "3/a", "a/a"]), st.booleans())))
def test_no_two_files_get_one_path_nor_that_of_a_folder(sent: list[tuple[str, bool]]):
    targets = told_apart([Path(path) for path, _ in sent], [dicom for _, dicom in sent])
    lower = [str(target).lower() for target in targets]
    assert len(set(lower)) == len(sent)
    assert not set(lower) & {str(parent).lower() for target in targets for parent in target.parents}


def test_dicom_of_one_name_stays_in_its_folder():
    assert told_apart([Path("IM1"), Path("IM1")], [True, True]) == [Path("IM1"), Path("2_IM1")]


@pytest.mark.parametrize(
    ("names", "clear"),
    [
        (["scan.mhd", "scan.mhd", "scan.raw", "scan.raw"], True),
        (["scan.nii.gz", "scan.nii.gz", "scan_seg.nii.gz"], True),
        (["t1.nii.gz", "t1.nii.gz", "t2.nii.gz", "t1.json"], True),
        (["scan.mhd", "scan.mhd", "scan.raw"], False),
        (["head.mhd", "head.mhd", "voxels.raw"], False),
        (["scan.hdr", "scan.img", "scan.img"], False),
        (["scan.nii.gz", "scan.nii.gz", "scan_brain.nii.gz"], False),
        (["scan.nii.gz", "scan.nii.gz", "scan-Brain-mask.nii.gz"], False),
    ],
)
def test_what_could_be_of_either_is_refused(tmp_path: Path, names: list[str], clear: bool):
    for name in names:
        (tmp_path / name).write_text("ElementDataFile = voxels.raw\n" if name == "head.mhd" else "")
    if clear:
        refuse_unclear(tmp_path, [Path(name) for name in names])
        return
    with pytest.raises(Refused, match="as a zip") as told:
        refuse_unclear(tmp_path, [Path(name) for name in names])
    assert told.value.status == 422
