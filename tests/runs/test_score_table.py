"""Tables of scores and labels: what is read, what is refused, and how they are joined."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomae.errors import UserError
from anomae.runs import score_table
from anomae.runs.score_table import read_table


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


@pytest.mark.parametrize("at_once", [1, 2, 3, 50_000])
def test_blocks_of_lines_change_nothing_and_every_line_keeps_its_number(tmp_path, monkeypatch, at_once):
    monkeypatch.setattr(score_table, "_AT_ONCE", at_once)
    found = table(tmp_path, 'case,score,note\na,1,x\n\n ,,\nb,2,"two\nlines"\na,3,x\nc,x,\n')
    assert found.text("case").tolist() == ["a", "b", "a", "c"]
    assert found.text("note").tolist() == ["x", "two\nlines", "x", ""]
    assert found.lines == (2, 6, 7, 8)
    with pytest.raises(UserError, match="line 8: the score 'x' is not a number"):
        found.numbers("score")
    with pytest.raises(UserError, match="line 4: 2 fields where the header has 3"):
        table(tmp_path, "case,score,note\na,1,x\nb,1,x\nb,2\nc\n")


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


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_whatever_parts_the_fields_and_in_any_case(tmp_path, mark):
    lines = ["Case,PATIENT,Label,Part,Score_MAE,SCORE", "a,p,Normal,Test,1,2", "", ",,,,,", "b,q,TRUE, val ,3,4"]
    found = table(tmp_path, "\n".join(lines).replace(",", mark), needed=("case", "score", "label"))
    assert found.labels().tolist() == [0, 1]
    assert found.splits().tolist() == ["test", "validation"]
    assert {name: column.tolist() for name, column in found.scores().items()} == {"score_MAE": [1, 3], "score": [2, 4]}
    assert found.lines == (2, 5)


@given(
    values=st.lists(st.floats(-1e6, 1e6).map(lambda value: round(value, 5)), min_size=1, max_size=9),
    mark=st.sampled_from(";\t"),
)
def test_decimal_commas_are_the_same_numbers_or_refused(tmp_path_factory, values, mark):
    fields = [f"{value:.5f}".replace(".", ",") for value in values]
    found = table(tmp_path_factory.mktemp("t"), "".join([f"case{mark}score\n", *(f"a{mark}{x}\n" for x in fields)]))
    assert found.scores()["score"].tolist() == values
    assert found.has_decimal_commas("score")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("case;score\na;1,5\nb;2.5\n", "line 2: .* has a comma and that of line 3 a point"),
        ("case;score\na;1,234\nb;12\n", "line 2: .*thousands"),
        ("case,score\na,0,5\n", "line 2: 3 fields where the header has 2; decimal commas need semicolons"),
        ("case,score\n\na,5%\n", "line 3: .*without the %"),
        ("case;score\na;1,2,3\n", "line 2: .*not a number"),
        ("Case,case,score\n", "twice .case"),
    ],
)
def test_numbers_that_could_mean_two_things_are_refused_with_the_cure(tmp_path, text, words):
    with pytest.raises(UserError, match=words):
        table(tmp_path, text).scores()


@pytest.mark.parametrize("split", ["hold-out", "", "0"])
def test_splits_that_are_not_known_are_refused(tmp_path, split):
    with pytest.raises(UserError, match=r"line 3: the split .* is not known; write train, validation or test"):
        table(tmp_path, f"case,part\na,Training\nb,{split}\nc,test\n").splits()


def test_without_a_split_all_is_test(tmp_path):
    assert table(tmp_path, "case\na\nb\n").splits().tolist() == ["test", "test"]


def test_the_file_stands_for_the_case_only_where_there_is_none(tmp_path):
    found = table(tmp_path, "file,score\nx/a.nii,1\n", needed=("case", "score"))
    assert (found.by_file, found.text("case").tolist()) == (True, ["x/a.nii"])
    both = table(tmp_path, "file,case,score\nx/a.nii,a,1\n", needed=("case", "score"))
    assert (both.by_file, both.text("case").tolist()) == (False, ["a"])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-8"])
@pytest.mark.parametrize("first", ["", "sep=;\r\n", '"sep=;"\n'])
def test_tables_as_spreadsheets_save_them(tmp_path, encoding, first):
    text = f"{first}Case;Score\r\n\u00e4\u00df;1,5\r\n\r\nb;2\r\n"
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    found = read_table(tmp_path / "t.csv", ("case", "score"))
    assert found.text("case").tolist() == ["\u00e4\u00df", "b"]
    assert found.scores()["score"].tolist() == [1.5, 2]
    assert [*found.lines] == ([2, 4] if not first else [3, 5])
    (tmp_path / "t.csv").write_bytes(f"{text}c;1;2\r\n".encode(encoding))
    with pytest.raises(UserError, match=f"line {6 if first else 5}: 3 fields"):
        read_table(tmp_path / "t.csv", ("case", "score"))


LINES = ["case,slice,label,patient"] + [f"c{row // 20},{row % 20},{row // 20 % 2},p{row // 20}" for row in range(8000)]


@given(
    opened=st.integers(1, 7900),
    taken=st.integers(1, 8000),
    column=st.integers(0, 3),
    mark=st.sampled_from([",", ";", "\t"]),
)
@settings(max_examples=30, deadline=None)
def test_a_quote_that_takes_lines_into_a_field_is_told_with_the_line_that_it_opens_on(
    tmp_path_factory, opened, taken, column, mark
):
    """Such lines were gone without a word, or, told by numpy's columns of fixed width, took gigabytes."""
    lines, closed = list(LINES), min(opened + taken, 8000)
    fields = lines[opened].split(",")
    fields[column] = '"' + fields[column]
    lines[opened], lines[closed] = ",".join(fields), lines[closed] + '"'
    text = "\n".join(lines).replace(",", mark) + "\n"
    folder = tmp_path_factory.mktemp("quotes")
    with pytest.raises(UserError, match=f"t.csv, line {opened + 1}: "):
        table(folder, text, needed=("case", "label"))


def test_a_quote_that_is_never_closed_is_told_with_its_line(tmp_path):
    lines = LINES * 2
    lines[100] = lines[100].replace(",p", ',"p')
    with pytest.raises(UserError, match=r"line 101: no row .* is a quote .* left open"):
        table(tmp_path, "\n".join(lines))
    with pytest.raises(UserError, match="line 2: the case has 2,001 letters; at most 2,000 are read"):
        table(tmp_path, "case,score\n" + "x" * 2001 + ",1\n")


def test_long_remarks_and_names_of_two_lines_are_no_stray_quotes(tmp_path):
    remark = "seen twice, no finding, as before\n" * 300
    found = table(tmp_path, f'case,slice,report\n"new\nline.nii",1,"{remark}"\n')
    assert found.text("case").tolist() == ["new\nline.nii"]
    assert found.text("report").tolist() == [remark.strip()]
