"""The stage prepare on made-up data sets: same bytes however it runs, honest splits, nothing lost in silence."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from anomae.cohorts.case import ABNORMAL, HEALTHY
from anomae.cohorts.registry import open_cohort
from anomae.errors import LeakySplit, MissingExtra, UserError
from anomae.files import read_json, write_json
from anomae.phantoms.layouts import write_phantom_data_set
from anomae.recipes.preparation import preparation_for
from anomae.slices import brain_extraction
from anomae.slices.preparing import prepare_case
from anomae.slices.settings import PrepareSettings, settings_from
from anomae.slices.splitting import SUBSETS
from anomae.slices.store import SliceStore
from anomae.stages import prepare as stage
from anomae.stages.prepare import prepare
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_volume

SMALL = settings_from({"image_size": 16})
HEADS = {"size": "8x16x16"}


def made(cohort, source, store, **more):
    return prepare(cohort, source, store, **{"settings": SMALL, "workers": 0} | more)


@pytest.mark.parametrize(("cohort", "layout", "place"), [("luna16", "luna16", ""), ("arrays", "arrays", "slices.npz")])
def test_patches_have_no_neighbours_to_be_channels(tmp_path, cohort, layout, place):
    write_phantom_data_set(tmp_path / "data", layout, count=3, seed=0, shape=(16, 40, 40))
    with pytest.raises(UserError, match="neighbours=1 is for whole scans"):
        made(cohort, tmp_path / "data" / place, tmp_path / "store", settings=SMALL.model_copy(update={"neighbours": 1}))
    assert not (tmp_path / "store").exists()


def test_another_number_of_channels_is_another_request(tmp_path):
    made("phantom", "heads:4", tmp_path / "store", options=HEADS, modality="flair,t1")
    with pytest.raises(UserError, match="other options, channels"):
        made("phantom", "heads:4", tmp_path / "store", options=HEADS)
    facts = read_json(tmp_path / "store" / "prepare.json")
    assert (facts["kind"], facts["order"], facts["recipe"]) == ("scans", "grid", "phantom")
    write_json(tmp_path / "store" / "prepare.json", {**facts, "format": 1})
    with pytest.raises(UserError, match="prepare anew"):
        made("phantom", "heads:4", tmp_path / "store", options=HEADS, modality="flair,t1")


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


@pytest.fixture(scope="module")
def layouts(tmp_path_factory):
    """Layout -> a made-up data set, each written once and never changed."""
    written = {}

    def write(layout, **more):
        key = (layout, *sorted(more.items()))
        if key not in written:
            written[key] = tmp_path_factory.mktemp(layout)
            shape = (16, 32, 32) if layout == "luna16" else (8, 16, 16)
            write_phantom_data_set(written[key], layout, **{"count": 6, "seed": 1, "shape": shape} | more)
        return written[key]

    return write


@pytest.fixture
def data_set(layouts, tmp_path):
    """A copy of a made-up data set, to be changed."""
    return lambda layout, **more: shutil.copytree(layouts(layout, **more), tmp_path / layout)


def break_scan(path):
    path.write_bytes(path.read_bytes()[:200])


# ---- what comes out


def test_a_store_holds_every_slice_prepared_with_its_patient_part_and_label(layouts, tmp_path):
    source = layouts("brats2020")
    store = made("brats2020", source, tmp_path / "store", modality="flair")
    cohort = open_cohort("brats2020", source, modality="flair")
    for case in cohort.cases():
        read, rows = cohort.read(case), np.flatnonzero(store.index.case == case.case)
        split = set(store.index.split[rows])
        assert len(split) == 1
        stays = read.labels != ABNORMAL if split == {"train"} else np.ones(8, bool)
        prepared = prepare_case(read, SMALL, stays)
        np.testing.assert_array_equal(store.select(rows).read(slice(None)), prepared.images)
        np.testing.assert_array_equal(store.lesions(rows), prepared.lesions)
        np.testing.assert_array_equal(store.index.slice[rows], read.slices[stays])
        np.testing.assert_array_equal(store.index.label[rows], read.labels[stays])
        np.testing.assert_allclose(store.index.position_mm[rows], read.positions_mm[stays], rtol=1e-5)
        assert set(store.index.patient[rows]) == {case.patient}
        assert set(store.index.site[rows]) == {case.site} != {""}


def test_prepare_json_says_what_was_done(layouts, tmp_path):
    store = made("brats2020", layouts("brats2020"), tmp_path / "store", seed=3)
    said, index = store.prepared, store.index
    assert said["cohort"] == "brats2020"
    assert said["seed"] == 3
    assert PrepareSettings.model_validate(said["settings"]) == SMALL
    assert said["allow_leak"] is False
    assert said["leaking_patients"] == 0
    assert said["skipped"] == []
    assert "seed 3" in said["split"]
    for split, counts in said["counts"].items():
        here = index.split == split
        assert counts["normal"] == (here & (index.label == HEALTHY)).sum()
        assert counts["abnormal"] == (here & (index.label == ABNORMAL)).sum()
        assert counts["empty"] == (here & index.empty).sum()
        assert counts["patients"] == len(set(index.patient[here]))
    dropped = said["dropped"]["abnormal in the training split"]
    assert len(index) + dropped == 6 * 8
    assert set(said["versions"]) >= {"anomae", "numpy"}


def test_the_share_of_normals_of_ill_patients_counts_dropped_slices_too(layouts, tmp_path):
    """Of a training patient all abnormal slices are dropped, and yet his healthy ones are an ill patient's."""
    source = layouts("brats2020")
    store = made("brats2020", source, tmp_path / "store")
    cohort = open_cohort("brats2020", source)
    ill = [case.patient for case in cohort.cases() if (cohort.read(case).labels == ABNORMAL).any()]
    train = (store.index.split == "train") & (store.index.label == HEALTHY)
    share = np.isin(store.index.patient[train], ill).mean()
    assert store.prepared["share_of_normals_from_patients_with_lesions"]["train"] == pytest.approx(share, abs=1e-5)
    assert share > 0


