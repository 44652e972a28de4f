"""What a volume says it was read from is what it was read from: instances, frames, file slices, hashes."""

import hashlib
import os
from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedCTImageStorage

from anomae.cohorts.scan_slices import read_scan_slices, scan_slices
from anomae.errors import UnreadableScan
from anomae.volumes.identity import NOT_KNOWN
from anomae.volumes.orientation import axial_view
from anomae.volumes.read import read_volume
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_dicom_series, write_volume

SHAPE = (4, 5, 6)
# Every turn by right angles, reflections included: columns are the world directions of x, y and z.
TURNS = [np.eye(3)[list(order)] * signs for order in permutations(range(3)) for signs in product((1.0, -1.0), repeat=3)]
PROPER = [turn for turn in TURNS if np.linalg.det(turn) > 0]


def grid_of(turn: np.ndarray, tilt: float = 0.0) -> Grid:
    """tilt: degrees about the world's x axis."""
    c, s = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
    direction = np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ turn
    return Grid(SHAPE, (3.0, 0.9, 0.7), (-20.0, 11.0, 42.0), tuple(float(entry) for entry in direction.ravel()))


def distinct(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(np.prod(SHAPE)).reshape(SHAPE).astype(np.int16)


@settings(max_examples=30, deadline=None)
@given(
    turn=st.sampled_from(TURNS), tilt=st.sampled_from([0.0, 12.0, -30.0]), seed=st.integers(0, 99), names=st.randoms()
)
def test_each_voxel_slice_names_the_instance_that_holds_its_pixels(tmp_path_factory, turn, tilt, seed, names) -> None:
    folder = tmp_path_factory.mktemp("series")
    write_dicom_series(folder / "a", distinct(seed), grid_of(turn, tilt), rescale=(1.0, -5.0))
    files = sorted((folder / "a").iterdir())
    for number, file in enumerate(names.sample(files, len(files))):  # names in an order that says nothing
        file.rename(folder / "a" / f"{number}.dcm")
    instances = {header.SOPInstanceUID: header for header in map(pydicom.dcmread, (folder / "a").iterdir())}
    volume = read_volume(folder / "a")
    assert volume.dicom is not None
    assert len(volume.dicom.pictures) == len(volume.voxels) == len(instances)
    for pixels, picture in zip(volume.voxels, volume.dicom.pictures, strict=True):
        header = instances[picture.sop_instance_uid]
        np.testing.assert_array_equal(pixels, header.pixel_array.astype(int) - 5)
        assert (picture.instance_number, picture.frame) == (header.InstanceNumber, 1)
        assert picture.sop_class_uid == header.SOPClassUID
        assert pydicom.dcmread(picture.path).SOPInstanceUID == picture.sop_instance_uid
    one = next(iter(instances.values()))
    assert volume.dicom.series_uid == one.SeriesInstanceUID
    assert volume.dicom.study_uid == one.StudyInstanceUID
    assert volume.dicom.frame_of_reference_uid == one.FrameOfReferenceUID
    assert volume.dicom.modality == "CT"
    assert volume.files == ()

    # And so do the axial slices, unless they cut across the series.
    view, cut = axial_view(volume.grid), scan_slices(volume)
    for index in range(len(cut.images)):
        uid, file_slice = cut.sop_instance_uids[index], cut.file_slices[index]
        if view.axes[0] != 0:
            assert (uid, file_slice, cut.instance_numbers[index]) == ("", NOT_KNOWN, NOT_KNOWN)
        else:
            assert cut.instance_numbers[index] == instances[uid].InstanceNumber
            own = instances[uid].pixel_array.astype(int) - 5
            assert sorted(cut.images[index].ravel()) == sorted(own.ravel())
            np.testing.assert_array_equal(volume.voxels[file_slice], own)


@pytest.mark.parametrize("turn", TURNS, ids=lambda turn: "".join(nib.aff2axcodes(np.pad(turn, (0, 1)))))
def test_file_slice_indexes_the_array_of_a_nifti_file(tmp_path: Path, turn: np.ndarray) -> None:
    path = tmp_path / "a.nii.gz"
    affine = np.eye(4)
    affine[:3, :3] = turn * [0.7, 0.9, 3.0]
    nib.save(nib.Nifti1Image(distinct(3).transpose(2, 1, 0), affine), path)
    stored = np.asarray(nib.load(path).dataobj)  # [x, y, z]
    cut = read_scan_slices(path)
    assert (cut.sop_instance_uids, cut.instance_numbers) == (None, None)
    along = nib.aff2axcodes(affine)[2] in "SI"
    for index, image in enumerate(cut.images):
        if along:
            assert sorted(stored[:, :, cut.file_slices[index]].ravel()) == sorted(image.ravel())
        else:
            assert cut.file_slices[index] == NOT_KNOWN
            assert all(sorted(stored[:, :, z].ravel()) != sorted(image.ravel()) for z in range(stored.shape[2]))


def enhanced(path: Path, pixels: np.ndarray, order: list[int], write_slice) -> Path:  # type: ignore[no-untyped-def]
    """One file with a frame a slice of `pixels`; frame k lies at the height `order[k]`."""
    groups = []
    for height in order:
        position, group = Dataset(), Dataset()
        position.ImagePositionPatient = [0, 0, float(height)]
        group.PlanePositionSequence = Sequence([position])
        groups.append(group)
    return write_slice(
        path,
        pixels,
        SOPClassUID=EnhancedCTImageStorage,
        NumberOfFrames=len(pixels),
        ImagePositionPatient=None,
        PerFrameFunctionalGroupsSequence=Sequence(groups),
        InstanceNumber=17,
    )


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_frames_of_one_file_are_counted_as_the_file_counts_them(tmp_path, write_slice, order) -> None:  # type: ignore[no-untyped-def]
    path = enhanced(tmp_path / "a.dcm", distinct(1), list(order), write_slice)
    volume, cut = read_volume(path), read_scan_slices(path)
    stored = pydicom.dcmread(path).pixel_array
    assert [picture.frame for picture in volume.dicom.pictures] == [order.index(height) + 1 for height in range(4)]
    for index, image in enumerate(cut.images):
        np.testing.assert_array_equal(image[0], stored[cut.file_slices[index]])
    assert set(cut.instance_numbers) == {17}
    assert len(set(cut.sop_instance_uids)) == 1


@pytest.mark.parametrize(
    ("number", "known"),
    [("7", 7), ("0", 0), (None, NOT_KNOWN), ("", NOT_KNOWN), ("-3", NOT_KNOWN), ("9" * 12, NOT_KNOWN)],
)
def test_instance_numbers_as_files_have_them(tmp_path, write_slice, number, known) -> None:  # type: ignore[no-untyped-def]
    if number == "9" * 12:
        path = write_slice(tmp_path / "a.dcm", distinct(0)[0], InstanceNumber="1234")
        content = path.read_bytes()
        path.write_bytes(content.replace(b"IS\x04\x001234", b"IS\x0c\x00" + number.encode(), 1))
    else:
        path = write_slice(tmp_path / "a.dcm", distinct(0)[0], InstanceNumber=number)
    assert read_volume(path).dicom.pictures[0].instance_number == known
    assert (read_scan_slices(path).instance_numbers == known).all()


def test_a_series_of_mixed_body_parts_names_none(tmp_path, write_slice) -> None:  # type: ignore[no-untyped-def]
    for z, part in enumerate(("CHEST", "CHEST", "ABDOMEN")):
        write_slice(tmp_path / f"{z}.dcm", distinct(0)[z], ImagePositionPatient=[0, 0, 2 * z], BodyPartExamined=part)
    assert read_volume(tmp_path).dicom.body_part == ""
    (tmp_path / "2.dcm").unlink()
    assert read_volume(tmp_path).dicom.body_part == "CHEST"


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.mha", "a.mhd", "a.nrrd"])
def test_files_are_named_with_their_hash(tmp_path: Path, name: str) -> None:
    write_volume(tmp_path / name, distinct(0), grid_of(PROPER[0]))
    volume = read_volume(tmp_path / name)
    expected = [tmp_path / name, *([tmp_path / "a.raw"] if name == "a.mhd" else [])]
    assert [file.path for file in volume.files] == expected
    assert [file.sha256 for file in volume.files] == [
        hashlib.sha256(path.read_bytes()).hexdigest() for path in expected
    ]
    assert volume.dicom is None


def test_a_hash_is_computed_once_and_never_of_other_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.npy", "b.npy", "c.npy"):
        np.save(tmp_path / name, distinct(0))
    kept, changed, gone = (read_volume(tmp_path / name).files[0] for name in ("a.npy", "b.npy", "c.npy"))
    known = kept.sha256
    np.save(tmp_path / "b.npy", distinct(1))
    os.utime(tmp_path / "b.npy", ns=(0, changed.modified_ns + 1))
    (tmp_path / "c.npy").unlink()
    with pytest.raises(UnreadableScan, match="changed since"):
        _ = changed.sha256
    with pytest.raises(UnreadableScan, match="no longer"):
        _ = gone.sha256
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert kept.sha256 == known
