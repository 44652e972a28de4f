"""An unfinished store that goes on notices that files of what is in have changed, and ends as if begun anew."""

import nibabel
import numpy as np
import pytest
import SimpleITK

from anomae.errors import UserError
from anomae.files import read_json, write_json
from anomae.seeds import generator
from anomae.slices.settings import PrepareSettings
from anomae.slices.source_facts import SOURCES
from anomae.slices.writer import StoreWriter
from anomae.stages.prepare import prepare
from anomae.volumes.detached import files_of
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_volume

SHAPE = (4, 8, 8)
SETTINGS = PrepareSettings(image_size=8)


def write(path, number, marked=()):
    """A scan of noise, or, with `marked` slices, a mask; written once, so that its time is its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = generator(number, path.name).integers(0, 900, SHAPE).astype(np.int16)
    if "seg" in path.name:
        voxels = np.zeros(SHAPE, np.uint8)
        voxels[list(marked), 2:5, 2:5] = 1
    write_volume(path, voxels, Grid(SHAPE))


def made(folder, source):
    store = prepare("folder", source, folder, settings=SETTINGS, workers=0)
    return {path.name: path.read_bytes() for path in sorted(store.folder.iterdir())}


def stop_after(count, folder, source, monkeypatch):
    append = StoreWriter.append

    def stopping(writer, case, rows):
        if writer.done == count:
            raise KeyboardInterrupt
        append(writer, case, rows)

    with monkeypatch.context() as patched:
        patched.setattr(StoreWriter, "append", stopping)
        with pytest.raises(KeyboardInterrupt):
            made(folder, source)


@pytest.fixture
def source(tmp_path):
    for number in range(4):
        write(tmp_path / f"source/healthy/h{number}.nii", number)
    for number in range(2):
        write(tmp_path / f"source/abnormal/a{number}.nii", number)
        write(tmp_path / f"source/abnormal/a{number}_seg.nii", number, (1,))
    return tmp_path / "source"


def change_mask(source):
    write(source / "abnormal/a0_seg.nii", 0, (1, 2))


def add_mask(source):
    write(source / "abnormal/a1_seg_1.nii", 0, (3,))


def change_scan(source):
    write(source / "healthy/h1.nii", 9)


@pytest.mark.parametrize("change", [change_mask, add_mask, change_scan])
def test_what_has_changed_is_prepared_again(change, source, tmp_path, monkeypatch, watched, capsys):
    stop_after(4, tmp_path / "store", source, monkeypatch)
    change(source)
    found = made(tmp_path / "store", source)
    assert "has changed since" in capsys.readouterr().err
    assert found == made(tmp_path / "fresh", source)


def test_masks_that_are_gone_are_noticed(source, tmp_path, monkeypatch):
    stop_after(4, tmp_path / "store", source, monkeypatch)
    for number in range(2):
        (source / f"abnormal/a{number}_seg.nii").unlink()
    with pytest.raises(UserError, match="cases are others"):
        made(tmp_path / "store", source)


def test_a_touch_is_no_change(source, tmp_path, monkeypatch, watched, capsys):
    stop_after(4, tmp_path / "store", source, monkeypatch)
    for path in source.rglob("*.nii"):
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
    seen = []
    monkeypatch.setattr("anomae.stages.prepare.rows_or_reason", seen_rows(seen))
    made(tmp_path / "store", source)
    assert "has changed since" not in capsys.readouterr().err
    assert len(seen) == 2  # the four that were in are not read again


def seen_rows(seen):
    from anomae.slices.rows import rows_or_reason

    def reading(case, **asked):
        seen.append(case.case)
        return rows_or_reason(case, **asked)

    return reading


@pytest.mark.parametrize("header", ["mhd", "nhdr", "hdr"])
def test_voxels_beside_their_header_are_sources_too(tmp_path, header):
    """A corrected mask changes nothing in the header; its old labels are not kept."""
    for number in range(3):
        write(tmp_path / f"in/healthy/p{number}.nii.gz", number)
    write(tmp_path / "in/abnormal/q.nii.gz", 9)
    mask = tmp_path / f"in/abnormal/q_seg.{header}"
    voxels = np.zeros(SHAPE, np.uint8)
    voxels[1, 2:5, 2:5] = 1
    if header == "hdr":
        image = nibabel.Nifti1Pair(voxels.transpose(2, 1, 0), np.diag([-1.0, -1.0, 1.0, 1.0]))
        nibabel.save(image, mask.with_suffix(".img"))
    else:
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(voxels), mask)
    store = prepare("folder", tmp_path / "in", tmp_path / "store", settings=SETTINGS, workers=0)
    assert (store.index.label == 1).sum() + store.prepared["dropped"].get("abnormal in the training split", 0) == 1
    holder = files_of(mask)[1]
    whole = bytearray(holder.read_bytes())
    whole[-1] = 1
    holder.write_bytes(whole)
    with pytest.raises(UserError, match="1 source file"):
        prepare("folder", tmp_path / "in", tmp_path / "store", settings=SETTINGS, workers=0)
    # A store of an earlier version knows the header alone, and does not say that it changed.
    facts = read_json(tmp_path / "store" / SOURCES)
    stat = mask.stat()
    facts["abnormal/q.nii.gz"]["lesion"][1:] = [stat.st_size, stat.st_mtime_ns, "of the header"]
    write_json(tmp_path / "store" / SOURCES, facts)
    prepare("folder", tmp_path / "in", tmp_path / "store", settings=SETTINGS, workers=0)
