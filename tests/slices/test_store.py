"""Reading a store: what is not whole is refused, rows are read without loading the rest."""

import csv
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from anomae.arrays import map_array
from anomae.errors import UserError
from anomae.files import read_json, write_json
from anomae.slices.index import COLUMNS, read_index
from anomae.slices.split_rule import SplitRule
from anomae.slices.store import Slices, SliceStore, grey
from anomae.slices.writer import StoreWriter


@pytest.fixture
def folder(make_case, make_cohort, small, write, tmp_path):
    cohort = make_cohort({"a": make_case(0), "b": make_case(1), "c": make_case(2)}, {"b": "validation", "c": "test"})
    writer = StoreWriter(tmp_path / "store", {}, small)
    write(writer, cohort, SplitRule(), small)
    writer.write_index()
    writer.finish({})
    return tmp_path / "store"


def test_rows_are_found_by_part_and_label(folder):
    store = SliceStore(folder)
    assert store.rows("train").tolist() == [0, 1, 2, 3]
    assert store.rows("train", label=1).tolist() == []
    assert store.rows("test", label=1).tolist() == [12, 15]
    assert store.rows("nowhere").tolist() == []


@pytest.mark.parametrize("split", ["train", "validation"])
def test_what_shows_a_region_not_to_be_judged_is_not_learnable_unless_most_do(folder, split):
    """Law: of every number of marked rows, those up to half of the training split are left out, and beyond it none."""
    store = SliceStore(folder)
    training, healthy = store.rows("train", label=0), store.rows(split, label=0)
    assert store.learnable(split).tolist() == healthy.tolist()
    for count in range(len(training) + 1):
        ignored = np.zeros((len(store.index), 16, 2), np.uint8)
        ignored[np.concatenate([training[:count], healthy[:1]]), 3, 0] = 1
        np.save(folder / "ignored.npy", ignored)
        marked = SliceStore(folder)
        usual = np.isin(training, np.flatnonzero(ignored.any(axis=(1, 2)))).mean() > 0.5
        assert marked.marks_are_usual == usual
        expected = healthy if usual else np.setdiff1d(healthy, np.flatnonzero(ignored.any(axis=(1, 2))))
        assert marked.learnable(split).tolist() == expected.tolist()


def test_a_region_not_to_be_judged_in_a_channel_of_a_neighbour_counts_too(folder):
    facts = read_json(folder / "prepare.json")
    store = SliceStore(folder)
    index, rows = store.index, store.rows("validation", label=0)
    ignored = np.zeros((len(index), 16, 2), np.uint8)
    ignored[rows[0]] = 1
    np.save(folder / "ignored.npy", ignored)
    for reach in (0, 1, 2):
        write_json(folder / "prepare.json", {**facts, "settings": {"neighbours": reach}})
        near = (index.case == index.case[rows[0]]) & (np.abs(index.slice - index.slice[rows[0]]) <= reach)
        assert SliceStore(folder).learnable("validation").tolist() == rows[~near[rows]].tolist()


def test_slices_are_read_in_the_order_that_was_asked_for(folder):
    store = SliceStore(folder)
    chosen = store.select(np.array([12, 3, 3, 0]))
    assert len(chosen) == 4
    assert chosen.image_size == store.image_size == (16, 12)
    assert chosen.channels == store.channels == 1
    assert chosen.read(slice(0, 0)).shape == (0, 1, 16, 12)
    np.testing.assert_array_equal(chosen.read(np.array([3, 0])), store.images[[0, 12]].astype(np.float32))
    batches = list(chosen.batches(3))
    assert [len(batch) for batch in batches] == [3, 1]
    np.testing.assert_array_equal(np.concatenate(batches), store.images[[12, 3, 3, 0]].astype(np.float32))
    assert all(batch.dtype == np.float32 for batch in batches)


