"""Copies under other names: told by what files hold, and counted where they contradict or leak."""

import shutil

from hypothesis import given
from hypothesis import strategies as st

from anomae.slices.contract import Mark, marked_slice
from anomae.slices.copies import content_hash, copy_notes
from anomae.slices.settings import PrepareSettings
from anomae.stages.prepare import prepare
from anomae.volumes.write import write_picture


def line(source, content, splits=(0,), ill=()):
    return {"source": source, "content": content, "abnormal_patients": list(ill), "columns": {"split": list(splits)}}


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2), st.booleans()), max_size=12))
def test_counts_against_a_plain_search(cases):
    notes = " ".join(
        copy_notes([line(f"f{at}", f"c{one}", (split,), ["p"] * ill) for at, (one, split, ill) in enumerate(cases)])
    )
    groups = [[case for case in cases if case[0] == one] for one in {case[0] for case in cases}]
    groups = [group for group in groups if len(group) > 1]
    apart = sum(len({split for _, split, _ in group}) > 1 for group in groups)
    doubted = sum(len({ill for _, _, ill in group}) > 1 for group in groups)
    assert (f"{sum(map(len, groups)) - len(groups)} scan(s) are copies of another" in notes) == bool(groups)
    assert (f"{apart} scan(s) lie in several splits" in notes) == bool(apart)
    assert (f"{doubted} scan(s) are called healthy in one copy" in notes) == bool(doubted)


def test_cases_of_one_file_are_no_copies():
    assert copy_notes([line("f", "c"), line("f", "c", ill=["p"])]) == []


def test_what_was_skipped_or_is_of_an_earlier_version_is_no_copy():
    assert copy_notes([{"skipped": "broken"}, {"columns": {"split": [0]}}, {"content": "", "columns": {}}] * 2) == []


def test_names_do_not_count_and_folders_have_no_content(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"same")
    (tmp_path / "c").write_bytes(b"other")
    assert content_hash(tmp_path / "a") == content_hash(tmp_path / "b") != content_hash(tmp_path / "c")
    assert content_hash(tmp_path) == content_hash(tmp_path / "none") == ""


def test_links_and_copies_in_a_data_set_are_said(tmp_path):
    for name, ill in (("healthy/w1", False), ("healthy/w2", False), ("healthy/w3", False), ("abnormal/i1", True)):
        path = tmp_path / "in" / name / "x.png"
        path.parent.mkdir(parents=True)
        write_picture(path, marked_slice(Mark(int(name[-1]), 0, ill)))
    shutil.copy(tmp_path / "in/abnormal/i1/x.png", tmp_path / "in/healthy/w1/copy.png")
    (tmp_path / "in/healthy/w2/link.png").symlink_to(tmp_path / "in/healthy/w2/x.png")
    store = prepare(
        "folder", tmp_path / "in", tmp_path / "store", settings=PrepareSettings(image_size=16), split=None, workers=0
    )
    notes = " ".join(store.prepared["notes"])
    assert "2 scan(s) are copies of another, byte for byte" in notes
    assert "1 scan(s) are called healthy in one copy and abnormal in another" in notes


def test_equal_headers_of_unlike_voxels_are_no_copies(tmp_path):
    for name, voxel in (("a", 1), ("b", 2), ("c", 1)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "image.mhd").write_text("ElementDataFile = image.raw\n")
        (tmp_path / name / "image.raw").write_bytes(bytes([voxel]))
    one, other, again = (content_hash(tmp_path / name / "image.mhd") for name in "abc")
    assert one != other
    assert one == again
