"""The store as it grows: whole or not there, stopped anywhere it goes on to the same bytes, and never mixed up."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anomae.errors import UserError
from anomae.slices.preparing import prepare_case
from anomae.slices.settings import settings_from
from anomae.slices.split_rule import SplitRule
from anomae.slices.store import SliceStore
from anomae.slices.writer import JOURNAL, StoreWriter, refuse_other_request

REQUEST = {"cohort": "made up", "settings": {"image_size": [16, 12]}, "seed": 0, "cases": "abc"}


@pytest.fixture
def cohort(make_case, make_cohort):
    """Five cases: without and with masks, a broken one, one for testing."""
    found = {
        "healthy": make_case(0, lesions=False, labels=np.zeros(6, np.int8)),
        "unknown": make_case(1, lesions=False, labels=np.full(6, -1, np.int8)),
        "ill": make_case(2),
        "broken": "scans/broken is cut short.",
        "tested": make_case(3, count=9, notes=("a note",)),
    }
    return make_cohort(found, {"unknown": "validation", "tested": "test"})


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def write_whole(folder, cohort, settings, write):
    writer = StoreWriter(folder, REQUEST, settings)
    write(writer, cohort, SplitRule(), settings)
    writer.write_index()
    writer.finish({"seed": 0})
    return SliceStore(folder)


def test_what_is_ignored_is_kept_beside_the_lesions(cohort, small, write, tmp_path):
    plain = write_whole(tmp_path / "plain", cohort, small, write)
    tested = cohort.found["tested"]
    corner = np.zeros(tested.images.shape[0:1] + tested.images.shape[2:], dtype=bool)
    corner[:, :8, :8] = True
    cohort.found["tested"] = replace(tested, ignored=corner)
    store = write_whole(tmp_path / "store", cohort, small, write)
    assert not plain.has_ignored
    assert store.has_ignored
    rows = np.arange(len(store.index))
    of_tested = store.index.case == "tested"
    judged = store.judged(rows)
    assert judged[~of_tested].all()
    assert not judged[of_tested].all(axis=(1, 2)).any()
    assert not (store.lesions(rows) & ~judged).any()
    for name in ("slices.npy", "lesions.npy", "index.csv", "cases.json"):
        assert (store.folder / name).read_bytes() == (plain.folder / name).read_bytes()
    assert store.prepared["fingerprint"] != plain.prepared["fingerprint"]


def test_what_went_in_comes_out(cohort, small, write, tmp_path):
    store = write_whole(tmp_path / "store", cohort, small, write)
    assert sorted(files(store.folder)) == ["cases.json", "index.csv", "lesions.npy", "prepare.json", "slices.npy"]
    index = store.index
    assert index.case.tolist() == ["healthy"] * 6 + ["unknown"] * 6 + ["ill"] * 4 + ["tested"] * 9
    assert index.split.tolist() == ["train"] * 6 + ["validation"] * 6 + ["train"] * 4 + ["test"] * 9
    assert index.slice.tolist() == [*range(6), *range(6), 0, 1, 3, 4, *range(9)]
    assert index.label.tolist() == [0] * 6 + [-1] * 6 + [0] * 4 + [0, 0, 1, 0, 0, 1, 0, 0, 1]
    np.testing.assert_allclose(index.position_mm, index.slice * 2.5 - 10)
    assert set(index.site) == {"A"}
    for name in ("healthy", "unknown", "ill", "tested"):
        rows = np.flatnonzero(index.case == name)
        prepared = prepare_case(cohort.found[name], small)
        places = index.slice[rows]
        np.testing.assert_array_equal(store.select(rows).read(slice(None)), prepared.images[places])
        np.testing.assert_array_equal(index.empty[rows], prepared.empty[places])
        np.testing.assert_allclose(index.body_fraction[rows], prepared.body_fraction[places], rtol=1e-5)
        lesions = np.zeros((len(rows), 16, 12), bool) if prepared.lesions is None else prepared.lesions[places]
        np.testing.assert_array_equal(store.lesions(rows), lesions)


def test_brains_are_kept_with_their_images_and_counted(cohort, small, write, tmp_path):
    settings = small.model_copy(update={"preparation": "brain", "brain_mask": "nonzero"}).checked()
    plain = write_whole(tmp_path / "plain", cohort, small, write)
    assert not plain.has_bodies
    assert "brain_masks" not in plain.prepared
    with pytest.raises(UserError, match="prepared plain"):
        plain.bodies(np.arange(2))
    store = write_whole(tmp_path / "store", cohort, settings, write)
    assert store.has_bodies
    assert store.prepared["brain_masks"] == {"nonzero": 4}
    for name in ("healthy", "unknown", "ill", "tested"):
        rows = np.flatnonzero(store.index.case == name)
        prepared = prepare_case(cohort.found[name], settings)
        places = store.index.slice[rows]
        np.testing.assert_array_equal(store.bodies(rows), prepared.bodies[places])
        np.testing.assert_allclose(store.index.filled[rows], prepared.filled[places], rtol=1e-5)
        np.testing.assert_allclose(plain.index.filled[rows], prepared.filled[places], rtol=1e-5)
    other = write_whole(tmp_path / "other", cohort, settings.model_copy(update={"margin": 0.5}), write)
    assert other.prepared["fingerprint"] != store.prepared["fingerprint"]


def test_a_store_of_before_is_the_same_request(cohort, small, write, tmp_path):
    """Settings that there were not then are at their defaults."""
    settings = small.model_dump(mode="json")
    later = ("preparation", "margin", "brain_mask", "bias_correction")
    before = {**REQUEST, "settings": {name: value for name, value in settings.items() if name not in later}}
    writer = StoreWriter(tmp_path / "store", before, small)
    write(writer, cohort, SplitRule(), small)
    writer.close()
    refuse_other_request(tmp_path / "store", {**REQUEST, "settings": settings})
    with pytest.raises(UserError, match="settings"):
        refuse_other_request(tmp_path / "store", {**REQUEST, "settings": {**settings, "preparation": "brain"}})


def test_healthy_is_known_to_have_no_lesion_and_unknown_is_not(cohort, small, write, tmp_path):
    index = write_whole(tmp_path / "store", cohort, small, write).index
    assert (index.lesion_fraction[index.case == "healthy"] == 0).all()
    assert np.isnan(index.lesion_fraction[index.case == "unknown"]).all()
    np.testing.assert_array_equal(index.lesion_fraction[index.label == 1] > 0, True)


def test_it_says_what_was_skipped_and_dropped(cohort, small, write, tmp_path):
    store = write_whole(tmp_path / "store", cohort, small, write)
    assert store.prepared["skipped"] == [{"case": "broken", "reason": "scans/broken is cut short."}]
    assert store.prepared["dropped"] == {"abnormal in the training split": 2}
    assert store.prepared["request"] == REQUEST
    cases = json.loads((store.folder / "cases.json").read_text())
    assert list(cases) == ["healthy", "unknown", "ill", "tested"]
    assert cases["tested"]["notes"] == ["a note"]
    assert cases["tested"]["spacing_mm"] == [round(1.5 * 20 / 10, 6), 2.0]
    assert cases["tested"]["grid"] is None


def test_without_any_mask_there_is_no_file_of_masks(make_case, make_cohort, small, write, tmp_path):
    healthy = make_case(lesions=False, labels=np.zeros(6, np.int8))
    store = write_whole(tmp_path / "store", make_cohort({"a": healthy, "b": healthy}), small, write)
    assert not (store.folder / "lesions.npy").exists()
    assert not store.has_lesions
    assert np.isnan(store.index.lesion_fraction).all()


def test_the_fingerprint_is_of_the_content(cohort, make_case, small, write, tmp_path):
    first = write_whole(tmp_path / "a", cohort, small, write).prepared["fingerprint"]
    assert write_whole(tmp_path / "b", cohort, small, write).prepared["fingerprint"] == first
    cohort.found["tested"].images[4, 0, 10, 10] += 1
    assert write_whole(tmp_path / "c", cohort, small, write).prepared["fingerprint"] != first


def test_the_arrays_are_plain_numpy_files(cohort, small, write, tmp_path):
    store = write_whole(tmp_path / "store", cohort, small, write)
    images = np.load(store.folder / "slices.npy", allow_pickle=False)
    assert (images.dtype, images.shape) == (np.float16, (25, 1, 16, 12))
    assert np.load(store.folder / "lesions.npy", allow_pickle=False).shape == (25, 16, 2)


def test_a_begun_store_is_not_opened(cohort, small, write, tmp_path):
    writer = StoreWriter(tmp_path / "store", REQUEST, small)
    write(writer, cohort, SplitRule(), small)
    writer.write_index()
    writer.close()
    with pytest.raises(UserError, match="not a finished store"):
        SliceStore(tmp_path / "store")


@pytest.mark.parametrize("done", range(6))
def test_it_goes_on_from_any_case(cohort, make_cohort, small, write, tmp_path, done):
    write_whole(tmp_path / "whole", cohort, small, write)
    writer = StoreWriter(tmp_path / "store", REQUEST, small)
    some = make_cohort(dict(list(cohort.found.items())[:done]), cohort.splits)
    write(writer, some, SplitRule(), small)
    writer.close()
    writer = StoreWriter(tmp_path / "store", REQUEST, small)
    assert writer.done == done
    write(writer, cohort, SplitRule(), small)
    writer.write_index()
    writer.finish({"seed": 0})
    assert files(tmp_path / "store") == files(tmp_path / "whole")


# What is killed where: the n-th time that this is called, before or after it did its work.
KILLS = (
    [("GrowingArray.append", nth, moment) for nth in (1, 2, 3, 5) for moment in ("before", "after")]
    + [("append_json_line", nth, moment) for nth in (1, 2, 4) for moment in ("before", "after")]
    + [
        (name, 1, moment)
        for name in ("write_csv", "write_json", "GrowingArray.close", "clear_journal")
        for moment in ("before", "after")
    ]
)

KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import anomae.slices.writer as writing
from anomae.slices.split_rule import SplitRule
from anomae.slices.rows import rows_or_reason
from anomae.slices.settings import settings_from
from conftest import MadeUpCohort, made_up_case

def kill(name, nth, moment):
    owner, _, attribute = name.rpartition(".")
    target = getattr(writing, owner) if owner else writing
    true, calls = getattr(target, attribute), []
    def killing(*given, **more):
        calls.append(1)
        if len(calls) == nth and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = true(*given, **more)
        if len(calls) == nth and moment == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(target, attribute, killing)

def whole(folder):
    settings = settings_from({{"image_size": (16, 12)}})
    cohort = MadeUpCohort({{f"case {{n}}": made_up_case(n, lesions=n != 0) for n in range(4)}}, {{"case 3": "test"}})
    writer = writing.StoreWriter(folder, {{"seed": 0}}, settings)
    for case in cohort.cases()[writer.done:]:
        writer.append(case, rows_or_reason(case, cohort, SplitRule(), settings))
    writer.write_index()
    writer.finish({{"seed": 0}})

def killed_one_after_the_other(folder, kills):
    for line in kills:
        if os.fork() == 0:
            kill(*line)
            whole(folder)
            os._exit(9)
        _, status = os.wait()
        print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else "ended", flush=True)
    if not (folder / "prepare.json").exists():
        whole(folder)
    writing.clear_journal(folder)

place = Path({place!r})
whole(place / "whole")
for number, kills in enumerate({rounds!r}):
    killed_one_after_the_other(place / f"killed {{number}}", kills)
"""


