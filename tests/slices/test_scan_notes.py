"""Notes of many scans in a few lines: nothing that was noticed is lost among its like."""

from hypothesis import given
from hypothesis import strategies as st

from anomae.slices.scan_notes import MOST_KINDS, counted_notes, note_sentences

NOTES = st.lists(
    st.lists(st.sampled_from(["3 slices are missing.", "12 slices are missing.", "It is dark."])), max_size=9
)


@given(NOTES)
def test_every_scan_counts_once_for_each_kind(notes):
    counted = counted_notes(notes)
    missing = sum(any("missing" in note for note in each) for each in notes)
    assert sum(count for note, count in counted.items() if "missing" in note) == missing
    assert counted.get("It is dark", 0) == sum("It is dark." in each for each in notes)
    assert len(counted) == (missing > 0) + ("It is dark" in counted)


def test_what_is_told_elsewhere_is_not_told_again_and_the_rare_go_last():
    counted = counted_notes([["a", "b"], ["a"], ["c 1"], ["c 2"], ["c 2.5"]], ["b"])
    assert counted == {"c 1": 3, "a": 2}
    assert note_sentences(counted) == ["3 scans: c 1 (in one of them)", "2 scans: a"]
    assert len(counted_notes([[chr(97 + at) for at in range(20)]])) == MOST_KINDS
