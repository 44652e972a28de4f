import gzip
import shutil

import h5py
import numpy as np
import pytest

from anomae.cohorts.brats import GIVEN_TWICE, open_brats
from anomae.errors import UnreadableScan, UserError
from anomae.phantoms.layouts import SLICE_CHANNELS, write_phantom_data_set
from anomae.volumes.read import read_volume
from anomae.volumes.write import write_volume

SHAPE = (12, 20, 18)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("brats")
    write_phantom_data_set(folder, "brats2020", count=3, seed=1, shape=SHAPE, first=354)
    return folder


@pytest.fixture(scope="module")
def sliced(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slices")
    write_phantom_data_set(folder, "brats2020-slices", count=3, seed=1, shape=SHAPE, first=354)
    return folder


@pytest.fixture
def copied(written, tmp_path):
    shutil.copytree(written, tmp_path / "copy")
    return tmp_path / "copy"


def test_case_355_and_the_sites(written):
    cases = open_brats(written).cases()
    assert [case.case for case in cases] == ["volume_354", "volume_355", "volume_356"]
    assert [case.lesion.name for case in cases][1] == "W39_1998.09.19_Segm.nii.gz"
    assert [case.source.name for case in cases][1] == "BraTS20_Training_355_t1.nii.gz"
    assert len({case.site for case in cases}) == 3
    assert all(case.site.startswith("SITE") for case in cases)


def test_both_forms_hold_the_same_slices(written, sliced):
    scans = open_brats(written, "t2")
    slices = open_brats(sliced, "t2", channels=" T1, t1ce,t2,flair")
    by_number = open_brats(sliced, channel=2)
    assert [case.case for case in scans.cases()] == [case.case for case in slices.cases()]
    for one, other in zip(scans.cases(), slices.cases(), strict=True):
        scan, stack = scans.read(one), slices.read(other)
        np.testing.assert_array_equal(scan.lesions, stack.lesions)
        np.testing.assert_array_equal(scan.labels, stack.labels)
        np.testing.assert_array_equal(scan.slices, stack.slices)
        standardised = (scan.images - scan.images.mean()) / scan.images.std()
        np.testing.assert_allclose(stack.images, standardised, atol=1e-9)
        np.testing.assert_array_equal(stack.images, by_number.read(other).images)


def test_modalities_differ_and_unknown_ones_are_refused(written):
    case = open_brats(written).cases()[0]
    usual = open_brats(written).read(case).images
    np.testing.assert_array_equal(usual, open_brats(written, "T1").read(case).images)
    flair = open_brats(written, "flair")
    assert not np.array_equal(usual, flair.read(flair.cases()[0]).images)
    with pytest.raises(UserError, match=r"no modality 't1k'.*Did you mean t1ce|Did you mean t1"):
        open_brats(written, "t1k")


def test_however_the_archive_unpacks(copied, tmp_path):
    plain = open_brats(copied)
    expected, site = plain.read(plain.cases()[0]), plain.cases()[0].site
    nested = tmp_path / "archive" / "BraTS2020_TrainingData" / "MICCAI_BraTS2020_TrainingData"
    shutil.move(copied, nested)
    # Some unpackers make a folder of the file's name.
    folder = nested / "BraTS20_Training_354"
    inner = folder / "BraTS20_Training_354_t1.nii.gz"
    inner.rename(folder / "moved")
    inner.mkdir()
    (folder / "moved").rename(inner / "00000057_brain_t1.nii.gz")
    for source in (tmp_path / "archive", nested, folder):
        cohort = open_brats(source)
        cases = cohort.cases()
        assert cases[0].case == "volume_354"
        np.testing.assert_array_equal(cohort.read(cases[0]).images, expected.images)
        assert cases[0].site == site


def test_what_a_mac_and_links_leave_behind_is_no_case(copied):
    expected = open_brats(copied).cases()
    for folder in [path for path in copied.iterdir() if path.is_dir()]:
        (folder / ".DS_Store").write_bytes(b"x")
        for path in sorted(folder.glob("*.nii.gz")):
            (folder / f"._{path.name}").write_bytes(b"x")
    (copied / "__MACOSX" / expected[0].source.parent.name).mkdir(parents=True)
    (copied / "loop").symlink_to(copied)
    (copied / "out").symlink_to(copied.parent.parent)
    assert open_brats(copied).cases() == expected


def test_names_in_another_case_are_found(copied):
    for path in sorted(copied.glob("*/*.nii.gz")):
        path.rename(path.with_name(path.name.upper()))
    cohort = open_brats(copied, "T1")
    assert len(cohort.read(cohort.cases()[0]).images) == SHAPE[0]


def test_a_missing_file_is_that_case_alone(copied):
    (copied / "BraTS20_Training_354" / "BraTS20_Training_354_t1.nii.gz").unlink()
    (copied / "BraTS20_Training_356" / "BraTS20_Training_356_seg.nii.gz").unlink()
    cohort = open_brats(copied)
    first, second, third = cohort.cases()
    with pytest.raises(UnreadableScan, match="has no t1 scan"):
        cohort.read(first)
    with pytest.raises(UnreadableScan, match=r"_seg\.nii\.gz is missing: without a segmentation"):
        cohort.read(third)
    assert len(cohort.read(second).images) == SHAPE[0]


def test_two_copies_of_a_case_are_refused(copied):
    shutil.copytree(copied / "BraTS20_Training_354", copied / "more" / "BraTS20_Training_354")
    with pytest.raises(UserError, match="the same case"):
        open_brats(copied).cases()


def test_the_channel_has_to_be_told(sliced, written):
    with pytest.raises(UserError, match=r"not guessed.*channel=0.*channels="):
        open_brats(sliced)
    with pytest.raises(UserError, match="not guessed"):
        open_brats(sliced, "flair")
    with pytest.raises(UserError, match="not both"):
        open_brats(sliced, channel=1, channels="t1,t2,flair,t1ce")
    with pytest.raises(UserError, match="channel is 4"):
        open_brats(sliced, channel=4)
    with pytest.raises(UserError, match="each of"):
        open_brats(sliced, channels="t1,t2,flair,t2")
    with pytest.raises(UserError, match="holds none"):
        open_brats(written, channel=1)


def test_missing_slices_are_told(sliced, tmp_path):
    shutil.copytree(sliced, tmp_path / "data")
    (tmp_path / "data" / "volume_354_slice_3.h5").unlink()
    cohort = open_brats(tmp_path, channels=",".join(SLICE_CHANNELS))
    found = cohort.read(cohort.cases()[0])
    assert found.slices.tolist() == [0, 1, 2, *range(4, 12)]
    assert found.notes == ("1 slice files before the last one are missing",)


def hostile_files():
    image, mask = np.zeros((6, 5, 4)), np.zeros((6, 5, 3), np.uint8)

    def plain(file):
        file["image"], file["mask"] = image, mask

    def lacking(file):
        file["image"] = image

    def three_channels(file):
        file["image"], file["mask"] = image[..., :3], mask

    def other_mask(file):
        file["image"], file["mask"] = image, mask[:3]

    def external_link(file):
        file["mask"], file["image"] = mask, h5py.ExternalLink("/etc/passwd", "image")

    def soft_link(file):
        plain(file)
        del file["image"]
        file["real"], file["image"] = image, h5py.SoftLink("/real")

    def external_storage(file):
        file["mask"] = mask
        file.create_dataset("image", image.shape, "f8", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])

    def virtual(file):
        file["mask"] = mask
        layout = h5py.VirtualLayout(image.shape, "f8")
        layout[:] = h5py.VirtualSource("elsewhere.h5", "image", image.shape)
        file.create_virtual_dataset("image", layout)

    def filtered(file):
        file["mask"] = mask
        file.create_dataset("image", data=image, compression="lzf")

    def no_text_for_names(file):
        file["other"] = mask
        file.create_dataset(b"caf\xe9", data=mask)

    def group(file):
        file["mask"] = mask
        file.create_group("image")

    def text(file):
        file["mask"] = mask
        file.create_dataset("image", (6, 5, 4), h5py.string_dtype())

    def huge(file):
        file["mask"] = mask
        file.create_dataset("image", (2**40, 2**20, 4), "f8", chunks=(64, 64, 4), compression="gzip")

    def wide_chunks(file):
        file["mask"] = mask
        file.create_dataset(
            "image", image.shape, "f8", maxshape=(None,) * 3, chunks=(2**12, 2**12, 4), compression="gzip"
        )

    def bomb(file):
        import zlib

        file["mask"] = mask
        data = file.create_dataset("image", image.shape, "f8", chunks=image.shape, compression="gzip")
        data.id.write_direct_chunk((0, 0, 0), zlib.compress(bytes(1 << 24)))

    return {name: made for name, made in locals().items() if callable(made) and name != "plain"}