def test_a_selection_knows_its_neighbours_within_what_is_allowed(folder):
    store = SliceStore(folder)
    index, rows = store.index, store.rows("test")
    few = rows[[3, 1]]
    for allowed, found in ((rows, store.select(few, among=rows)), (few, store.select(few))):
        for pair, row in zip(found.neighbours(slice(None)), few, strict=True):  # (2, 1, h, w)
            for image, step in zip(pair, (-1, 1), strict=True):
                beside = [
                    n for n in allowed if (index.case[n], index.slice[n] - step) == (index.case[row], index.slice[row])
                ]
                np.testing.assert_array_equal(image, store.images[beside[0] if beside else row])
    assert not np.array_equal(
        store.select(few, among=rows).neighbours(slice(None)), store.select(few).neighbours(slice(None))
    )


def test_all_rows_of_an_array_can_be_slices():
    images = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    np.testing.assert_array_equal(Slices(images).read(slice(None)), images[:, None])
    channels = np.arange(48, dtype=np.float32).reshape(2, 2, 3, 4)
    np.testing.assert_array_equal(Slices(channels).read(slice(None)), channels)
    np.testing.assert_array_equal(Slices(channels).pictures(slice(None)), channels.mean(axis=1))


def test_grey_of_one_channel_is_that_channel():
    image = np.random.default_rng(0).random((3, 1, 4, 5), dtype=np.float32)
    np.testing.assert_array_equal(grey(image), image[:, 0])
    np.testing.assert_array_equal(grey(np.concatenate([image, image], axis=1)), image[:, 0])


