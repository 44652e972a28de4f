import numpy as np
import pytest

from anomae.cohorts.case import ABNORMAL, HEALTHY, UNKNOWN
from anomae.cohorts.released_lists import LISTS, ReleasedLists
from anomae.cohorts.splits import refuse_leaks
from anomae.errors import UserError

BRATS = {
    "normal_training_samples": 15557,
    "normal_val_samples": 4013,
    "abnormal_val_samples": 2962,
    "normal_test_samples": 13203,
    "abnormal_test_samples": 9737,
}
LUNA = {
    "normal_training_samples": 49964,
    "normal_val_samples": 3000,
    "abnormal_val_samples": 351,
    "normal_test_samples": 9994,
    "abnormal_test_samples": 1000,
}


def write_lists(folder, counts, names):
    """Made-up lists: each takes its number of `names` in turn, in no order."""
    folder.mkdir(parents=True)
    names = list(names)
    np.random.Generator(np.random.PCG64(0)).shuffle(names)
    start = 0
    for name, count in counts.items():
        (folder / f"{name}.txt").write_text("\n".join(names[start : start + count]) + "\n")
        start += count


def volumes(count):
    return [f"volume_{volume}_slice_{number}.npy" for volume in range(1, count + 1) for number in range(155)]


@pytest.mark.parametrize(("cohort", "counts"), [("brats2020", BRATS), ("luna16", LUNA)])
@pytest.mark.parametrize("parent", [False, True])
def test_made_up_lists_of_the_released_shape(tmp_path, cohort, counts, parent):
    inner = tmp_path / "lists" / {"brats2020": "brats", "luna16": "luna16"}[cohort]
    names = volumes(369) if cohort == "brats2020" else [f"{row}.npy" for row in range(551065)]
    write_lists(inner, counts, names)
    lists = ReleasedLists.read(inner.parent if parent else inner, cohort)
    assert lists.counts() == counts
    for name, (split, label) in LISTS.items():
        listed = (inner / f"{name}.txt").read_text().split()
        pairs = [entry.removesuffix(".npy").split("_slice_") for entry in listed]
        cases = np.array([pair[0] for pair in pairs])
        slices = np.array([int(pair[-1]) for pair in pairs])
        splits, labels = lists.splits_of(cases, slices)
        assert (splits == split).all()
        assert (labels == label).all()


@pytest.fixture
def small(tmp_path):
    write_lists(tmp_path / "brats", dict.fromkeys(LISTS, 31), volumes(1))
    return ReleasedLists.read(tmp_path, "brats2020")


def test_what_is_not_listed_has_no_part(small):
    splits, labels = small.splits_of("volume_2", np.arange(155))
    assert (splits == "").all()
    assert (labels == UNKNOWN).all()
    splits, _ = small.splits_of("volume_1", np.array([0, 155, -1]))
    assert (splits[0] != "", splits[1], splits[2]) == (True, "", "")
    splits, _ = small.splits_of(np.array(["else", "volume_x", "volume_1"]), np.array([3, 3, 3]))
    assert (splits != "").tolist() == [False, False, True]


def test_what_does_not_fit_is_counted(small):
    slices = np.arange(155)
    cases = np.full(155, "volume_1")
    _, labels = small.splits_of(cases, slices)
    assert small.compare(cases, slices, labels) == ()
    assert small.compare(cases, slices, np.full(155, UNKNOWN, dtype=np.int8)) == ()
    changed = labels.copy()
    changed[:4] = np.where(labels[:4] == HEALTHY, ABNORMAL, HEALTHY)
    notes = small.compare(
        np.append(cases[:150], "volume_2"), np.append(slices[:150], 0), np.append(changed[:150], HEALTHY)
    )
    assert [int(note.split()[0]) for note in notes] == [5, 4, 1]
    assert "data's is kept" in notes[1]


def test_a_copy_that_is_not_right_is_refused(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        ReleasedLists.read(tmp_path / "nowhere", "brats2020")
    with pytest.raises(UserError, match="holds no lists for brats2020"):
        ReleasedLists.read(tmp_path, "brats2020")
    with pytest.raises(UserError, match="not for 'lgg'"):
        ReleasedLists.read(tmp_path, "lgg")
    write_lists(tmp_path / "brats", dict.fromkeys(LISTS, 31), volumes(1))
    with pytest.raises(UserError, match="names no slice of luna16"):
        ReleasedLists.read(tmp_path / "brats", "luna16")
    last = tmp_path / "brats" / "abnormal_test_samples.txt"
    first = (tmp_path / "brats" / "normal_training_samples.txt").read_text().split()[0]
    whole = last.read_text()
    last.write_text(whole + first)
    with pytest.raises(UserError, match="1 names stand"):
        ReleasedLists.read(tmp_path, "brats2020")
    last.write_text(whole + "volume_1.npy")
    with pytest.raises(UserError, match=r"'volume_1.npy'"):
        ReleasedLists.read(tmp_path, "brats2020")
    last.unlink()
    with pytest.raises(UserError, match=r"abnormal_test_samples.txt is missing"):
        ReleasedLists.read(tmp_path, "brats2020")


def test_the_released_brats_lists(development_images):
    from sklearn.metrics import roc_auc_score

    lists = ReleasedLists.read(development_images / "paper_splits", "brats2020")
    assert lists.counts() == BRATS
    cases = np.repeat([f"volume_{number}" for number in range(1, 370)], 155)
    slices = np.tile(np.arange(155), 369)
    splits, labels = lists.splits_of(cases, slices)
    # Disjoint by scan, though the check is told of every slice.
    assert refuse_leaks(cases, splits) == 0
    scans = {split: len(set(cases[splits == split])) for split in ("train", "validation", "test")}
    assert scans == {"train": 176, "validation": 45, "test": 148}
    # Without any pixel: how far a slice is from the middle of the head.
    test = splits == "test"
    assert roc_auc_score(labels[test], -np.abs(slices[test] - 80)) == pytest.approx(0.8915, abs=5e-5)
    missing = lists.compare(cases, slices, labels)
    assert missing == (f"{369 * 155 - sum(BRATS.values())} slices of the data are in no list",)


def test_the_released_luna_lists(development_images):
    lists = ReleasedLists.read(development_images / "paper_splits", "luna16")
    assert lists.counts() == LUNA
    assert len(lists.rows()) == len(set(lists.rows().tolist())) == sum(LUNA.values())
    # Rows count from 0: the real patches at nodule rows are in the abnormal lists, each and every one.
    with np.load(development_images / "luna16_patches_50.npz") as patches:
        rows, nodule = patches["candidate_row"].astype(np.int64), patches["label"] == 1
    _, labels = lists.splits_of("", rows)
    assert (labels[nodule] == ABNORMAL).all()
    assert not (labels[~nodule] == ABNORMAL).any()