@pytest.mark.parametrize("name", hostile_files())
def test_hostile_slice_files_are_refused(name, tmp_path):
    with h5py.File(tmp_path / "volume_1_slice_0.h5", "w") as file:
        hostile_files()[name](file)
    cohort = open_brats(tmp_path, channel=0)
    with pytest.raises(UnreadableScan) as refused:
        cohort.read(cohort.cases()[0])
    assert "volume_1_slice_0.h5" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("form", ["flat", "three", "four", "with background", "float"])
def test_forms_of_the_mask(form, tmp_path):
    parts = np.random.Generator(np.random.PCG64(0)).integers(0, 4, (6, 5))
    masks = {
        "flat": parts.astype(np.uint8),
        "three": np.stack([parts == part for part in (1, 2, 3)], axis=-1).astype(np.uint8),
        "float": np.stack([parts == part for part in (1, 2, 3)], axis=-1).astype(np.float32),
        "four": np.stack([parts == 1, parts == 2, parts == 3, parts == 3], axis=-1).astype(np.uint8),
        "with background": np.stack([parts == part for part in range(4)], axis=-1).astype(np.uint8),
    }
    with h5py.File(tmp_path / "volume_1_slice_0.h5", "w") as file:
        file["image"], file["mask"] = np.zeros((6, 5, 4)), masks[form]
    cohort = open_brats(tmp_path, channel=0)
    np.testing.assert_array_equal(cohort.read(cohort.cases()[0]).lesions[0], parts > 0)


