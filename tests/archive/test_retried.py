"""A shard tried again: what was scored stays, with all its maps, and the rest is as if nothing had failed."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from anomae.archive.folder import ArchiveFolder
from anomae.archive.manifest import Entry
from anomae.archive.score_shard import facts_in
from anomae.archive.tables import TABLES

from .test_dispatch import Scripted, entries_of, map_name, score


def state(folder, shards):
    """All that the tables and maps of the shards say, and their counts."""
    tables = {table: list(folder.rows(table, list(columns), shards)) for table, columns in TABLES.items()}
    tables["failed"] = [{**row, "reason": None} for row in tables["failed"]]
    maps = [sorted((path.name, path.read_text()) for path in folder.shard(n).glob("maps/*")) for n in range(shards)]
    facts = [{**facts_in(folder.shard(number)), "seconds": 0} for number in range(shards)]
    return tables, maps, facts


@settings(max_examples=20)
@given(st.data())
def test_however_tries_end_nothing_that_was_scored_is_lost_and_a_sound_one_ends_as_if_none_had_failed(data):
    count, size = data.draw(st.integers(1, 10)), data.draw(st.integers(1, 6))
    entries, shards = entries_of(count), -(-count // size)
    fates = st.dictionaries(st.sampled_from([entry.file for entry in entries]), st.sampled_from(["kill", "unreadable"]))
    with tempfile.TemporaryDirectory() as path:
        there = set()
        for _ in range(3):
            failing = data.draw(fates)
            folder = ArchiveFolder(Path(path) / "out", {})
            engine = Scripted(data.draw(st.integers(1, 3)), failing, lambda n: data.draw(st.integers(0, n - 1)))
            score(folder, entries, size, engine, retry=True)
            there |= {entry.file for entry in entries} - failing.keys()
            assert {row["file"] for row in folder.rows("scans", ["file"], shards)} == there
            assert {row["file"] for row in folder.rows("failed", ["file"], shards)} == failing.keys() - there
        folder, sound = ArchiveFolder(Path(path) / "out", {}), ArchiveFolder(Path(path) / "sound", {})
        tried = score(folder, entries, size, Scripted(1, {}), retry=True)
        score(sound, entries, size, Scripted(1, {}))
        assert state(folder, shards) == state(sound, shards)
        assert sum(one.slices for one in tried) == count - len(there)


def test_a_line_of_several_scans_is_taken_anew_only_where_it_loses_none(tmp_path):
    entries = [Entry(0, "a+b"), Entry(1, "c")]
    folder = ArchiveFolder(tmp_path / "out", {})
    for failing, scans, failed in (
        ({"b", "c"}, ["a"], ["b", "c"]),
        ({"a"}, ["a", "c"], ["b"]),  # b could be read, but a, which was scored, could not
        ({"a+b"}, ["a", "c"], ["b"]),
        ({}, ["a", "b", "c"], []),
    ):
        score(folder, entries, 2, Scripted(1, dict.fromkeys(failing, "unreadable")), retry=True)
        assert [row["file"] for row in folder.rows("scans", ["file"], 1)] == scans
        assert [row["file"] for row in folder.rows("failed", ["file"], 1)] == failed
        assert sorted(path.name[11] for path in (folder.shard(0) / "maps").iterdir()) == scans


def test_of_a_line_that_stays_what_failed_now_is_said_and_listed(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr("anomae.archive.dispatch.say", said.append)
    entries = [Entry(0, "a+b+c"), Entry(1, "d+e")]
    folder = ArchiveFolder(tmp_path / "out", {})
    score(folder, entries, 2, Scripted(1, dict.fromkeys(["b", "c", "e"], "unreadable")))
    old = {"b": "b is broken.", "c": "c is broken.", "e": "e is broken."}
    assert reasons(folder) == old
    assert not said
    score(folder, entries, 2, Scripted(1, dict.fromkeys(["a", "c"], "unreadable")), retry=True)  # b and e are mended
    assert reasons(folder) == {"b": "not scored anew, as this failed now: a is broken.", "c": old["c"]}
    assert said == ["Stays as it was scored before: a is broken."]
    score(folder, entries, 2, Scripted(1, {"a+b+c": "kill"}), retry=True)
    why = "a+b+c: its worker was ended by it (signal SIGKILL)"
    assert reasons(folder) == dict.fromkeys("bc", f"not scored anew, as this failed now: {why}")
    assert said[1:] == [f"Stays as it was scored before: {why}."]
    score(folder, entries, 2, Scripted(1, {}), retry=True)
    assert reasons(folder) == {}
    assert len(said) == 2


def reasons(folder):
    return {row["file"]: row["reason"] for row in folder.rows("failed", ["file", "reason"], 1)}


def test_both_maps_of_a_sheared_scan_outlive_a_retry_and_what_is_gone_or_not_ours_ends_none(tmp_path):
    entries = [Entry(line, file) for line, file in enumerate(["tilted0", "tilted1", "file2", "file3"])]
    folder, sound = ArchiveFolder(tmp_path / "out", {}), ArchiveFolder(tmp_path / "sound", {})
    score(sound, entries, 4, Scripted(1, {}))
    score(folder, entries, 4, Scripted(1, dict.fromkeys(["tilted1", "file3"], "unreadable")))
    maps = folder.shard(0) / "maps"
    for failing in (["file3"], []):
        score(folder, entries, 4, Scripted(1, dict.fromkeys(failing, "unreadable")), retry=True)
        names = {path.name for path in maps.iterdir()}
        assert {f"0000000{number}-0_tilted{number}.{kind}" for number in (0, 1) for kind in ("nii.gz", "nrrd")} <= names
    assert state(folder, 1) == state(sound, 1)

    folder = ArchiveFolder(tmp_path / "moved", {})
    score(folder, entries, 4, Scripted(1, {"file3": "unreadable"}))
    maps = folder.shard(0) / "maps"
    (maps / map_name(0, 0, "tilted0")).unlink()
    (maps / "notes.txt").write_text("mine")
    (maps / "old").mkdir()
    score(folder, entries, 4, Scripted(1, {}), retry=True)
    there = {path.name: path.read_text() for path in maps.iterdir()}
    whole = {path.name: path.read_text() for path in (sound.shard(0) / "maps").iterdir()}
    assert there == {name: text for name, text in whole.items() if name != map_name(0, 0, "tilted0")} | {
        "notes.txt": "mine"
    }
    assert facts_in(folder.shard(0))["map_bytes"] == sum(map(len, there.values()))
    score(folder, entries, 4, Scripted(1, {}), retry=True)

    folder = ArchiveFolder(tmp_path / "none", {})
    score(folder, entries, 4, Scripted(1, {"file3": "unreadable"}))
    shutil.move(folder.shard(0) / "maps", tmp_path / "elsewhere")
    score(folder, entries, 4, Scripted(1, {}), retry=True)
    assert [path.name for path in (folder.shard(0) / "maps").iterdir()] == [map_name(3, 0, "file3")]
    assert facts_in(folder.shard(0))["scans"] == 4


def test_a_line_that_stays_is_tried_once_more_when_lines_are_added(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr("anomae.archive.dispatch.say", said.append)
    entries = [Entry(0, "a+b"), Entry(1, "c"), Entry(2, "d")]

    def scans_by(engine, lines=2, retry=False):
        folder = ArchiveFolder(tmp_path / "out", {})
        score(folder, entries[:lines], 3, engine, retry)
        return [row["file"] for row in folder.rows("scans", ["file"], 1)]

    assert scans_by(Scripted(1, {"b": "unreadable", "c": "kill"})) == ["a"]
    assert scans_by(Scripted(1, {"a+b": "kill", "c": "kill"}), retry=True) == ["a"]
    why = "its worker was ended by it (signal SIGKILL)."
    assert said == [f"Left out: c: {why}", f"Stays as it was scored before: a+b: {why}", f"Left out: c: {why}"]
    assert scans_by(Scripted(1, {"b": "unreadable"}), lines=3) == ["a", "d"]  # c is known to end its worker