def test_the_training_part_holds_healthy_slices_only(tmp_path):
    store = made("phantom", "heads:8", tmp_path / "store", options=HEADS)
    assert set(store.index.label[store.rows("train")]) == {HEALTHY}
    assert store.prepared["dropped"]["abnormal in the training split"] > 0


def test_no_patient_stands_on_two_sides(tmp_path):
    store = made("phantom", "heads:8", tmp_path / "store", options=HEADS)
    sides = {patient: set(store.index.split[store.index.patient == patient]) for patient in store.index.patient}
    assert len(sides) == 8
    assert all(len(splits) == 1 for splits in sides.values())
    assert {next(iter(splits)) for splits in sides.values()} == {"train", "validation", "test"}


# ---- the same bytes however it runs


def test_the_number_of_workers_changes_nothing(tmp_path):
    stores = [
        made("phantom", "heads:5", tmp_path / str(workers), options=HEADS, workers=workers) for workers in (0, 1, 2)
    ]
    first, *others = (files(store.folder) for store in stores)
    assert len(first) == 5
    for other in others:
        assert other == first


def test_killed_in_the_middle_it_goes_on_to_the_same_bytes_and_leaves_no_process(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    command = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"
        "from forks import kill_at\n"
        "from anomae.stages.prepare import prepare\n"
        "kill_at('fsync', '', 4, 'after')\n"
        f"prepare('phantom', 'heads:16', {str(killed)!r}, options={{'size': '16x48x48'}}, workers=2)"
    )
    running = subprocess.Popen([sys.executable, "-c", command], stderr=subprocess.DEVNULL, start_new_session=True)
    assert running.wait(timeout=600) == -signal.SIGKILL
    assert (killed / "journal.jsonl").read_bytes().count(b"\n") == 4
    until = time.monotonic() + 120
    with pytest.raises(UserError, match="not a finished store"):
        SliceStore(killed)
    while time.monotonic() < until:
        try:
            os.killpg(running.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.05)
    else:
        pytest.fail("workers stayed behind")
    for folder in (whole, killed):
        prepare("phantom", "heads:16", folder, options={"size": "16x48x48"}, workers=0)
    assert files(killed) == files(whole)