@pytest.mark.parametrize("together", [False, True])
def test_killed_anywhere_it_goes_on_to_the_same_bytes(tmp_path, together):
    """Each kill on a store of its own; then all of them, one after the other, on the same store."""
    rounds = [KILLS] if together else [[kill] for kill in KILLS]
    script = KILLED.format(tests=str(Path(__file__).parent), place=str(tmp_path), rounds=rounds)
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, encoding="utf-8", timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stderr
    outcomes = ended.stdout.split()
    assert len(outcomes) == len(KILLS)
    if not together:
        assert outcomes == [str(int(signal.SIGKILL))] * len(KILLS)
    for number, kills in enumerate(rounds):
        assert files(tmp_path / f"killed {number}") == files(tmp_path / "whole"), kills


def test_a_torn_last_line_of_the_journal_counts_for_nothing(cohort, make_cohort, small, write, tmp_path):
    write_whole(tmp_path / "whole", cohort, small, write)
    writer = StoreWriter(tmp_path / "store", REQUEST, small)
    write(writer, make_cohort(dict(list(cohort.found.items())[:3]), cohort.splits), SplitRule(), small)
    writer.close()
    journal = tmp_path / "store" / JOURNAL
    journal.write_bytes(journal.read_bytes()[:-40])
    writer = StoreWriter(tmp_path / "store", REQUEST, small)
    assert writer.done == 2
    write(writer, cohort, SplitRule(), small)
    writer.write_index()
    writer.finish({"seed": 0})
    assert files(tmp_path / "store") == files(tmp_path / "whole")


