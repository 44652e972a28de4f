"""An unfinished store that goes on notices that files of what is in have changed, and ends as if begun anew."""

import hashlib
import os
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK

from anomae.errors import UserError
from anomae.files import read_json, write_json
from anomae.phantoms.layouts import write_phantom_data_set
from anomae.seeds import generator
from anomae.slices import source_facts
from anomae.slices.settings import PrepareSettings
from anomae.slices.source_facts import SOURCES
from anomae.slices.writer import StoreWriter
from anomae.stages.prepare import prepare
from anomae.volumes.detached import files_of
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_dicom_series, write_volume

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


def made(folder, source, cohort="folder", **asked):
    store = prepare(cohort, source, folder, **{"settings": SETTINGS, "workers": 0, **asked})
    return {path.name: path.read_bytes() for path in sorted(store.folder.iterdir())}


def stop_after(count, folder, source, monkeypatch, **asked):
    append = StoreWriter.append

    def stopping(writer, case, rows):
        if writer.done == count:
            raise KeyboardInterrupt
        append(writer, case, rows)

    with monkeypatch.context() as patched:
        patched.setattr(StoreWriter, "append", stopping)
        with pytest.raises(KeyboardInterrupt):
            made(folder, source, **asked)


def as_by_an_earlier_version(folder, *roles):
    """The store without what its version did not write down."""
    facts = read_json(folder / SOURCES)
    assert all(role in of_case for role in roles for of_case in facts.values())
    write_json(folder / SOURCES, {case: {k: v for k, v in of.items() if k not in roles} for case, of in facts.items()})


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


BRAINS = {"settings": PrepareSettings(image_size=8, preparation="brain")}


def write_brain(path, rows):
    voxels = np.zeros(SHAPE, np.uint8)
    voxels[:, 1:rows, 1:7] = 1
    write_volume(path, voxels, Grid(SHAPE))


@pytest.fixture
def stripped(tmp_path):
    """Scans without a skull, the brain of the first two told by a mask."""
    for number in range(5):
        voxels = np.zeros(SHAPE, np.int16)
        voxels[:, 1:7, 1:7] = generator(number, "scan").integers(100, 900, (4, 6, 6))
        (tmp_path / "heads/healthy").mkdir(parents=True, exist_ok=True)
        write_volume(tmp_path / f"heads/healthy/h{number}.nii", voxels, Grid(SHAPE))
    for number in range(2):
        write_brain(tmp_path / f"heads/healthy/h{number}_brain.nii", 6)
    return tmp_path / "heads"


BRAIN_CHANGES = {
    "corrected": lambda heads: write_brain(heads / "healthy/h1_brain.nii", 4),
    "added": lambda heads: write_brain(heads / "healthy/h2_brain.nii", 4),
    "removed": lambda heads: (heads / "healthy/h1_brain.nii").unlink(),
}


@pytest.mark.parametrize("change", BRAIN_CHANGES)
def test_a_brain_mask_is_a_source_too(change, stripped, tmp_path, monkeypatch, watched, capsys):
    """The store kept the old brain, and one that was stopped had some of the old and some of the new."""
    made(tmp_path / "whole", stripped, **BRAINS)
    stop_after(4, tmp_path / "store", stripped, monkeypatch, **BRAINS)
    made(tmp_path / "whole", stripped, **BRAINS)
    BRAIN_CHANGES[change](stripped)
    with pytest.raises(UserError, match=r"1 source file.* have changed .*_brain\.nii"):
        made(tmp_path / "whole", stripped, **BRAINS)
    found = made(tmp_path / "store", stripped, **BRAINS)
    assert "_brain.nii has changed since" in capsys.readouterr().err
    assert found == made(tmp_path / "fresh", stripped, **BRAINS)


@pytest.mark.parametrize("change", BRAIN_CHANGES)
@pytest.mark.parametrize("earlier", [False, True])
def test_a_brain_mask_is_looked_at_where_it_counts_and_was_written_down(change, earlier, stripped, tmp_path):
    asked = BRAINS if earlier else {"settings": PrepareSettings(image_size=8, preparation="body")}
    made(tmp_path / "store", stripped, **asked)
    if earlier:
        as_by_an_earlier_version(tmp_path / "store", "brain")
    BRAIN_CHANGES[change](stripped)
    made(tmp_path / "store", stripped, **asked)