def test_a_whole_store_is_left_as_it_is(watched, tmp_path, capsys):
    made("phantom", "heads:5", tmp_path / "store", options=HEADS)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").iterdir()}
    made("phantom", "heads:5", tmp_path / "store", options=HEADS)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "store").iterdir()} == before
    assert "whole already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"settings": settings_from({"image_size": 24})}, "settings"),
        ({"seed": 1}, "seed"),
        ({"options": {"size": "8x16x24"}}, "options"),
        ({"modality": "t1"}, "options"),
        ({"split": "patient"}, "split"),
    ],
)
def test_a_store_that_was_asked_for_otherwise_is_refused(tmp_path, change, said):
    made("phantom", "heads:4", tmp_path / "store", options=HEADS)
    before = files(tmp_path / "store")
    with pytest.raises(UserError, match=said):
        made("phantom", "heads:4", tmp_path / "store", **{"options": HEADS} | change)
    assert files(tmp_path / "store") == before


def test_scans_that_were_added_since_are_noticed(data_set, tmp_path):
    source = data_set("lgg")
    made("lgg", source, tmp_path / "store")
    shutil.rmtree(next(path for path in source.iterdir() if path.is_dir()))
    with pytest.raises(UserError, match="cases are others"):
        made("lgg", source, tmp_path / "store")


def test_what_model_copy_changed_is_understood(tmp_path):
    settings = SMALL.model_copy(update={"image_size": 24})
    assert made("phantom", "heads:4", tmp_path / "store", options=HEADS, settings=settings).image_size == (24, 24)


def test_without_settings_those_of_the_cohort_are_taken(tmp_path):
    store = prepare("phantom", "heads:4", str(tmp_path / "store"), options=HEADS, workers=0)
    assert store.image_size == (64, 64)


# ---- broken scans


def test_a_broken_scan_is_listed_and_the_rest_is_there(data_set, layouts, watched, tmp_path, capsys):
    source = data_set("brats2020")
    break_scan(source / "BraTS20_Training_002" / "BraTS20_Training_002_t1.nii.gz")
    (source / "BraTS20_Training_004" / "BraTS20_Training_004_seg.nii.gz").unlink()
    store = made("brats2020", source, tmp_path / "store")
    assert [entry["case"] for entry in store.prepared["skipped"]] == ["volume_2", "volume_4"]
    assert all("BraTS20_Training_00" in entry["reason"] for entry in store.prepared["skipped"])
    told = capsys.readouterr().err
    assert "2 of 6 scans" in told
    assert "BraTS20_Training_002_t1.nii.gz" in told
    whole = made("brats2020", layouts("brats2020"), tmp_path / "whole")
    kept = np.isin(whole.index.case, ["volume_2", "volume_4"], invert=True)
    np.testing.assert_array_equal(store.index.case, whole.index.case[kept])
    np.testing.assert_array_equal(store.index.split, whole.index.split[kept])
    np.testing.assert_array_equal(store.images[:], whole.images[kept])


