"""The table of cases: read in any order, case and separator, or refused with line and cure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomae.cohorts.case import ABNORMAL, HEALTHY, UNKNOWN
from anomae.cohorts.case_table import COLUMNS, NO_MASK, TableRow, read_case_table
from anomae.errors import UserError

ROWS = [
    {"file": "a.png", "patient": "p 1", "label": "Healthy", "split": "Training", "mask": "", "site": "A"},
    {"file": "in/b.png", "patient": "", "label": "1", "split": "val", "mask": "in/m.png", "site": ""},
    {"file": "c.png", "patient": "p2", "label": "-1", "split": "", "mask": "NONE", "site": ""},
]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    (folder / "in").mkdir()
    for name in ("a.png", "in/b.png", "c.png", "in/m.png"):
        (folder / name).touch()
    return folder


def written(source, text, encoding="utf-8"):
    path = source / "cases.csv"
    path.write_bytes(text.encode(encoding))
    return path


@given(st.permutations(COLUMNS), st.sampled_from(",;\t"), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans())
def test_columns_in_any_order_case_and_separator(source, columns, mark, end, upper, marked):
    lines = [mark.join(name.upper() if upper else name for name in columns)]
    lines += [mark.join(f" {row[name]} " for name in columns) for row in ROWS]
    found = read_case_table(written(source, end.join(lines), "utf-8-sig" if marked else "utf-8"), source).files
    assert found == {
        source / "a.png": TableRow("p 1", HEALTHY, "train", None, "A"),
        source / "in/b.png": TableRow(None, ABNORMAL, "validation", source / "in/m.png", None),
        source / "c.png": TableRow("p2", UNKNOWN, None, NO_MASK, None),
    }


def test_a_subset_of_columns_and_empty_lines(source):
    assert read_case_table(written(source, "file\n\na.png\n,\n".replace(",", "")), source).files == {
        source / "a.png": TableRow()
    }


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("file,labels\na.png,1\n", r"'labels' that is not known; rename it or leave it out. Did you mean label"),
        ("file,file\na.png,a.png\n", "once at most"),
        ("file,label\na.png,ill\n", "line 2, has the label 'ill'"),
        ("file,label\na.png,0\nc.png\n", "line 3, has 1 values for 2 columns"),
        ("file,mask\na.png,x.png\n", "line 2, names 'x.png', which is not there"),
        ("file\na.png\n./a.png\n", "second time"),
        ('file\n"a.png\n', "no table"),
        ("file\n", "no line below"),
    ],
)
def test_what_is_not_known_is_refused_with_its_line(source, text, complaint):
    with pytest.raises(UserError, match=complaint) as refused:
        read_case_table(written(source, text), source)
    assert "\n" not in str(refused.value)


def test_a_table_that_is_none_is_refused(source):
    with pytest.raises(UserError, match="does not exist"):
        read_case_table(source / "none.csv", source)
    with pytest.raises(UserError, match="no text in UTF-8"):
        read_case_table(written(source, "file\nä.png\n", "latin-1"), source)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
@pytest.mark.parametrize("head", ["", "sep=;\n", '"sep=;"\r\n'])
def test_tables_as_spreadsheets_save_them(source, encoding, head):
    text = f'{head}file;label;patient;age\na.png;1.0;"x; y";50\nin\\b.png;0.0;;60\n'
    table = read_case_table(written(source, text, encoding), source)
    assert table.files == {
        source / "a.png": TableRow("x; y", ABNORMAL),
        source / "in/b.png": TableRow(None, HEALTHY),
    }
    assert table.notes == ["the column(s) age of the table say nothing that is used and were left out"]


def test_lines_are_counted_over_cells_of_several_lines(source):
    with pytest.raises(UserError, match="line 4, has the label 'ill'"):
        read_case_table(written(source, 'file,label,age\na.png,0,"5\n0"\nc.png,ill,9\n'), source)


def test_a_name_with_its_ending_in_any_writing_of_accents(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "Mu\u0308ller.png").touch()  # as macOS writes it
    for name in (
        "M\u00fcller.png",
        "M\u00fcller",
        "deep/M\u00fcller.png",
        "deep\\M\u00fcller.png",
        "./deep/M\u00fcller.png",
    ):
        found = read_case_table(written(tmp_path, f"file,label\n{name},1\n"), tmp_path).files
        assert [*found] == [tmp_path / "deep" / "Mu\u0308ller.png"]


@pytest.mark.parametrize("word", ["nan", "NaN", "N/A", "none", "?", "-", ""])
def test_a_patient_that_is_not_named_is_none(source, word):
    found = read_case_table(written(source, f"file,patient,label\na.png,{word},1\nc.png,p {word},0\n"), source).files
    assert [row.patient for row in found.values()] == [None, f"p {word}".strip()]


def test_a_table_of_patients(source):
    text = "participant_id\tage\tgroup\tsite\nsub-01\t30\tControl\tA\nsub-02\t40\tpatient\t\nsub-01\t30\tcontrol\tA\n"
    table = read_case_table(written(source, text), source, ["control"])
    assert table.patients == {
        "sub-01": TableRow("sub-01", HEALTHY, None, None, "A"),
        "sub-02": TableRow("sub-02", ABNORMAL),
    }
    assert (table.files, table.labelled) == ({}, True)
    assert table.notes == [
        "the column participant_id of the table was read as patient",
        "the column group of the table was read as label, since it alone holds control",
        "of the diagnoses in the table, control count as healthy and all others as abnormal",
        "the column(s) age of the table say nothing that is used and were left out",
    ]
    assert not read_case_table(written(source, "patient,split\np,test\n"), source).labelled


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("label\n1\n", "needs a column named file, or one named patient"),
        ("patient,label\np,1\n,0\n", "line 3, names no patient"),
        ("patient,label\np,1\nq,0\np,0\n", "line 4, says of p otherwise"),
        ("patient,mask\np,m.png\n", "line 2, has a mask, and the table has no column file"),
        ("patient,label\n", "no line below"),
        ("patient,scan,label\np,x1,1\n", "'scan' and none called file; call it file"),
        ("patient,group,arm\np,control,control\n", "control in the columns group and arm"),
        ("patient,group\np,ill\n", "no column of them; name it label"),
    ],
)
def test_what_a_table_of_patients_cannot_say(source, text, complaint):
    with pytest.raises(UserError, match=complaint):
        read_case_table(written(source, text), source, ["control"] if "group" in text else [])