@pytest.mark.parametrize("cohort", ["brats2020", "lgg"])
def test_every_modality_is_a_source(cohort, tmp_path):
    data, asked = tmp_path / "data", {"cohort": cohort, "modality": "flair,t1"}
    write_phantom_data_set(data, cohort, count=5, seed=1, shape=(8, 16, 16))
    made(tmp_path / "store", data, **asked)
    made(tmp_path / "earlier", data, **asked)
    as_by_an_earlier_version(tmp_path / "earlier", "scan 2")
    first, second, *_ = sorted(data.rglob("*_t1.nii*"))
    shutil.copy(second, first)
    with pytest.raises(UserError, match=rf"1 source file.* have changed .*{first.name}"):
        made(tmp_path / "store", data, **asked)
    made(tmp_path / "earlier", data, **asked)


def test_what_a_table_of_candidates_says_is_a_source(tmp_path, monkeypatch, watched, capsys):
    data, asked = tmp_path / "data", {"cohort": "luna16", "split": "patient"}
    write_phantom_data_set(data, "luna16", count=5, seed=2, shape=(16, 40, 44))
    made(tmp_path / "store", data, **asked)
    made(tmp_path / "earlier", data, **asked)
    as_by_an_earlier_version(tmp_path / "earlier", "table")
    stop_after(4, tmp_path / "stopped", data, monkeypatch, **asked)
    table = data / "candidates.csv"
    header, *lines = table.read_text().splitlines()
    spaced = [line.replace(",", " , ") for line in lines]
    table.write_text("\n".join([header, *spaced]))
    made(tmp_path / "store", data, **asked)  # it says the same
    first = next(number for number, line in enumerate(lines) if line.endswith(",0"))
    lines[first] = f"{lines[first][:-1]}1"
    table.write_text("\n".join([header, *lines]))
    with pytest.raises(UserError, match=r"1 source file.* have changed .*candidates\.csv"):
        made(tmp_path / "store", data, **asked)
    made(tmp_path / "earlier", data, **asked)
    found = made(tmp_path / "stopped", data, **asked)
    assert "candidates.csv has changed since" in capsys.readouterr().err
    assert found == made(tmp_path / "fresh", data, **asked)


@pytest.fixture
def series(tmp_path):
    """Four folders of two DICOM series each."""
    for patient, number in ((patient, number) for patient in range(4) for number in range(2)):
        voxels = generator(patient, str(number)).integers(0, 900, SHAPE).astype(np.int16)
        write_dicom_series(tmp_path / "series", voxels, Grid(SHAPE), patient=f"P{patient}")
        folder = tmp_path / f"in/healthy/p{patient}"
        folder.mkdir(parents=True, exist_ok=True)
        for file in sorted((tmp_path / "series").iterdir()):
            file.rename(folder / f"{number}-{file.name}")
    return tmp_path / "in"


def correct(file):
    file.write_bytes(file.read_bytes()[:-2] + b"\1\1")


def correct_and_keep_the_time(file):
    """As `cp -p` and `rsync -a` leave it: as large, and no newer than the others."""
    before = file.stat()
    correct(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns - 10**9))


def swap(file):
    other = file.with_name(file.name.replace("0-", "1-", 1))
    file.rename(file.with_name("other"))
    other.rename(file)
    file.with_name("other").rename(other)


@pytest.mark.parametrize("change", [correct, correct_and_keep_the_time, swap])
def test_a_series_is_of_the_files_of_its_folder(change, series, tmp_path):
    made(tmp_path / "store", series)
    assert len(read_json(tmp_path / "store" / SOURCES)) == 8
    made(tmp_path / "store", series)
    change(min((series / "healthy/p0").iterdir()))
    with pytest.raises(UserError, match=r"1 source file.* have changed .*healthy/p0"):
        made(tmp_path / "store", series)


