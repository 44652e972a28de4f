"""Whose slices the lines of tables are."""

import numpy as np
import pytest

from anomae.errors import UserError
from anomae.runs.score_table import read_table
from anomae.runs.table_patients import patients_in, patients_of

EVERY = np.arange(4)


def table(folder, name, patients=None):
    cells = patients or [""] * 4
    head = "case,score,label,patient" if patients else "case,score,label,other"
    lines = [f"c{at},0,0,{patient}" for at, patient in enumerate(cells)]
    (folder / name).write_text("\n".join([head, *lines]))
    return read_table(folder / name, ("case",))


def test_one_spelling_and_no_name_are_told(tmp_path):
    found = patients_in(table(tmp_path, "l.csv", ["P-1", "nan", "p01", "Q"]))
    assert found.names.tolist() == ["P-1", "c1", "P-1", "Q"]
    assert found.unit == "patient"
    assert [doubt.split(" in l.csv")[0] for doubt in found.doubts] == [
        "1 name(s) of patients",
        "1 line(s) of l.csv name no patient: each case of theirs counted as one.",
    ]
    sound = patients_in(table(tmp_path, "s.csv", ["1", "2", "3", "10"]))
    assert (sound.names.tolist(), sound.doubts) == (["1", "2", "3", "10"], [])


def test_a_column_that_names_nobody_is_none(tmp_path):
    nobody = table(tmp_path, "l.csv", ["nan", "nan", " ", "NA"])
    assert patients_in(nobody) is None
    assert patients_in(table(tmp_path, "m.csv")) is None
    found = patients_of(table(tmp_path, "m.csv"), [(nobody, EVERY, EVERY)])
    assert (found.names.tolist(), found.unit) == (["c0", "c1", "c2", "c3"], "case")


def test_the_scores_may_name_them_where_the_labels_do_not(tmp_path):
    scores = table(tmp_path, "s.csv", ["A", "a", "B", "C"])
    found = patients_of(table(tmp_path, "l.csv"), [(scores, np.array([0, 1]), np.array([2, 0]))])
    assert (found.names.tolist(), found.unit) == (["a", "c1", "a", "c3"], "patient")
    assert found.unnamed.tolist() == [False, True, False, True]


def test_several_tables_of_scores_may_name_them_and_must_not_contradict_each_other(tmp_path):
    labels = table(tmp_path, "l.csv")
    one, other = table(tmp_path, "s.csv", ["A", "B", "", "C"]), table(tmp_path, "t.csv", ["a", "", "D", "C"])
    found = patients_of(labels, [(one, EVERY, EVERY), (other, EVERY, EVERY)])
    assert (found.names.tolist(), found.unnamed.any()) == (["A", "B", "D", "C"], False)
    odd = table(tmp_path, "u.csv", ["A", "B", "", "D"])
    with pytest.raises(UserError, match=r"s\.csv and .*u\.csv name different patients"):
        patients_of(labels, [(one, EVERY, EVERY), (odd, EVERY, EVERY)])


def test_pseudonyms_of_new_scans_count_where_nobody_else_is_named(tmp_path):
    (tmp_path / "n.csv").write_text("file,patient,score\nc0,x9,0\nc1,x9,0\nc2,x7,0\nc3,x7,0\n")
    pseudonyms = (read_table(tmp_path / "n.csv", ("case",)), EVERY, EVERY)
    others = (table(tmp_path, "s.csv", ["A", "B", "B", ""]), EVERY, EVERY)
    for scored in ([pseudonyms, others], [others, pseudonyms]):
        found = patients_of(table(tmp_path, "l.csv"), scored)
        assert found.names.tolist() == ["A", "B", "B", "x7"]
    assert patients_of(table(tmp_path, "l.csv"), [pseudonyms]).names.tolist() == ["x9", "x9", "x7", "x7"]


def test_two_tables_may_spell_otherwise_but_not_name_others(tmp_path):
    labels = table(tmp_path, "l.csv", ["A1", "B", "", "C"])
    found = patients_of(labels, [(table(tmp_path, "s.csv", ["a 01", "b", "X", "nan"]), EVERY, EVERY)])
    assert found.names.tolist() == ["A1", "B", "c2", "C"]
    with pytest.raises(UserError, match="different patients"):
        patients_of(labels, [(table(tmp_path, "t.csv", ["A1", "C", "", "C"]), EVERY, EVERY)])
