"""Modalities and colours as channels: in the order that was asked for, on each other, and refused where one is not."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomae.cohorts.array_cohort import Arrays
from anomae.cohorts.brats import Brats2020
from anomae.cohorts.case import COLOURS, GREY
from anomae.cohorts.channel_slices import read_colour_slices
from anomae.cohorts.folder import Folder
from anomae.cohorts.lgg import Lgg
from anomae.cohorts.phantom_cohort import Phantoms
from anomae.cohorts.registry import open_cohort
from anomae.errors import UnreadableScan, UserError
from anomae.phantoms.layouts import SLICE_CHANNELS, write_phantom_data_set
from anomae.volumes.read import read_volume
from anomae.volumes.write import write_volume

SHAPE = (8, 20, 18)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    for layout in ("brats2020", "brats2020-slices", "lgg"):
        write_phantom_data_set(folder / layout, layout, count=6, seed=1, shape=SHAPE)
    return folder


def openers(written):
    """Each of one or several modalities -> the opened cohort."""
    order = ",".join(SLICE_CHANNELS)
    return {
        "scans": lambda modality: Brats2020(written / "brats2020", modality),
        "slices": lambda modality: Brats2020(written / "brats2020-slices", modality, channels=order),
        "lgg": lambda modality: Lgg(written / "lgg", modality),
        "heads": lambda modality: Phantoms(Path("heads:4"), modality),
    }


@pytest.mark.parametrize("kind", ["scans", "slices", "lgg", "heads"])
def test_every_channel_is_that_modality_alone(written, kind):
    names = ("t1", "flair") if kind == "lgg" else ("flair", "t1", "t1ce", "t2")
    opened = openers(written)[kind]
    together = opened(",".join(names))
    assert together.channel_names == names
    case = together.cases()[0]
    read = together.read(case)
    assert not read.one_scale
    for channel, name in enumerate(names):
        alone = opened(name)
        assert alone.channel_names == GREY
        of_one = alone.read(next(one for one in alone.cases() if one.case == case.case))
        np.testing.assert_array_equal(read.images[:, channel], of_one.images[:, 0])
        np.testing.assert_array_equal(read.lesions, of_one.lesions)
        assert (read.grid, read.spacing_mm) == (of_one.grid, of_one.spacing_mm)
    with pytest.raises(UserError, match="once"):
        opened("t1,t1")
    with pytest.raises(UserError, match="no modality"):
        opened("t1,t7")


def test_a_patient_who_lacks_a_modality_is_listed_and_left_out(written, tmp_path):
    lgg = Lgg(written / "lgg", "t1,flair")
    assert lgg.notes() == ("1 of 6 patients have not all of t1, flair and are left out",)
    assert len(lgg.cases()) == 5
    shutil.copytree(written / "brats2020", tmp_path / "brats")
    brats = Brats2020(tmp_path / "brats", "t1,t2")
    first, second, *_ = brats.cases()
    first.source.with_name(first.source.name.replace("_t1.", "_t2.")).unlink()
    with pytest.raises(UnreadableScan, match="the case has no t2 scan"):
        brats.read(first)
    assert brats.read(second).channels == 2


def test_a_modality_that_lies_elsewhere_is_refused(written, tmp_path):
    shutil.copytree(written / "brats2020", tmp_path / "brats")
    brats = Brats2020(tmp_path / "brats", "t1,t2")
    case = brats.cases()[0]
    path = case.source.with_name(case.source.name.replace("_t1.", "_t2."))
    volume = read_volume(path)
    x, y, z = volume.grid.origin_mm
    write_volume(path, volume.voxels, replace(volume.grid, origin_mm=(x + 9, y, z)))
    with pytest.raises(UnreadableScan, match="t2 scan"):
        brats.read(case)
    write_volume(path, volume.voxels[1:], replace(volume.grid, shape=(7, *SHAPE[1:])))
    with pytest.raises(UnreadableScan, match="t2 scan"):
        brats.read(case)


@pytest.fixture
def colours():
    return np.random.default_rng(0).integers(0, 255, (12, 10, 3)).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_a_picture_is_read_in_its_colours(tmp_path, colours, suffix):
    path = tmp_path / f"p{suffix}"
    Image.fromarray(colours).save(path)
    read = read_colour_slices(path, label=0)
    assert read.images.shape == (1, 3, 12, 10)
    assert read.one_scale
    assert (read.grid, read.labels.tolist(), read.source) == (None, [0], path)
    np.testing.assert_array_equal(read.images[0], colours.transpose(2, 0, 1))
    with pytest.raises(UnreadableScan, match="in colour"):
        read_volume(path)


def test_a_grey_picture_has_three_equal_colours_and_pages_are_slices(tmp_path, colours):
    Image.fromarray(colours[..., 0]).save(tmp_path / "grey.png")
    images = read_colour_slices(tmp_path / "grey.png").images
    np.testing.assert_array_equal(images[0], np.repeat(colours[None, ..., 0], 3, axis=0))
    pages = [Image.fromarray(np.roll(colours, step, axis=0)) for step in range(3)]
    pages[0].save(tmp_path / "pages.tiff", save_all=True, append_images=pages[1:])
    read = read_colour_slices(tmp_path / "pages.tiff")
    assert read.slices.tolist() == [0, 1, 2]
    for step, image in enumerate(read.images):
        np.testing.assert_array_equal(image, np.roll(colours, step, axis=0).transpose(2, 0, 1))


def test_a_turned_picture_is_read_upright(tmp_path, colours):
    exif = Image.Exif()
    exif[274] = 6  # a quarter turn
    Image.fromarray(colours).save(tmp_path / "turned.png", exif=exif)
    images = read_colour_slices(tmp_path / "turned.png").images
    np.testing.assert_array_equal(images[0], np.rot90(colours, -1).transpose(2, 0, 1))


def test_what_is_no_picture_is_not_read_in_colour(written, tmp_path, colours):
    scan = Brats2020(written / "brats2020").cases()[0].source
    with pytest.raises(UnreadableScan, match="only pictures"):
        read_colour_slices(scan)
    with pytest.raises(UnreadableScan, match="missing"):
        read_colour_slices(tmp_path / "absent.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(UnreadableScan) as refused:
        read_colour_slices(tmp_path / "broken.png")
    assert "\n" not in str(refused.value)


def test_a_folder_of_pictures_in_colour(tmp_path, colours):
    for place, picture in (("healthy/a", colours), ("healthy/b", colours[:, ::-1]), ("abnormal/c", colours[::-1] // 2)):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        Image.fromarray(picture).save(tmp_path / f"{place}.png")
    folder = open_cohort("folder", tmp_path, colour="true")
    assert folder.channel_names == COLOURS
    assert folder.read(folder.cases()[0]).channels == 3
    with pytest.raises(UnreadableScan, match="unless a store is prepared with --set colour=true"):
        Folder(tmp_path).read(folder.cases()[0])
    grouped = Folder(tmp_path, near_duplicates=True, colour=True)
    assert [case.patient for case in grouped.cases() if case.label == 0] == ["cluster_00000"] * 2


def test_arrays_in_colour(tmp_path, colours):
    stack = np.stack([colours, colours[::-1]])
    np.savez(tmp_path / "a.npz", images=stack, labels=np.array([0, 1]))
    arrays = Arrays(tmp_path / "a.npz", colour=True)
    read = arrays.read(arrays.cases()[0])
    np.testing.assert_array_equal(read.images, stack.transpose(0, 3, 1, 2))
    assert read.one_scale
    plain = Arrays(tmp_path / "a.npz")
    with pytest.raises(UnreadableScan, match="colour=true reads colours"):
        plain.read(plain.cases()[0])
    np.savez(tmp_path / "a.npz", images=stack[..., 0])
    with pytest.raises(UnreadableScan, match=r"not \(n, h, w, 3\)"):
        arrays.read(arrays.cases()[0])
    np.savez(tmp_path / "a.npz", images=stack, lesions=stack > 3)
    with pytest.raises(UnreadableScan, match="lesions has shape"):
        arrays.read(arrays.cases()[0])
