"""What labelled tables say of their slices, whoever scores them."""

from pathlib import Path

import numpy as np
import pytest

from anomae.errors import UserError
from anomae.runs.labelled_slices import LabelledSlices, Scored, labelled_slices
from anomae.runs.score_table import read_table
from anomae.runs.table_join import join


def known(folder: Path, labels: list[str], *scores: list[str]) -> LabelledSlices:
    (folder / "l.csv").write_text("\n".join(labels) + "\n")
    truth, scored = read_table(folder / "l.csv", ("case", "label")), []
    for at, lines in enumerate(scores):
        (folder / f"s{at}.csv").write_text("\n".join(lines) + "\n")
        table = read_table(folder / f"s{at}.csv", ("case", "score"))
        scored.append(Scored(table, join(table, truth)))
    return labelled_slices(truth, scored)


def test_positions_are_those_of_the_scan_with_or_without_its_depth(tmp_path: Path) -> None:
    scores = ["case,slice,score", *(f"a,{at},0" for at in range(3))]
    found = known(tmp_path, ["case,slice,label", *(f"a,{at},0" for at in range(3))], scores)
    np.testing.assert_allclose(found.relative, [0, 0.5, 1])
    found = known(tmp_path, ["case,slice,depth,label", *(f"a,{at},5,0" for at in range(3))], scores)
    np.testing.assert_allclose(found.relative, [0, 0.25, 0.5])
    assert (found.by_slice, found.by_patient, found.depth) == (True, False, 5)


def test_one_table_of_several_without_slices_leaves_positions_unknown(tmp_path: Path) -> None:
    labels, with_slices = ["case,slice,label", "a,0,1", "b,1,0"], ["case,slice,score", "a,0,1", "b,1,2"]
    assert known(tmp_path, labels, with_slices, with_slices).by_slice
    found = known(tmp_path, labels, with_slices, ["case,score", "a,1", "b,2"])
    assert (found.by_slice, found.number.tolist()) == (False, [-1, -1])
    assert any("no column slice" in note for note in found.not_audited(position=False))


@pytest.mark.parametrize(("named", "doubt"), [("P1", ""), ("", "Of 1 line(s) of l.csv (train) it is not known")])
def test_a_doubt_stands_where_a_line_of_a_split_names_nobody(tmp_path: Path, named: str, doubt: str) -> None:
    labels = ["case,patient,split,label", f"a,{named},train,0", "b,P2,test,1", "c,P3,test,0"]
    found = known(tmp_path, labels, ["case,score", "b,1", "c,2"])
    assert found.split_doubt.startswith(doubt)
    assert bool(found.split_doubt) == bool(doubt)
    assert found.at(np.array([1])).patient.tolist() == ["P2"]


def test_shares_are_refused_in_per_cent_and_what_is_empty_is_0_or_1(tmp_path: Path) -> None:
    scores = ["case,score", "a,1", "b,2"]
    found = known(tmp_path, ["case,label,body_fraction,empty", "a,0,0,1.0", "b,1,1,0"], scores)
    assert (found.body.tolist(), found.empty.tolist()) == ([0, 1], [True, False])
    for column, value, said in (
        ("body_fraction", "45", r"must be a share from 0 to 1 \(0.45 for 45 %\), not 45;"),
        ("body_fraction", "-0.1", "not -0.1;"),
        ("empty", "0.5", "must be 0 or 1, not 0.5;"),
        ("empty", "2", "must be 0 or 1, not 2;"),
    ):
        with pytest.raises(UserError, match=rf"l\.csv, line 3: the {column} .*{said}"):
            known(tmp_path, [f"case,label,{column}", "a,0,0", f"b,1,{value}"], scores)