def test_an_array_shorter_than_its_journal_is_refused(cohort, small, write, tmp_path):
    writer = StoreWriter(tmp_path / "store", REQUEST, small)
    write(writer, cohort, SplitRule(), small)
    writer.close()
    array = tmp_path / "store" / "slices.npy"
    os.truncate(array, array.stat().st_size // 2)
    with pytest.raises(UserError, match="shorter than its journal says"):
        StoreWriter(tmp_path / "store", REQUEST, small)


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize(
    ("change", "said"),
    [({"seed": 1}, "other seed"), ({"seed": 1, "cases": "x"}, "other seed"), ({"cases": "x"}, "cases are others")],
)
def test_another_request_is_refused(cohort, small, write, tmp_path, change, said, finished):
    folder = tmp_path / "store"
    writer = StoreWriter(folder, REQUEST, small)
    write(writer, cohort, SplitRule(), small)
    if finished:
        writer.write_index()
        writer.finish({})
    writer.close()
    before = files(folder)
    with pytest.raises(UserError, match=said):
        StoreWriter(folder, REQUEST | change, small)
    assert files(folder) == before
    refuse_other_request(folder, REQUEST)


def test_where_only_broken_scans_were_met_it_may_be_begun_anew_in_another_way(
    cohort, make_cohort, small, write, tmp_path
):
    writer = StoreWriter(tmp_path / "store", REQUEST, small)
    write(writer, make_cohort({"broken": "scans/broken is cut short."}), SplitRule(), small)
    writer.close()
    writer = StoreWriter(tmp_path / "store", REQUEST | {"seed": 1}, small)
    assert writer.done == 0
    writer.close()


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_is_no_store_is_left_alone(small, tmp_path, kind):
    place = tmp_path / "mine"
    if kind == "folder":
        place.mkdir()
        (place / "notes.txt").write_text("mine")
    else:
        place.write_text("mine")
    with pytest.raises(UserError, match="name a"):
        StoreWriter(place, REQUEST, small)
    assert (place / "notes.txt" if kind == "folder" else place).read_text() == "mine"


def test_two_do_not_write_at_once(small, tmp_path):
    writer = StoreWriter(tmp_path / "store", REQUEST, small)
    with pytest.raises(UserError, match="Another process"):
        StoreWriter(tmp_path / "store", REQUEST, small)
    writer.close()
    StoreWriter(tmp_path / "store", REQUEST, small).close()


def test_what_a_crash_left_of_other_files_is_cleared(cohort, small, write, tmp_path):
    (tmp_path / "store").mkdir()
    StoreWriter(tmp_path / "store", REQUEST, small).close()
    (tmp_path / "store" / ".part-abc.json").write_text("half")
    (tmp_path / "store" / ".part-def").mkdir()
    store = write_whole(tmp_path / "store", cohort, small, write)
    assert not list(store.folder.glob(".part-*"))


def test_the_store_type_is_the_one_that_was_set(cohort, write, tmp_path):
    settings = settings_from({"image_size": 16, "intensity": "none"})
    assert write_whole(tmp_path / "store", cohort, settings, write).images.dtype == np.float32