def test_images_are_mapped_read_only(folder):
    store = SliceStore(folder)
    assert isinstance(store.images, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        store.images[0] = 0


def test_reading_a_few_of_very_many_slices_takes_little_memory(tmp_path):
    """A sparse file of 1 GB: were it loaded, or copied, the memory would show it."""
    script = """
import resource, sys
import numpy as np
from anomae.arrays import GrowingArray, map_array
from anomae.slices.store import Slices
path = __import__("pathlib").Path(sys.argv[1])
growing = GrowingArray(path, (256, 256), np.float16)
growing._file.truncate(growing._start + 8192 * 256 * 256 * 2)
growing.rows = 8192
growing.close()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
chosen = Slices(map_array(path), np.arange(0, 8192, 64))
read = sum(len(batch) for batch in chosen.batches(8))
assert read == 128 and len(Slices(map_array(path))) == 8192
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "large.npy")], capture_output=True, encoding="utf-8", check=False
    )
    assert ended.returncode == 0, ended.stderr
    grown_kb = int(ended.stdout) // (1024 if sys.platform == "darwin" else 1)
    assert grown_kb < 100_000  # the slices that are read have 17 MB on disk


@pytest.mark.parametrize("missing", ["slices.npy", "index.csv", "prepare.json"])
def test_without_one_of_its_files_it_is_refused(folder, missing):
    (folder / missing).unlink()
    with pytest.raises(UserError, match=missing):
        SliceStore(folder)


def test_nothing_is_no_store(tmp_path):
    with pytest.raises(UserError, match="anomae prepare"):
        SliceStore(tmp_path / "nowhere")


def test_arrays_and_index_of_different_length_are_refused(folder):
    lines = (folder / "index.csv").read_text().splitlines(keepends=True)
    (folder / "index.csv").write_text("".join(lines[:-1]))
    with pytest.raises(UserError, match="prepare it again"):
        SliceStore(folder)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"not an array at all", None])
def test_a_broken_array_is_refused(folder, content):
    whole = (folder / "slices.npy").read_bytes()
    (folder / "slices.npy").write_bytes(whole[:-100] if content is None else content)
    with pytest.raises(UserError, match=r"slices\.npy"):
        SliceStore(folder)


@pytest.mark.parametrize("dtype", ["complex64", "int64", "U4", "M8[s]", "f8"])
def test_images_of_another_type_are_refused(folder, dtype):
    """They were cast to float32 without a word."""
    images = np.load(folder / "slices.npy").astype(np.int64)
    np.save(folder / "slices.npy", images.astype(dtype))
    with pytest.raises(UserError, match=r"slices\.npy is .*float16 or float32; prepare it again"):
        SliceStore(folder)


@pytest.mark.parametrize("axes", [0, 1, 2, 3, 5])
def test_images_of_other_axes_are_refused(folder, axes):
    images = np.load(folder / "slices.npy")
    np.save(folder / "slices.npy", images[..., None] if axes == 5 else images[(0,) * (4 - axes)])
    with pytest.raises(UserError, match=r"slices\.npy is float16 of shape .* \(n, c, h, w\)"):
        SliceStore(folder)


@pytest.mark.parametrize(
    "cut",
    [lambda m: m[:-1], lambda m: m[:, :-1], lambda m: m[..., :1], lambda m: m[..., None], lambda m: m.astype(np.int32)],
)
@pytest.mark.parametrize("name", ["lesions", "bodies", "ignored"])
def test_masks_that_are_not_those_of_the_images_are_refused(folder, name, cut):
    """Cut to fewer bytes a row, they were filled up with pixels that are no lesion."""
    whole = np.zeros((len(np.load(folder / "slices.npy")), 16, 2), np.uint8)
    np.save(folder / f"{name}.npy", whole)
    SliceStore(folder)
    np.save(folder / f"{name}.npy", cut(whole))
    with pytest.raises(UserError, match=rf"{name}\.npy is .* its images need uint8 of .*; prepare it again"):
        SliceStore(folder)


def test_pickles_are_never_loaded(tmp_path):
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError):
        map_array(tmp_path / "objects.npy")


def test_a_store_of_another_version_is_refused_with_what_to_do(folder):
    facts = json.loads((folder / "prepare.json").read_text())
    (folder / "prepare.json").write_text(json.dumps({**facts, "format": 1}))
    with pytest.raises(UserError, match="prepare anew"):
        SliceStore(folder)


def test_what_it_says_of_its_cohort(folder):
    facts = json.loads((folder / "prepare.json").read_text())
    assert (SliceStore(folder).recipe, SliceStore(folder).numbered_in_order) == ("small", False)
    (folder / "prepare.json").write_text(json.dumps({**facts, "recipe": "lgg", "order": "numbers"}))
    assert (SliceStore(folder).recipe, SliceStore(folder).numbered_in_order) == ("lgg", True)


@pytest.mark.parametrize("column", COLUMNS[1:])
def test_an_index_that_lacks_a_column_is_refused(folder, column):
    with (folder / "index.csv").open(newline="") as handle:
        lines = list(csv.DictReader(handle))
    kept = [name for name in COLUMNS if name != column]
    with (folder / "index.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, kept, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(lines)
    with pytest.raises(UserError, match=column):
        read_index(folder / "index.csv")


@pytest.mark.parametrize(
    ("column", "field"),
    [("slice", "one"), ("label", "ill"), ("body_fraction", "half"), ("empty", ""), ("patient", "p" * 100_000)],
)
def test_a_field_of_another_type_is_refused(folder, column, field):
    with (folder / "index.csv").open(newline="") as handle:
        lines = list(csv.reader(handle))
    lines[3][COLUMNS.index(column)] = field
    with (folder / "index.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows(lines)
    with pytest.raises(UserError, match="not of its type"):
        read_index(folder / "index.csv")


def test_a_line_cut_short_is_refused(folder):
    text = (folder / "index.csv").read_text()
    (folder / "index.csv").write_text(text[:-20])
    with pytest.raises(UserError):
        read_index(folder / "index.csv")


def test_it_can_be_moved(folder, tmp_path):
    before = SliceStore(folder).images[:].copy()
    shutil.move(folder, tmp_path / "elsewhere")
    np.testing.assert_array_equal(SliceStore(tmp_path / "elsewhere").images, before)


def test_an_index_reads_alike_in_blocks_of_any_length(folder, monkeypatch):
    whole = read_index(folder / "index.csv")
    monkeypatch.setattr("anomae.slices.index.BLOCK_LINES", 5)
    in_blocks = read_index(folder / "index.csv")
    for name in ("case", "patient", "slice", "position_mm", "split", "label", "empty", "lesion_fraction", "site"):
        np.testing.assert_array_equal(getattr(in_blocks, name), getattr(whole, name))
    (folder / "index.csv").write_text(",".join(COLUMNS) + "\n")
    assert len(read_index(folder / "index.csv")) == 0
