"""Tables joined: by case and slice, by files and cases, and what is refused."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomae.errors import UserError
from anomae.progress import Console, reporting
from anomae.runs import table_join
from anomae.runs.score_table import read_table
from anomae.runs.table_join import join


def table(folder: Path, text: str, name: str = "t.csv"):
    (folder / name).write_text(text, encoding="utf-8")
    return read_table(folder / name, ("case",))


def test_joined_by_case_and_slice(tmp_path):
    scores = table(tmp_path, "case,slice,score\nb,1,5\na,2,6\nc,1,7\n", "s.csv")
    labels = table(tmp_path, "case,slice,label\na,2,1\na,1,0\nb,1,0\n", "l.csv")
    ours, theirs, notes = join(scores, labels)
    assert (ours.tolist(), theirs.tolist(), notes) == ([0, 1], [2, 0], ())


KEYS = st.lists(st.tuples(st.sampled_from(["a", "b", "b.png", "B"]), st.integers(-2, 3)), max_size=12)


def moved(ours: list[tuple[str, int]], theirs: list[tuple[str, int]]) -> list[str]:
    """Cases of several slices that are all one above, or all one below, those of the other table."""
    slices = [{case: {at for of, at in keys if of == case} for case, _ in keys} for keys in (ours, theirs)]
    return [
        case
        for case, own in slices[0].items()
        if len(own) > 1 and slices[1].get(case) in ({at - 1 for at in own}, {at + 1 for at in own})
    ]


@given(KEYS, KEYS)
def test_it_is_the_plain_look_up_of_each_line(tmp_path_factory, ours, theirs):
    folder = tmp_path_factory.mktemp("tables")
    tables = [
        table(folder, "\n".join(["case,slice", *(f"{case},{number}" for case, number in keys)]), name)
        for name, keys in (("s.csv", ours), ("l.csv", theirs))
    ]
    for keys in (ours, theirs):
        again = next((row for row, key in enumerate(keys) if key in keys[:row]), None)
        if again is not None:
            with pytest.raises(
                UserError, match=f"lines {keys.index(keys[again]) + 2} and {again + 2} mean the same slice"
            ):
                join(*tables)
            return
    expected = [(row, theirs.index(key)) for row, key in enumerate(ours) if key in theirs]
    if expected and not moved(ours, theirs):
        found = join(*tables)
        assert [*zip(found.ours.tolist(), found.theirs.tolist(), strict=True)] == expected
        assert found.notes == ()


def test_joined_by_case_where_a_table_has_no_slices(tmp_path):
    scores = table(tmp_path, "case,score\nb,5\na,6\n", "s.csv")
    labels = table(tmp_path, "case,slice,label\na,2,1\nb,1,0\n", "l.csv")
    ours, theirs, notes = join(scores, labels)
    assert (ours.tolist(), theirs.tolist(), notes) == ([0, 1], [1, 0], ())


def test_twice_the_same_and_nothing_in_common_are_refused_without_naming_anyone(tmp_path):
    labels = table(tmp_path, "case,label\nsecret,1\nsecret,0\n", "l.csv")
    scores = table(tmp_path, "case,score\nother,1\n", "s.csv")
    with pytest.raises(UserError, match="lines 2 and 3 mean the same case") as refused:
        join(scores, labels)
    assert "secret" not in str(refused.value)
    with pytest.raises(UserError, match="No slice of"):
        join(scores, table(tmp_path, "case,label\na,1\n", "m.csv"))


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (["a.png", "b.png"], ["b", "a"], "without the endings"),
        (["scans/x/a.nii.gz", "scans/y/b.nii.gz"], ["b", "a"], "last part of the path"),
        (["scans/x/a.nii.gz", "scans/y/b.nii.gz"], ["y/b.nii.gz", "x/a.nii.gz"], "last part of the path"),
        (["C:\\\\x\\\\a.png", "C:\\\\x\\\\b.png"], ["b", "a"], "last part of the path"),
    ],
)
def test_files_are_matched_with_cases_and_that_is_said(tmp_path, ours, theirs, said):
    scores = table(tmp_path, "\n".join(["file,score", *(f"{name},1" for name in ours)]), "s.csv")
    labels = table(tmp_path, "\n".join(["case,label", *(f"{name},1" for name in theirs)]), "l.csv")
    joined = join(scores, labels)
    assert (joined.ours.tolist(), joined.theirs.tolist()) == ([0, 1], [1, 0])
    assert [said in note for note in joined.notes] == [True]


def test_cases_that_endings_or_folders_alone_tell_apart_are_never_mixed_up(tmp_path):
    scores = table(tmp_path, "file,score\nx/scan.nii,1\ny/scan.nii,2\n", "s.csv")
    with pytest.raises(UserError, match="several cases would be one"):
        join(scores, table(tmp_path, "case,label\nscan,1\n", "l.csv"))


def test_slices_counted_otherwise_are_told_from_cases_that_are_missing(tmp_path):
    scores = table(tmp_path, "case,slice,score\na,1,5\n", "s.csv")
    with pytest.raises(UserError, match="count slices alike"):
        join(scores, table(tmp_path, "case,slice,label\na,9,1\n", "l.csv"))


def numbered(first: int, cases: int, count: int = 5) -> str:
    return "\n".join(
        ["case,slice,score,label", *(f"c{k},{first + z},{z},0" for k in range(cases) for z in range(count))]
    )


@pytest.mark.parametrize(("ours", "theirs"), [(1, 0), (0, 1), (13, 12)])
def test_slices_counted_one_off_are_refused(tmp_path, ours, theirs):
    scores = table(tmp_path, numbered(ours, 3), "s.csv")
    labels = table(tmp_path, numbered(theirs, 4) + "\ntrain,0,0,0\n", "l.csv")
    said = f"In 3 of 3 cases .* as from {ours} to {ours + 4} in .*s.csv and {theirs} to {theirs + 4} in .*l.csv: count"
    with pytest.raises(UserError, match=said):
        join(scores, labels)


def test_a_few_cases_counted_one_off_are_a_doubt(tmp_path):
    labels = table(tmp_path, numbered(0, 4), "l.csv")
    scores = table(tmp_path, numbered(0, 4).replace("c3,0,", "c3,5,"), "s.csv")
    joined = join(scores, labels)
    assert len(joined.ours) == 19
    assert joined.notes == (
        "In 1 of 4 cases the same number of slices is counted one off, as from 1 to 5 in s.csv and 0 to 4 in l.csv: "
        "they may have the labels of their neighbours.",
    )


@pytest.mark.parametrize("kept", [lambda z: z > 0, lambda z: z < 4, lambda z: 0 < z < 4, lambda z: z != 2])
def test_slices_that_one_table_lacks_are_not_counted_otherwise(tmp_path, kept):
    header, *lines = numbered(0, 3).splitlines()
    some = [line for line in lines if kept(int(line.split(",")[1]))]
    few, all_ = (
        table(tmp_path, "\n".join([header, *rows]), name) for rows, name in ((some, "s.csv"), (lines, "l.csv"))
    )
    assert len(join(few, all_).ours) == len(join(all_, few).ours) == len(some)
    assert join(few, all_).notes == ()


def test_a_table_without_slices_is_named(tmp_path):
    scores = table(tmp_path, "case,slice,score\na,1,5\na,2,5\n", "s.csv")
    with pytest.raises(UserError, match=r"mean the same case; keep one, or give .*l.csv the column slice"):
        join(scores, table(tmp_path, "case,label\na,1\n", "l.csv"))


def test_a_name_that_two_patients_give_their_case_is_told(tmp_path):
    labels = table(tmp_path, "case,label\na,1\n", "l.csv")
    both = table(tmp_path, "case,patient,score\na,P1,5\nb,P1,6\na,P2,5\n", "s.csv")
    with pytest.raises(UserError, match=r"s\.csv: lines 2 and 4 name one case of two patients; name the cases"):
        join(both, labels)
    again = table(tmp_path, "case,patient,score\na,P1,5\na,p-1,6\na,,5\n", "t.csv")
    with pytest.raises(UserError, match="lines 2 and 3 mean the same case; keep one"):
        join(again, labels)


def test_a_table_with_the_own_index_of_the_file_is_joined_by_it(tmp_path):
    """Stored from the head down: file_slice 0 is the last slice, and joining it with slice would turn every scan."""
    scores = table(tmp_path, "case,slice,file_slice,score\na,0,2,5\na,1,1,6\na,2,0,7\n", "s.csv")
    foreign = table(tmp_path, "case,File_Slice,label\na,0,1\na,2,0\n", "l.csv")
    ours, theirs, notes = join(scores, foreign)
    assert (ours.tolist(), theirs.tolist()) == ([0, 2], [1, 0])
    assert notes == ("The slices of s.csv and l.csv were matched by file_slice, the file's own index.",)
    ours, theirs, _ = join(foreign, scores)
    assert (ours.tolist(), theirs.tolist()) == ([0, 1], [2, 0])
    both = table(tmp_path, "case,slice,file_slice,label\na,0,2,0\na,2,0,1\n", "b.csv")
    assert join(scores, both)[2] == ()  # slice, where both have it
    beyond = table(tmp_path, "case,file_slice,label\na,9,1\n", "m.csv")
    with pytest.raises(UserError, match="from 0 as the file stores them"):
        join(scores, beyond)


@pytest.mark.parametrize("case", ["a", "x/a.png"])
def test_a_large_join_says_how_far_it_is(tmp_path, monkeypatch, capsys, case):
    scores = table(tmp_path, "case,slice,score\na,1,5\n", "s.csv")
    labels = table(tmp_path, f"case,slice,label\n{case},1,1\n", "l.csv")
    with reporting(Console()):
        join(scores, labels)
        assert capsys.readouterr().err == ""
        monkeypatch.setattr(table_join, "WATCHED_ROWS", 2)
        join(scores, labels)
    assert capsys.readouterr().err.startswith("join the tables: 3/3 steps")
