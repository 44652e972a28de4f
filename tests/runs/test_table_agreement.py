"""Splits and labels that tables of scores give beside the labels: taken, compared, never passed over."""

from pathlib import Path

import pytest

from anomae.errors import UserError

from .test_labelled_slices import known

LABELS = ["case,label", "a,0", "b,1", "c,0", "d,1"]
SPLIT_LABELS = ["case,label,split", "a,0,train", "b,1,test", "c,0,test", "d,1,test"]


def test_the_split_of_the_scores_counts_where_the_labels_have_none(tmp_path: Path) -> None:
    found = known(tmp_path, LABELS, ["case,score,split", "c,1,test", "b,1,TEST", "a,1,val"])
    assert found.split.tolist() == ["validation", "test", "test", ""]
    assert found.split_known
    assert found.doubts == [
        "The split is that of s0.csv, since l.csv has none.",
        "1 labelled slices have no score with a split, and are left out of every figure.",
    ]
    assert not any("no column split" in note for note in found.not_audited(position=False))


@pytest.mark.parametrize("scores", [["case,score", "b,1"], ["case,score,split", "b,1,test"]])
@pytest.mark.parametrize("part", ["", ",part"])
def test_the_split_of_the_labels_counts_where_nothing_contradicts_it(
    tmp_path: Path, scores: list[str], part: str
) -> None:
    other = ["case,score" + part, "c,1,knee" if part else "c,1"]
    found = known(tmp_path, SPLIT_LABELS, scores, other)
    assert (found.split.tolist(), found.split_known, found.doubts) == (["train", "test", "test", "test"], True, [])


def test_a_column_part_that_names_no_split_is_not_read_and_that_is_said(tmp_path: Path) -> None:
    found = known(tmp_path, LABELS, ["case,score,part", "b,1,knee", "c,1,hip"])
    assert (found.split.tolist(), found.split_known) == (["test"] * 4, False)
    assert found.doubts == ["The column split (or part) of s0.csv names no split, and was not read."]
    with pytest.raises(UserError, match=r"s0\.csv, line 3: the split 'hip' is not known"):
        known(tmp_path, LABELS, ["case,score,part", "b,1,test", "c,1,hip"])


def test_splits_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    own = ["case,score,split", "b,1,test", "c,1,val"]
    with pytest.raises(
        UserError, match=r"s0\.csv, line 3: the split is validation, but test .* in .*l\.csv \(1 line\(s\) differ\)"
    ):
        known(tmp_path, SPLIT_LABELS, own)
    with pytest.raises(UserError, match=r"s1\.csv, line 2: the split is test, but validation .* in another table"):
        known(tmp_path, LABELS, own, ["case,score,split", "c,1,test"])


def test_labels_of_the_scores_that_contradict_those_of_the_labels_are_told(tmp_path: Path) -> None:
    found = known(tmp_path, LABELS, ["case,score,label", "d,1,abnormal", "c,1,1", "b,1,", "a,1,1"])
    assert found.label.tolist() == [0, 1, 0, 1]
    assert found.doubts == [
        "2 of 3 labels in s0.csv are not those of l.csv (first: line 3 and line 4); those of l.csv count."
    ]
    assert known(tmp_path, LABELS, ["case,score,label", "d,1,1", "b,1,lesion", "a,1,0"]).doubts == []
