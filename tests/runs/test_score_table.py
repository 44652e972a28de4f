"""Tables of scores and labels: what is read, what is refused, and how they are joined."""

from pathlib import Path

import numpy as np
import pytest

from anomae.errors import UserError
from anomae.runs.score_table import join, read_table


def table(folder: Path, text: str, name: str = "t.csv", needed=("case",)):
    (folder / name).write_text(text, encoding="utf-8")
    return read_table(folder / name, needed)


def test_columns_as_they_stand(tmp_path):
    found = table(tmp_path, "case,slice,score,score_mae,label\na,1,0.5,2,0\nb,2, 1e-3 ,3,\n")
    assert found.text("case").tolist() == ["a", "b"]
    assert found.text("patient", "x").tolist() == ["x", "x"]
    assert found.whole_numbers("slice").tolist() == [1, 2]
    assert found.labels().tolist() == [0, -1]
    scores = found.scores()
    assert list(scores) == ["score", "score_mae"]
    np.testing.assert_array_equal(scores["score"], [0.5, 1e-3])


def test_a_spreadsheet_with_semicolons_and_a_byte_order_mark(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbfcase;score\r\na;1\r\n\r\nb;2\r\n")
    found = read_table(tmp_path / "t.csv", ("case", "score"))
    assert found.scores()["score"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "lacks the column"),
        ("name,score\na,1\n", "lacks the column.s. case"),
        ("case,case\na,1\n", "names a column twice"),
        ("case,score\na,1\nb\n", "line 3: 1 fields where the header has 2"),
    ],
)
def test_broken_tables_are_refused(tmp_path, text, words):
    with pytest.raises(UserError, match=words):
        table(tmp_path, text)


def test_a_missing_file_and_no_text_are_refused(tmp_path):
    with pytest.raises(UserError, match="is missing"):
        read_table(tmp_path / "none.csv", ("case",))
    (tmp_path / "t.csv").write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe")
    with pytest.raises(UserError, match="not readable as a CSV"):
        read_table(tmp_path / "t.csv", ("case",))
    with pytest.raises(UserError, match="not readable as a CSV"):
        read_table(tmp_path, ("case",))


@pytest.mark.parametrize(
    ("field", "words"),
    [("", "line 3.*not a number"), ("nan", "line 3.*not a finite"), ("inf", "finite"), ("x", "number")],
)
def test_scores_that_are_no_numbers_are_refused(tmp_path, field, words):
    with pytest.raises(UserError, match=words):
        table(tmp_path, f"case,score\na,1\nb,{field}\n").scores()


def test_odd_labels_and_slices_are_refused(tmp_path):
    with pytest.raises(UserError, match="line 3: a label must be"):
        table(tmp_path, "case,label\na,1\nb,2\n").labels()
    with pytest.raises(UserError, match=r"line 2.*not a whole number"):
        table(tmp_path, "case,slice\na,1.5\n").whole_numbers("slice")


def test_joined_by_case_and_slice(tmp_path):
    scores = table(tmp_path, "case,slice,score\nb,1,5\na,2,6\nc,1,7\n", "s.csv")
    labels = table(tmp_path, "case,slice,label\na,2,1\na,1,0\nb,1,0\n", "l.csv")
    ours, theirs = join(scores, labels)
    assert (ours.tolist(), theirs.tolist()) == ([0, 1], [2, 0])


def test_joined_by_case_where_a_table_has_no_slices(tmp_path):
    scores = table(tmp_path, "case,score\nb,5\na,6\n", "s.csv")
    labels = table(tmp_path, "case,slice,label\na,2,1\nb,1,0\n", "l.csv")
    ours, theirs = join(scores, labels)
    assert (ours.tolist(), theirs.tolist()) == ([0, 1], [1, 0])


def test_twice_the_same_and_nothing_in_common_are_refused_without_naming_anyone(tmp_path):
    labels = table(tmp_path, "case,label\nsecret,1\nsecret,0\n", "l.csv")
    scores = table(tmp_path, "case,score\nother,1\n", "s.csv")
    with pytest.raises(UserError, match="lines 2 and 3 mean the same case") as refused:
        join(scores, labels)
    assert "secret" not in str(refused.value)
    with pytest.raises(UserError, match="No slice of"):
        join(scores, table(tmp_path, "case,label\na,1\n", "m.csv"))
