import io
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomae.cohorts.array_cohort import Arrays, parse_blocks
from anomae.cohorts.npz_members import list_members, read_member
from anomae.cohorts.patient_names import doubt_of, unit_of
from anomae.cohorts.splits import refuse_leaks
from anomae.errors import UnreadableScan, UserError

BLOCKS = "candidate_row train=:330000 validation=334000:352000 test=352000:"


def columns(count=10):
    rng = np.random.Generator(np.random.PCG64(0))
    return {
        "images": rng.integers(0, 255, (count, 6, 5), dtype=np.uint8),
        "labels": np.arange(count) % 2,
        "groups": np.array([f"p{row // 2}" for row in range(count)]),
        "splits": np.array((["train", "report", "val", "validation", "test"] * count)[:count]),
        "lesions": (np.arange(count) % 2)[:, None, None] * np.ones((1, 6, 5), np.uint8),
        "row": np.arange(count) * 10,
    }


def read(path, **options):
    cohort = Arrays(path, **options)
    (case,) = cohort.cases()
    return cohort.read(case)


@pytest.fixture
def saved(tmp_path):
    np.savez_compressed(tmp_path / "set.npz", **columns())
    return tmp_path / "set.npz"


def test_everything_that_may_stand_beside_the_images(saved):
    found, given = read(saved), columns()
    np.testing.assert_array_equal(found.images[:, 0], given["images"])
    np.testing.assert_array_equal(found.labels, given["labels"])
    np.testing.assert_array_equal(found.patients, given["groups"])
    np.testing.assert_array_equal(found.lesions, given["lesions"] > 0)
    assert found.splits.tolist() == ["train", "test", "validation", "validation", "test"] * 2
    assert found.slices.tolist() == list(range(10))


def test_images_alone_are_of_unknown_label_and_unlike_patients(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros((3, 4, 4), np.float32))
    found = read(tmp_path)
    assert found.labels.tolist() == [-1, -1, -1]
    assert found.patients.tolist() == ["a/0", "a/1", "a/2"]
    assert (found.splits, found.lesions) == (None, None)


def test_arrays_by_other_names(tmp_path):
    given = columns()
    np.savez(tmp_path / "a.npz", x=given["images"][..., None], y=given["labels"].astype(float), row=given["row"])
    found = read(tmp_path / "a.npz", images="x", labels="y", groups="row//25")
    np.testing.assert_array_equal(found.images[:, 0], given["images"])
    np.testing.assert_array_equal(found.labels, given["labels"])
    assert found.patients.tolist() == ["0", "0", "0", "1", "1", "2", "2", "2", "3", "3"]
    with pytest.raises(UserError, match=r"no array .labls.. There are: x, y, row"):
        read(tmp_path / "a.npz", images="x", labels="labls")
    with pytest.raises(UserError, match="no array 'images'"):
        read(tmp_path / "a.npz")


def test_blocks_of_rows(saved):
    found = read(saved, blocks="row train=:30 test=50:90 validation=90:")
    assert found.slices.tolist() == [0, 1, 2, 5, 6, 7, 8, 9]
    assert found.splits.tolist() == ["train"] * 3 + ["test"] * 4 + ["validation"]
    assert found.notes == ("2 of 10 images are in no split and are left out",)
    np.testing.assert_array_equal(found.images[:, 0], columns()["images"][found.slices])
    np.testing.assert_array_equal(found.labels, columns()["labels"][found.slices])


@pytest.mark.parametrize(
    "text",
    ["row", "row train", "row train=5", "row trian=1:2", "row train=5:5", "row train=:9 test=8:", "row train=-1:3"],
)
def test_blocks_that_are_none_are_refused(text):
    with pytest.raises(UserError, match="blocks"):
        parse_blocks(text)


def test_what_does_not_fit_is_refused(saved, tmp_path):
    given = columns()
    for change, options, error in (
        ({"labels": given["labels"] + 1}, {}, UserError),
        ({"labels": given["labels"][:4]}, {}, UnreadableScan),
        ({"images": given["images"][0]}, {}, UnreadableScan),
        ({"images": given["images"].astype(complex)}, {}, UnreadableScan),
        ({"lesions": given["lesions"][:, :3]}, {}, UnreadableScan),
        ({"splits": np.array(["elsewhere"] * 10)}, {}, UserError),
        ({}, {"groups": "groups//2"}, UserError),
        ({}, {"groups": "row//0"}, UserError),
        ({}, {"blocks": "groups train=0:3"}, UserError),
        ({}, {"blocks": "rows train=0:3"}, UserError),
        ({}, {"blocks": "row train=0:3", "splits": "splits"}, UserError),
    ):
        np.savez(tmp_path / "changed.npz", **(given | change))
        with pytest.raises(error):
            read(tmp_path / "changed.npz", **options)


