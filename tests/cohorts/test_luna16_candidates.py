"""The candidate table: in the spellings it comes in, and where its lines contradict each other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomae.cohorts.luna16_candidates import COLUMNS, Candidates, find_table
from anomae.errors import UserError

LINES = st.lists(st.tuples(st.sampled_from("ab"), *[st.integers(0, 1)] * 3, st.integers(0, 1)), min_size=1, max_size=12)


def write(path, lines, mark=",", header=COLUMNS):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(mark.join(map(str, line)) for line in (header, *lines))
    path.write_text(f"{text}\n")
    return path


@given(LINES)
def test_a_position_of_both_classes_has_no_label(tmp_path_factory, lines):
    found = Candidates.read(write(tmp_path_factory.mktemp("table") / "candidates.csv", lines))
    classes = {line[:4]: {other[4] for other in lines if other[:4] == line[:4]} for line in lines}
    assert found.labels.tolist() == [line[4] if len(classes[line[:4]]) == 1 else -1 for line in lines]
    assert found.places_mm.tolist() == [list(map(float, line[1:4])) for line in lines]
    assert [found.scans[index] for index in found.scan] == [line[0] for line in lines]
    for scan in "ab":
        assert found.rows_of(scan).tolist() == [row for row, line in enumerate(lines) if line[0] == scan]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("header", [COLUMNS, ("SeriesUID", "coord_x", "COORDY", "coordZ", "Class")])
def test_separators_and_headers(mark, header, tmp_path):
    x = "1,5" if mark != "," else "1.5"
    found = Candidates.read(write(tmp_path / "x.csv", [("a", x, -2, 3, 1), ("b", 0, 0, 0, 0)], mark, header))
    np.testing.assert_array_equal(found.places_mm, [[1.5, -2, 3], [0, 0, 0]])
    assert found.labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("line", "cause"),
    [(("a", 1, 2, 3), "line 2, does not fit"), (("a", "x", 2, 3, 0), "line 2"), (("a", 1, 2, 3, 2), "class other")],
)
def test_what_is_no_candidate_is_refused(line, cause, tmp_path):
    with pytest.raises(UserError, match=cause):
        Candidates.read(write(tmp_path / "x.csv", [line]))


def test_an_empty_table_has_no_candidates(tmp_path):
    assert len(Candidates.read(write(tmp_path / "x.csv", [])).labels) == 0


def test_the_nearest_table_is_taken_and_two_that_differ_are_refused(tmp_path):
    assert find_table(tmp_path) == (tmp_path / "candidates.csv", ())
    deep = write(tmp_path / "a" / "b" / "candidates.csv", [("a", 0, 0, 0, 0)])
    assert find_table(tmp_path) == (deep, ())
    near = write(tmp_path / "a" / "candidates_V2.csv", [("a", 0, 0, 0, 1)])
    assert find_table(tmp_path) == (near, (deep,))
    write(tmp_path / "c" / "candidates_V2.csv", [("a", 0, 0, 0, 1)])
    assert find_table(tmp_path)[0] == near
    write(tmp_path / "c" / "candidates_V2.csv", [("a", 0, 0, 0, 0)])
    with pytest.raises(UserError, match="two tables that differ"):
        find_table(tmp_path)