def layout(folder, name):
    write_phantom_data_set(folder, name, count=3, seed=1, shape=SHAPE)
    return folder


def test_sessions_of_one_patient_are_cases_of_one_patient(tmp_path):
    cohort = open_brats(layout(tmp_path, "brats2023"), "t1c")
    assert [(case.case, case.patient) for case in cohort.cases()] == [
        (f"BraTS-GLI-{number:05d}-{session:03d}", f"BRATS-GLI-{number:05d}")
        for number, session in ((1, 0), (1, 1), (2, 0), (3, 0), (3, 1))
    ]
    assert cohort.notes() == ("2 patients have several sessions; all of a patient's count as one patient",)
    first = cohort.cases()[0]
    assert (first.source.name, first.lesion.name) == (
        "BraTS-GLI-00001-000-t1c.nii.gz",
        "BraTS-GLI-00001-000-seg.nii.gz",
    )


@pytest.mark.parametrize("year", ["brats2019", "brats2021", "brats2023"])
def test_every_year_holds_what_2020_holds(year, tmp_path):
    expected = open_brats(layout(tmp_path / "2020", "brats2020"), "flair")
    found = open_brats(layout(tmp_path / year, year), "FLAIR")
    last = next(case for case in found.cases() if case.patient.endswith(("P003", "00003")))  # its first session
    of_2020 = expected.cases()[-1]
    for name in ("images", "labels", "lesions"):
        np.testing.assert_array_equal(
            getattr(found.read(last), name), getattr(expected.read(of_2020), name), err_msg=name
        )


def test_the_folders_of_2019_tell_grade_site_and_session(tmp_path):
    layout(tmp_path, "brats2019")
    shutil.copytree(tmp_path / "HGG" / "BraTS19_SITEB_P001_1", tmp_path / "LGG" / "BraTS19_SITEB_P001_2")
    for path in (tmp_path / "LGG" / "BraTS19_SITEB_P001_2").iterdir():
        path.rename(path.with_name(path.name.replace("P001_1", "P001_2")))
    cases = open_brats(tmp_path).cases()
    assert {case.site for case in cases} == {"SITEA", "SITEB", "SITEC"}
    assert len(cases) == len({case.patient for case in cases}) + 1


def test_years_do_not_mix_and_cases_without_segmentation_are_left_out(tmp_path):
    layout(tmp_path / "a", "brats2020")
    (tmp_path / "a" / "BraTS20_Validation_001").mkdir()
    (tmp_path / "a" / "BraTS20_Validation_001" / "BraTS20_Validation_001_t1.nii.gz").write_bytes(b"")
    cohort = open_brats(tmp_path)
    assert len(cohort.cases()) == 3
    assert cohort.notes() == ("1 cases of the validation or test set have no segmentation and are left out",)
    layout(tmp_path / "b", "brats2021")
    with pytest.raises(UserError, match="BraTS 2020 and 2021"):
        open_brats(tmp_path).cases()


def test_a_second_file_of_a_kind_is_refused_unless_one_is_named_as_the_case(copied):
    folder = copied / "BraTS20_Training_354"
    shutil.copy(folder / "BraTS20_Training_354_seg.nii.gz", folder / "a_seg.nii.gz")
    cohort = open_brats(copied)
    assert cohort.cases()[0].lesion.name == "BraTS20_Training_354_seg.nii.gz"
    (folder / "BraTS20_Training_354_seg.nii.gz").rename(folder / "b_seg.nii.gz")
    with pytest.raises(UnreadableScan, match="2 files that could be its seg"):
        cohort.read(open_brats(copied).cases()[0])


@pytest.mark.parametrize("kind", ["t1", "seg"])
@pytest.mark.parametrize("where", ["beside", "in a folder of the file's name"])
def test_a_file_given_twice_is_read_once_where_both_are_the_same_and_else_not(copied, kind, where):
    folder = copied / "BraTS20_Training_354"
    packed = folder / f"{folder.name}_{kind}.nii.gz"
    plain = packed.with_suffix("") if where == "beside" else packed.with_suffix("") / "inside.nii"
    alone = open_brats(copied).read(open_brats(copied).cases()[0])
    plain.parent.mkdir(exist_ok=True)
    plain.write_bytes(gzip.decompress(packed.read_bytes()))
    cohort = open_brats(copied)
    both = cohort.read(cohort.cases()[0])
    for name in ("images", "labels", "lesions"):
        np.testing.assert_array_equal(getattr(both, name), getattr(alone, name))
    assert both.notes == (*alone.notes, GIVEN_TWICE)
    scan = read_volume(plain)
    write_volume(plain, np.zeros_like(scan.voxels), scan.grid)
    with pytest.raises(UnreadableScan, match=rf"{kind} of its case but hold unlike voxels; neither") as refused:
        cohort.read(cohort.cases()[0])
    assert all(name in str(refused.value) for name in (packed.name, plain.name))
    assert cohort.read(cohort.cases()[1]).notes == alone.notes