def test_voxels_that_are_older_than_those_they_replace_are_noticed(tmp_path):
    for number in range(4):
        write(tmp_path / f"in/healthy/p{number}.mhd", number)
    header = tmp_path / "in/healthy/p0.mhd"
    os.utime(header)  # the newest of the two
    made(tmp_path / "store", tmp_path / "in")
    correct_and_keep_the_time(files_of(header)[1])
    with pytest.raises(UserError, match=r"1 source file.* have changed .*p0\.mhd"):
        made(tmp_path / "store", tmp_path / "in")


def test_what_a_system_leaves_in_a_folder_is_no_change(series, tmp_path):
    made(tmp_path / "store", series)
    for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        (series / "healthy/p0" / name).write_bytes(b"Bud1")
    made(tmp_path / "store", series)


@pytest.mark.parametrize("touched", [False, True])
def test_an_earlier_version_wrote_down_what_systems_leave_too(touched, series, tmp_path):
    (series / "healthy/p0/.DS_Store").write_bytes(b"Bud1")
    made(tmp_path / "store", series)
    facts = read_json(tmp_path / "store" / SOURCES)
    for _path, *entries in (of_case["scan"] for of_case in facts.values()):
        assert len(entries) == 4
    for of_case in facts.values():
        files = sorted(Path(of_case["scan"][0]).iterdir())
        stats = [file.stat() for file in files]
        content = hashlib.blake2b(b"".join(f"{f.name}\0".encode() + f.read_bytes() for f in files), digest_size=16)
        newest = max(stat.st_mtime_ns for stat in stats)
        of_case["scan"][1:] = [sum(stat.st_size for stat in stats), newest, content.hexdigest()]
    write_json(tmp_path / "store" / SOURCES, facts)
    if touched:
        os.utime(series / "healthy/p0/.DS_Store")
    made(tmp_path / "store", series)
    correct(min((series / "healthy/p1").iterdir()))
    with pytest.raises(UserError, match=r"1 source file.* have changed .*healthy/p1"):
        made(tmp_path / "store", series)


def test_a_folder_of_many_cases_is_looked_at_once(series, tmp_path, monkeypatch):
    """Of Kaggle's BraTS2020 each of 369 cases asked for the times of all 57,195 files."""
    made(tmp_path / "store", series)
    looked, seen = [], source_facts._seen
    monkeypatch.setattr(source_facts, "_seen", lambda path, *asked: looked.append(path.name) or seen(path, *asked))
    made(tmp_path / "store", series)
    assert sorted(looked) == ["p0", "p1", "p2", "p3"]


@pytest.mark.parametrize("kind", ["brain", "lesion", "modality"])
def test_what_is_reached_through_a_link_is_the_same(kind, source, stripped, tmp_path, monkeypatch, watched, capsys):
    folder, asked = {"brain": (stripped, BRAINS), "lesion": (source, {})}.get(kind, (tmp_path / "data", {}))
    if kind == "modality":
        asked = {"cohort": "brats2020", "modality": "flair,t1"}
        write_phantom_data_set(folder, "brats2020", count=5, seed=1, shape=(8, 16, 16))
    (tmp_path / "link").symlink_to(folder)
    found = made(tmp_path / "store", folder, **asked)
    stop_after(4, tmp_path / "stopped", folder, monkeypatch, **asked)
    assert made(tmp_path / "store", tmp_path / "link", **asked) == found
    made(tmp_path / "stopped", tmp_path / "link", **asked)
    assert "has changed since" not in capsys.readouterr().err


def test_a_folder_of_the_slices_of_all_cases_is_read_once(tmp_path):
    """Of Kaggle's BraTS2020 each of 369 volumes read all 57,195 files, 7 GB, for their hash."""
    write_phantom_data_set(tmp_path / "in", "brats2020-slices", count=5, seed=1, shape=(8, 16, 16))
    source_facts._hash.cache_clear()
    made(tmp_path / "store", tmp_path / "in", cohort="brats2020", options={"channel": 0})
    assert source_facts._hash.cache_info().misses == 1
