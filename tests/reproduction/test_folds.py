"""The stage `folds`: one preparation, light stores that share it, and no patient in several splits."""

import csv
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from anomae.errors import UserError
from anomae.files import read_json
from anomae.reports.provenance import in_several_splits
from anomae.reproduction import folds as stage
from anomae.reproduction.folds import prepare_folds, write_folds
from anomae.slices.settings import PrepareSettings
from anomae.slices.store import SliceStore

FOLDS = 3


def prepared(out: Path, **changed: object) -> list[SliceStore]:
    settings = PrepareSettings(image_size=(32, 32), drop_empty_training=True)
    given = {"folds": FOLDS, "seed": 2, "settings": settings, "options": {"size": "10x40x40"}, "workers": 0}
    return prepare_folds("phantom", "heads:9", out, **{**given, **changed})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[SliceStore]]:
    out = tmp_path_factory.mktemp("folds")
    return out, prepared(out)


def test_the_base_store_holds_every_slice_of_every_patient(made: tuple[Path, list[SliceStore]]) -> None:
    base = SliceStore(made[0] / "store")
    assert len(base.index) == 9 * 10
    assert set(base.index.split) == {"test"}
    assert (base.index.label == 1).any()
    assert base.prepared["dropped"] == {}


def test_every_patient_is_tested_once_and_stands_on_one_side(made: tuple[Path, list[SliceStore]]) -> None:
    out, stores = made
    base = SliceStore(out / "store").index
    assert len(stores) == FOLDS
    tested = np.concatenate([np.unique(store.index.patient[store.rows("test")]) for store in stores])
    assert sorted(tested) == sorted(set(base.patient))
    np.testing.assert_array_equal(np.sort(np.concatenate([store.rows("test") for store in stores])), np.arange(90))
    for store in stores:
        index = store.index
        sides = [set(index.patient[index.split == split]) for split in ("train", "validation", "test")]
        assert all(sides)
        assert sum(map(len, sides)) == len(set.union(*sides)) == 9
        assert len(sides[1]) == 1  # one in six of six, rounded up
        assert in_several_splits(index.split, index.patient) == 0


def test_nothing_abnormal_or_empty_is_trained_on_and_nothing_is_lost(made: tuple[Path, list[SliceStore]]) -> None:
    for store in made[1]:
        index = store.index
        train = index.split == "train"
        assert train.any()
        assert set(index.label[train]) == {0}
        assert not index.empty[train].any()
        outside = index.split == ""
        taught = np.isin(index.patient, index.patient[train])
        np.testing.assert_array_equal(outside, taught & ((index.label == 1) | index.empty))
        assert sum(store.prepared["dropped"].values()) == outside.sum() > 0
        assert "" not in store.prepared["counts"]
        assert store.prepared["counts"]["train"]["abnormal"] == 0
        held_out = index.split == "validation"
        assert held_out.sum() == 10  # whole, abnormal slices too


def test_arrays_are_shared_and_all_else_stays_what_it_was(made: tuple[Path, list[SliceStore]]) -> None:
    out, stores = made
    base = out / "store"
    with (base / "index.csv").open(newline="") as handle:
        lines = list(csv.DictReader(handle))
    for store in stores:
        for name in ("slices.npy", "lesions.npy", "cases.json"):
            assert (store.folder / name).samefile(base / name)
        with (store.folder / "index.csv").open(newline="") as handle:
            own = list(csv.DictReader(handle))
        assert [{**line, "split": ""} for line in own] == [{**line, "split": ""} for line in lines]
    fingerprints = {store.prepared["fingerprint"] for store in stores} | {
        read_json(base / "prepare.json")["fingerprint"]
    }
    assert len(fingerprints) == FOLDS + 1


def test_what_is_whole_is_left_and_what_was_stopped_goes_on(
    made: tuple[Path, list[SliceStore]], tmp_path: Path
) -> None:
    out, stores = made
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert [store.prepared for store in prepared(out)] == [store.prepared for store in stores]
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    copy = tmp_path / "copy"
    shutil.copytree(out / "store", copy)
    again = write_folds(SliceStore(copy), tmp_path / "folds", FOLDS, 2)
    (again[1].folder / "prepare.json").unlink()
    (again[1].folder / "index.csv").write_text("cut")
    again = write_folds(SliceStore(copy), tmp_path / "folds", FOLDS, 2)
    assert [store.prepared for store in again] == [store.prepared for store in stores]


def test_where_links_are_impossible_arrays_are_copied(
    made: tuple[Path, list[SliceStore]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    base = SliceStore(made[0] / "store")
    stores = write_folds(base, tmp_path, FOLDS, 2)
    for store, linked in zip(stores, made[1], strict=True):
        assert not (store.folder / "slices.npy").samefile(base.folder / "slices.npy")
        assert (store.folder / "slices.npy").read_bytes() == (base.folder / "slices.npy").read_bytes()
        assert store.prepared == linked.prepared


def test_other_folds_a_split_store_and_too_few_patients_are_refused(
    made: tuple[Path, list[SliceStore]], heads: SliceStore, tmp_path: Path
) -> None:
    out, _ = made
    base = SliceStore(out / "store")
    with pytest.raises(UserError, match="of other folds"):
        write_folds(base, out / "folds", FOLDS, 3)
    with pytest.raises(UserError, match="9 patients are too few for 5 folds"):
        write_folds(base, tmp_path, 5)
    with pytest.raises(UserError, match="is split already"):
        write_folds(heads, tmp_path, 2)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UserError, match="begun with other seed"):
        prepared(out, seed=3)


def test_a_new_base_leaves_the_arrays_of_the_folds_alone(tmp_path: Path) -> None:
    from anomae.arrays import GrowingArray

    (tmp_path / "slices.npy").write_bytes(b"old")
    stage._share(tmp_path / "slices.npy", tmp_path / "fold.npy")
    GrowingArray(tmp_path / "slices.npy", (2, 2), np.float16).close()
    assert (tmp_path / "fold.npy").read_bytes() == b"old"