def npy_bytes(array, shape=None):
    """A .npy file of `array` whose header says `shape`."""
    stream = io.BytesIO()
    header = {"descr": array.dtype.str, "fortran_order": False, "shape": shape or array.shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + array.tobytes()


def zipped(path, content, name="images.npy", compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(name, content)


def test_hidden_files_beside_them_are_left_alone(saved):
    (saved.parent / f"._{saved.name}").write_bytes(b"of a Mac")
    assert [case.source for case in Arrays(saved.parent).cases()] == [saved]


def test_objects_are_never_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was opened",))

    np.savez(tmp_path / "a.npz", images=np.array([Trap(), Trap()], dtype=object))
    with pytest.raises(UnreadableScan, match="never loaded"):
        read(tmp_path / "a.npz")


def test_headers_that_lie_are_refused_before_memory_is_spent(tmp_path):
    few = np.zeros((2, 4, 4), np.uint8)
    zipped(tmp_path / "few.npz", npy_bytes(few, shape=(2000, 4, 4)))
    zipped(tmp_path / "many.npz", npy_bytes(np.zeros(1 << 25, np.uint8), shape=(2, 4, 4)))
    for name in ("few", "many"):
        with pytest.raises(UnreadableScan, match="as many bytes as its header says"):
            read(tmp_path / f"{name}.npz")
    zipped(tmp_path / "giant.npz", npy_bytes(few, shape=(1 << 40, 1 << 30, 1 << 30)))
    with pytest.raises(UnreadableScan, match="GiB unpacked"):
        read(tmp_path / "giant.npz")
    zipped(tmp_path / "negative.npz", npy_bytes(few, shape=(-2, 4, 4)))
    zipped(tmp_path / "bzip2.npz", npy_bytes(few), compression=zipfile.ZIP_BZIP2)
    long = b"\x93NUMPY\x02\x00" + (1 << 24).to_bytes(4, "little") + bytes(1 << 24)
    zipped(tmp_path / "long.npz", long)
    for name in ("negative", "bzip2", "long"):
        with pytest.raises(UnreadableScan):
            read(tmp_path / f"{name}.npz")


def test_damaged_members_are_refused(saved):
    content = bytearray(saved.read_bytes())
    content[200:260] = bytes(60)
    saved.write_bytes(content)
    with pytest.raises(UnreadableScan):
        read_member(saved, "images")
    with pytest.raises(UnreadableScan, match="no array 'pictures'"):
        read_member(saved, "pictures")


def test_a_header_that_is_no_python_spoils_no_other_file(saved):
    broken = saved.with_name("broken.npz")
    np.savez(broken, **columns())
    content = broken.read_bytes()
    broken.write_bytes(content.replace(b"), }", b"(, }", 1))
    cohort = Arrays(saved.parent)
    assert (cohort.notes(), cohort.patients_told()) == ((), {})
    first, second = cohort.cases()
    assert len(cohort.read(second).images) == 10
    for damaged in (lambda: cohort.read(first), lambda: read_member(broken, "images")):
        with pytest.raises(UnreadableScan, match=r"broken\.npz.* is not readable .*; copy it again"):
            damaged()


def test_headers_alone_tell_what_is_in_a_file(saved):
    members = list_members(saved)
    assert {name: member.shape for name, member in members.items()} == {
        name: each.shape for name, each in columns().items()
    }
    assert members["images"].bytes == 300


@pytest.mark.real_data
def test_the_real_patches(development_images):
    found = read(development_images / "luna16_patches_50.npz", blocks=BLOCKS, groups="candidate_row//500")
    counts = {split: int((found.splits == split).sum()) for split in ("train", "validation", "test")}
    assert counts == {"train": 4889, "validation": 289, "test": 974}
    assert found.notes == ("69 of 6221 images are in no split and are left out",)
    assert refuse_leaks(found.patients, found.splits) == 0
    assert found.images.shape == (6152, 1, 50, 50)
    assert found.labels.sum() == 1054


def test_images_without_groups_count_as_patients_and_that_is_said(tmp_path, saved):
    assert Arrays(saved).patients_told() == {}
    assert Arrays(saved).notes() == ()
    np.savez(tmp_path / "alone.npz", images=np.zeros((3, 6, 5), np.uint8))
    alone, both = Arrays(tmp_path / "alone.npz"), Arrays(tmp_path)
    assert alone.notes() == ("patients unknown: each image counted as one; leakage cannot be excluded",)
    prepared = {"cohort": "arrays", "patients_told": alone.patients_told()}
    assert unit_of(prepared) == "image"
    assert doubt_of(prepared) == "Patients unknown: each image counted as one; leakage cannot be excluded."
    prepared["patients_told"] = both.patients_told()
    assert prepared["patients_told"] == {
        "groups": {"scans": 10, "patients": 5},
        "images": {"scans": 3, "patients": 3},
    }
    assert unit_of(prepared) == "patient"
    assert doubt_of(prepared).startswith("Patients unknown for 3 of 13 images: each image counted")
    (tmp_path / "broken.npz").write_bytes(b"PK")
    assert both.patients_told() == prepared["patients_told"]


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("labels", [True, False])
def test_a_number_that_is_none_empties_no_mask(saved, tmp_path, broken, labels):
    """Lesions train as healthy else: as files, arrays are mended, or refused where nothing tells what is healthy."""
    given = columns()
    masks = given["lesions"].astype(np.float64)
    masks[0, 0, 0] = broken
    given |= {"lesions": masks, "labels": np.zeros_like(given["labels"])}
    if not labels:
        del given["labels"]
    np.savez(tmp_path / "broken.npz", **given)
    found = read(tmp_path / "broken.npz")
    np.testing.assert_array_equal(found.lesions, columns()["lesions"] > 0)
    assert (found.labels[1::2] == 1).all() or not labels
    assert any(note.startswith("lesions: 1 voxels were NaN or infinite") for note in found.notes)
    given["lesions"] = np.where(masks == 1, masks, np.nan)
    np.savez(tmp_path / "broken.npz", **given)
    with pytest.raises(UnreadableScan, match=r"broken\.npz has no number .NaN. where nothing is wrong"):
        read(tmp_path / "broken.npz")


@given(
    present=st.lists(st.booleans(), min_size=2, max_size=12),
    missing=st.sampled_from([np.nan, "", " ", "nan", "None", "N/A", "<NA>", b""]),
)
def test_who_has_no_group_is_a_patient_alone_as_where_nobody_has_one(present, missing):
    """Laws: nobody without a group shares a patient with another image, every group stays, and each is counted."""
    wanted = [float(row // 2) if isinstance(missing, float) else f"P{row // 2}" for row in range(len(present))]
    wanted = [name.encode() for name in wanted] if isinstance(missing, bytes) else wanted
    groups = np.array([name if there else missing for name, there in zip(wanted, present, strict=True)])
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.npz"
        np.savez(path, images=np.zeros((len(present), 4, 4), np.float32), groups=groups)
        found, told, notes = read(path).patients.tolist(), Arrays(path).patients_told(), Arrays(path).notes()
    for row, there in enumerate(present):
        own = [other for other, name in enumerate(found) if name == found[row]]
        assert own == (
            [other for other, also in enumerate(present) if also and other // 2 == row // 2] if there else [row]
        )
    alone = present.count(False)
    assert told.get("images", {}).get("scans", 0) == alone
    assert any("each image counted as one" in note for note in notes) == bool(alone)


def test_names_in_bytes_are_utf_8_or_what_old_programs_wrote(tmp_path):
    groups = np.array(["Müller".encode(), "Müller".encode("latin-1"), b"x"])
    np.savez(tmp_path / "a.npz", images=np.zeros((3, 4, 4)), groups=groups, splits=np.array([b"train", b"val", b""]))
    found = read(tmp_path / "a.npz")
    assert (found.patients.tolist(), found.splits.tolist()) == (["Müller", "Müller"], ["train", "validation"])
    np.savez(tmp_path / "a.npz", images=np.zeros((1, 4, 4)), splits=np.array(["Prüfung".encode()]))
    with pytest.raises(UserError, match="holds 'Prüfung'; splits are"):
        read(tmp_path / "a.npz")


def test_images_that_are_one_number_spoil_no_other_file(saved):
    np.savez(saved.with_name("one.npz"), images=np.array(3))
    cohort = Arrays(saved.parent)
    assert (cohort.notes(), cohort.patients_told()) == ((), {})
    one, whole = cohort.cases()
    assert len(cohort.read(whole).images) == 10
    with pytest.raises(UnreadableScan, match=r"one\.npz: images is int64 of shape \(\)"):
        cohort.read(one)