def test_many_broken_scans_are_not_all_told(data_set, watched, tmp_path, capsys):
    source = data_set("folder", file_format="png", count=12)
    pictures = sorted(source.rglob("*.png"))
    for path in pictures[: len(pictures) // 2]:
        break_scan(path)
    made("folder", source, tmp_path / "store")
    told = capsys.readouterr().err
    assert f"{len(pictures) // 2} of {len(pictures)} scans" in told
    assert "more; prepare.json names all" in told


def test_if_all_are_broken_it_says_why_and_may_be_tried_otherwise(data_set, layouts, tmp_path):
    source = data_set("brats2020")
    for path in source.rglob("*_t1.nii.gz"):
        break_scan(path)
    with pytest.raises(UserError, match=r"None of the 6 scans could be read; the first: .*_t1\.nii\.gz"):
        made("brats2020", source, tmp_path / "store")
    store = made("brats2020", source, tmp_path / "store", modality="t2")
    assert store.prepared["skipped"] == []


def test_one_broken_file_of_many_images_is_not_called_a_patient(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"")
    with pytest.raises(UserError, match=r"None of the 1 scans could be read; the first: .*a\.npz"):
        made("arrays", tmp_path / "a.npz", tmp_path / "store")


@pytest.mark.parametrize("workers", [0, 1])
def test_names_that_are_no_utf8_are_prepared_or_listed(data_set, tmp_path, workers):
    source = data_set("folder", file_format="nii.gz")
    scans = sorted(source.rglob("scan.nii.gz"))
    non_finite = scans[0].rename(scans[0].with_name("caf\udce9.nii.gz"))
    write_volume(scans[1].with_name("plain.mha"), np.ones((8, 16, 16), np.int16), Grid((8, 16, 16)))
    scans[1].with_name("plain.mha").rename(scans[1].with_name("\udce9.mha"))
    store = made("folder", source.rename(tmp_path / "n\udce9e"), tmp_path / "store", workers=workers)
    cases = read_json(tmp_path / "store" / "cases.json")
    assert set(store.index.case) == set(cases)
    (name,) = [name for name in cases if "caf" in name]
    assert cases[name]["source"].endswith(non_finite.name)
    assert len(store.index.case[store.index.case == name]) == 8
    assert ["no UTF-8" in entry["reason"] for entry in store.prepared["skipped"]] == [True]


def test_if_nothing_is_left_to_learn_from_it_says_why(data_set, tmp_path):
    source = data_set("lgg")
    (source / "patients.csv").write_text(
        (source / "patients.csv").read_text().replace(",validation,", ",report,").replace(",train,", ",validation,")
    )
    with pytest.raises(UserError, match="No healthy slice is left in the training split"):
        made("lgg", source, tmp_path / "store")


# ---- who decides the splits


def test_the_data_sets_own_parts_are_kept(layouts, tmp_path):
    source = layouts("lgg")
    store = made("lgg", source, tmp_path / "store")
    for case in open_cohort("lgg", source).cases():
        assert set(store.index.split[store.index.case == case.case]) == {case.split}
    assert store.prepared["split"] == "the data set's own splits"


def test_the_seed_decides_if_it_is_told_to(layouts, tmp_path):
    splits = []
    for seed in (0, 1, 2):
        store = made("lgg", layouts("lgg", count=12), tmp_path / str(seed), split="patient", seed=seed)
        splits.append(dict(zip(store.index.patient.tolist(), store.index.split.tolist(), strict=True)))
    assert splits[0] != splits[1] or splits[1] != splits[2]


def test_a_data_set_that_fixes_no_parts_cannot_be_followed(layouts, tmp_path):
    with pytest.raises(UserError, match="fixes no splits"):
        made("brats2020", layouts("brats2020"), tmp_path / "store", split="fixed")
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(("cohort", "split"), [("phantom", "subsets"), ("phantom", "random")])
def test_a_split_that_there_is_not_is_refused(tmp_path, cohort, split):
    with pytest.raises(UserError, match=split):
        made(cohort, "heads:4", tmp_path / "store", options=HEADS, split=split)
    assert not (tmp_path / "store").exists()


def luna(source, store, **more):
    options = {"patch_side": 16, "patch_spacing_mm": 2.0}
    return made(
        "luna16",
        source,
        store,
        **{"options": options, "settings": settings_from({"image_size": 16, "intensity": "hu/100"})} | more,
    )


def test_candidates_are_drawn_only_where_a_leak_is_allowed(layouts, tmp_path):
    source = layouts("luna16", count=10)
    asked = {"split": "candidate", "workers": 0, "seed": 4}
    with pytest.raises(LeakySplit, match="say --allow-leak"):
        prepare("luna16", source, tmp_path / "store", **asked)
    store = prepare("luna16", source, tmp_path / "store", allow_leak=True, **asked)
    prepared = store.prepared
    assert prepared["split"].startswith("candidates drawn at random from seed 4, after the paper's LUNA16 split")
    assert prepared["leaking_patients"] > 0
    assert set(store.index.split) == {"train", "validation", "test"}
    with pytest.raises(UserError, match="--split candidate is for luna16"):
        prepare("phantom", "heads:8", tmp_path / "heads", allow_leak=True, **asked)


def test_the_subsets_of_luna16_decide_if_told_to(layouts, tmp_path):
    source = layouts("luna16", count=10)
    store = luna(source, tmp_path / "store", split="subsets")
    assert store.prepared["options"]["subsets"] == SUBSETS
    first = {path.stem for path in (source / "subset0").glob("*.mhd")}
    last = {path.stem for path in (source / "subset9").glob("*.mhd")}
    assert set(store.index.split[np.isin(store.index.case, list(first))]) == {"train"}
    assert set(store.index.split[np.isin(store.index.case, list(last))]) == {"test"}
    assert (np.diff(np.sort(store.index.slice)) > 0).all()


def test_the_middle_of_patches_is_refused(layouts, tmp_path):
    with pytest.raises(UserError, match="whole scans"):
        luna(layouts("luna16", count=10), tmp_path / "store", settings=settings_from({"slices": "mid"}))


def write_lists(folder, name_of, listed):
    """The five lists, from list -> what it names."""
    folder.mkdir()
    lists = ("normal_training_samples", "normal_val_samples", "abnormal_val_samples", "normal_test_samples")
    for name in (*lists, "abnormal_test_samples"):
        (folder / f"{name}.txt").write_text("".join(f"{name_of(entry)}\n" for entry in listed[name]))
    return folder


@pytest.fixture
def brats_lists(layouts, tmp_path):
    """Lists that name the slices 2 to 6 of the volumes 1 to 6, by their true labels."""
    cohort = open_cohort("brats2020", layouts("brats2020"))
    splits = dict(zip(range(1, 7), ["training", "training", "val", "val", "test", "test"], strict=True))
    listed = {f"{kind}_{split}_samples": [] for kind in ("normal", "abnormal") for split in ("training", "val", "test")}
    for case in cohort.cases():
        volume = int(case.case.removeprefix("volume_"))
        for number in range(2, 7):
            kind = "abnormal" if cohort.read(case).labels[number] == ABNORMAL else "normal"
            listed[f"{kind}_{splits[volume]}_samples"].append((volume, number))
    return listed


def brats_name(entry):
    return "volume_{}_slice_{}.npy".format(*entry)


def test_released_lists_decide_and_slices_that_they_do_not_name_are_dropped(layouts, brats_lists, tmp_path):
    lists = write_lists(tmp_path / "lists", brats_name, brats_lists)
    store = made("brats2020", layouts("brats2020"), tmp_path / "store", splits=lists)
    counts = store.prepared["counts"]
    assert counts["train"]["normal"] == len(brats_lists["normal_training_samples"])
    assert counts["test"]["normal"] == len(brats_lists["normal_test_samples"])
    assert counts["test"]["abnormal"] == len(brats_lists["abnormal_test_samples"])
    assert counts["validation"]["abnormal"] == len(brats_lists["abnormal_val_samples"])
    assert store.prepared["dropped"]["in no split"] >= 6 * 3
    assert store.prepared["split"] == "the released lists"
    assert set(store.index.slice) <= set(range(2, 7))


def test_lists_that_name_other_slices_than_before_are_noticed(layouts, brats_lists, tmp_path):
    lists = write_lists(tmp_path / "lists", brats_name, brats_lists)
    made("brats2020", layouts("brats2020"), tmp_path / "store", splits=lists)
    brats_lists["normal_test_samples"].pop()
    other = write_lists(tmp_path / "other", brats_name, brats_lists)
    with pytest.raises(UserError, match="lists"):
        made("brats2020", layouts("brats2020"), tmp_path / "store", splits=other)


def test_lists_that_leak_are_refused_before_anything_is_read(layouts, brats_lists, watched, tmp_path, capsys):
    brats_lists["normal_test_samples"].append((1, 0))
    lists = write_lists(tmp_path / "lists", brats_name, brats_lists)
    with pytest.raises(LeakySplit, match="1 of 6"):
        made("brats2020", layouts("brats2020"), tmp_path / "store", splits=lists)
    assert not (tmp_path / "store").exists()
    store = made("brats2020", layouts("brats2020"), tmp_path / "store", splits=lists, allow_leak=True)
    assert store.prepared["leaking_patients"] == 1
    assert "1 patients are in more than one split" in capsys.readouterr().err
    assert store.prepared["allow_leak"] is True
    with pytest.raises(LeakySplit):
        made("brats2020", layouts("brats2020"), tmp_path / "store", splits=lists)


def test_lists_of_candidates_leak_and_are_cut_alone(layouts, tmp_path):
    source = layouts("luna16", count=10)
    with (source / "candidates.csv").open() as handle:
        labels = [int(line.rsplit(",", 1)[1]) for line in handle.readlines()[1:]]
    rows = {kind: [row for row, label in enumerate(labels) if label == kind] for kind in (HEALTHY, ABNORMAL)}
    listed = {
        "normal_training_samples": rows[HEALTHY][::3],
        "normal_val_samples": rows[HEALTHY][1::3][:5],
        "abnormal_val_samples": rows[ABNORMAL][:2],
        "normal_test_samples": rows[HEALTHY][2::3],
        "abnormal_test_samples": rows[ABNORMAL][2:],
    }
    lists = write_lists(tmp_path / "lists", lambda row: f"{row}.npy", listed)
    with pytest.raises(LeakySplit):
        luna(source, tmp_path / "store", splits=lists)
    assert not (tmp_path / "store").exists()
    store = luna(source, tmp_path / "store", splits=lists, allow_leak=True)
    assert sorted(store.index.slice) == sorted(row for some in listed.values() for row in some)
    assert store.prepared["leaking_patients"] > 1
    assert store.prepared["counts"]["test"]["abnormal"] == len(listed["abnormal_test_samples"])


# ---- images of many patients in one file


@pytest.fixture
def arrays(tmp_path):
    """Two files; the patients 3 to 6 have images in both."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "arrays"
    folder.mkdir()
    for number, patients in enumerate((np.arange(0, 7), np.arange(3, 10))):
        groups = np.repeat(patients, 4)
        images = rng.integers(0, 255, (len(groups), 16, 16)).astype(np.uint8)
        labels = (groups % 3 == 0) & (np.arange(len(groups)) % 4 == 0)
        np.savez(folder / f"{number}.npz", images=images, labels=labels.astype(np.int8), groups=groups)
    return folder


def test_patients_of_single_images_are_split_over_all_files_together(arrays, tmp_path):
    store = made(
        "arrays", arrays, tmp_path / "store", settings=settings_from({"image_size": 16, "intensity": "full_range"})
    )
    sides = {patient: set(store.index.split[store.index.patient == patient]) for patient in set(store.index.patient)}
    assert len(sides) == 10
    assert all(len(splits) == 1 for splits in sides.values())
    assert set(store.index.split) == {"train", "validation", "test"}
    assert "seed 0" in store.prepared["split"]


def test_parts_that_stand_in_the_file_are_kept_and_their_leaks_refused(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (8, 16, 16)).astype(np.uint8)
    splits = np.array(["train"] * 4 + ["val"] * 2 + ["test"] * 2)
    groups = np.array([0, 0, 1, 1, 2, 2, 1, 3])
    np.savez(tmp_path / "one.npz", images=images, labels=np.zeros(8, np.int8), splits=splits, groups=groups)
    with pytest.raises(LeakySplit, match="1 of 4"):
        made("arrays", tmp_path / "one.npz", tmp_path / "store")
    store = made("arrays", tmp_path / "one.npz", tmp_path / "store", allow_leak=True)
    assert store.index.split.tolist() == ["train"] * 4 + ["validation"] * 2 + ["test"] * 2
    assert store.prepared["leaking_patients"] == 1
    assert "slice by slice" in store.prepared["split"]


# ---- what the caller gets wrong


def test_a_modality_where_there_is_none_is_refused(layouts, tmp_path):
    with pytest.raises(UserError, match="no modalities"):
        made("folder", layouts("folder"), tmp_path / "store", modality="t1")


def test_an_unknown_option_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no option 'sise'.*size"):
        made("phantom", "heads:4", tmp_path / "store", options={"sise": "8x16x16"})


def test_fewer_workers_than_none_are_refused(tmp_path):
    with pytest.raises(UserError, match="workers"):
        made("phantom", "heads:4", tmp_path / "store", options=HEADS, workers=-1)


@pytest.mark.parametrize("place", ["file/store", "x" * 300])
def test_where_no_store_can_be_it_says_so(tmp_path, place):
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(UserError, match="name another"):
        made("phantom", "heads:4", tmp_path / place, options=HEADS)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_is_no_store_is_left_alone(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="not a store"):
        made("phantom", "heads:4", tmp_path / "store", options=HEADS)
    assert files(tmp_path / "store") == {"mine.txt": b"mine"}


# ---- real images


def test_brains_are_prepared_the_same_with_any_number_of_workers_and_counted(layouts, tmp_path):
    settings = settings_from({"image_size": 16, "preparation": "brain"})
    source = layouts("brats2020")
    store = made("brats2020", source, tmp_path / "one", settings=settings)
    made("brats2020", source, tmp_path / "two", settings=settings, workers=2)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert store.prepared["brain_masks"] == {"nonzero": 6}
    assert all("skull-stripped" in facts["notes"][-1] for facts in read_json(store.folder / "cases.json").values())
    rows = np.flatnonzero(~store.index.empty)
    np.testing.assert_allclose(store.index.body_fraction[rows], store.bodies(rows).mean(axis=(1, 2)), rtol=1e-5)
    plain = made("brats2020", source, tmp_path / "plain", settings=SMALL)
    np.testing.assert_array_equal(plain.index.filled, store.index.filled)


def test_the_usual_preparation_of_brats_is_of_the_brain_and_asks_for_no_network(layouts, tmp_path, monkeypatch):
    monkeypatch.setattr(brain_extraction, "extract_brain", None)
    store = made("brats2020", layouts("brats2020"), tmp_path / "store", settings=None)
    assert store.prepared["settings"]["preparation"] == "brain"
    assert store.prepared["brain_masks"] == {"nonzero": 6}
    assert preparation_for("lgg").preparation == "brain"
    assert all(preparation_for(name).preparation == "plain" for name in ("luna16", "arrays", "folder", "phantom"))


@pytest.mark.parametrize("workers", [0, 1])
def test_without_the_extra_it_stops_and_says_what_to_do(layouts, tmp_path, monkeypatch, workers):
    (tmp_path / "deepbet").mkdir()
    (tmp_path / "deepbet" / "__init__.py").write_text("")  # a package without what is needed, for workers too
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "deepbet", raising=False)
    monkeypatch.delitem(sys.modules, "deepbet.bet", raising=False)
    brain_extraction._load.cache_clear()
    settings = settings_from({"image_size": 16, "preparation": "brain"})
    with pytest.raises(MissingExtra, match=r"anomae\[brain\].*preparation=plain"):
        made("lgg", layouts("lgg"), tmp_path / "store", settings=settings, workers=workers)
    brain_extraction._load.cache_clear()


def test_brains_of_patches_are_refused_and_few_processes_extract(layouts, tmp_path, monkeypatch):
    settings = settings_from({"image_size": 16, "preparation": "brain"})
    with pytest.raises(UserError, match="preparation=brain is for whole scans"):
        made("luna16", layouts("luna16"), tmp_path / "store", settings=settings)
    monkeypatch.setattr(stage, "usable_cores", lambda: 64)
    assert stage.usable_workers(None, SMALL) == stage.MOST_WORKERS
    assert stage.usable_workers(None, settings) == stage.MOST_EXTRACTING
    assert stage.usable_workers(None, settings.model_copy(update={"brain_mask": "nonzero"})) == stage.MOST_WORKERS
    assert stage.usable_workers(7, settings) == 7


@pytest.mark.real_data
def test_real_slices_are_prepared(development_images, tmp_path):
    store = made(
        "lgg",
        development_images / "lgg",
        tmp_path / "store",
        settings=settings_from({"image_size": 48, "slices": "mid"}),
    )
    assert store.prepared["skipped"] == []
    assert {split: counts["patients"] for split, counts in store.prepared["counts"].items()} == {
        "train": 40,
        "validation": 10,
        "test": 25,
    }
    assert (
        json.dumps(store.prepared["share_of_normals_from_patients_with_lesions"])
        == '{"train": 1.0, "validation": 1.0, "test": 1.0}'
    )
    means = [float(batch.mean()) for batch in store.select(store.rows("test")).batches(64)]
    assert 0.1 < min(means) <= max(means) < 0.5
