"""Whatever files end their worker, in whatever order pieces come back: each other file is scored once, in order."""

import shutil
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow.parquet as parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomae.archive.dispatch import scored_shards
from anomae.archive.engines.engine import Outcome
from anomae.archive.folder import ArchiveFolder
from anomae.archive.manifest import Entry, digest_of, in_shards
from anomae.archive.parquet import write_parquet
from anomae.archive.score_shard import FACTS, ShardFacts, facts_in, folder_whole
from anomae.archive.tables import TABLES
from anomae.archive.worker import Answer
from anomae.errors import AnomaeError, UserError
from anomae.files import read_json_lines, write_json


def map_name(line, number, scan):
    return f"{line:08d}-{number}_{scan}.nii.gz"


def write_shard(entries, target, unreadable=frozenset()):
    """A shard with a scan of one slice, and its map, for each entry that is not unreadable; what a worker says of it.

    An entry whose file is called "a+b" is a folder with two such scans, each of which may be unreadable.  The map of a
    scan whose name begins with "tilted" is written twice, as that of a sheared one.
    """
    rows = {table: [] for table in TABLES}
    with folder_whole(Path(target)) as folder:
        for entry in entries:
            for number, scan in enumerate([entry.file] if {entry.file} & {*unreadable} else entry.file.split("+")):
                row = {"line": entry.line, "file": scan}
                if scan in unreadable:
                    rows["failed"].append({**row, "kind": "unreadable", "reason": f"{scan} is broken."})
                    continue
                rows["scans"].append(
                    {**row, "map": f"maps/{map_name(entry.line, number, scan)}", "flag": entry.line % 2 == 0}
                )
                rows["slices"].append({**row, "score": entry.line / 3})
                (folder / "maps").mkdir(exist_ok=True)
                (folder / rows["scans"][-1]["map"]).write_text(scan)
                if scan.startswith("tilted"):
                    (folder / rows["scans"][-1]["map"]).with_suffix("").with_suffix(".nrrd").write_text(scan)
        for table, columns in TABLES.items():
            write_parquet(folder / f"{table}.parquet", columns, rows[table])
        scans, map_bytes = len(rows["scans"]), sum(path.stat().st_size for path in folder.glob("maps/*"))
        flagged = sum(row["flag"] for row in rows["scans"])
        facts = ShardFacts(digest_of(entries), len(entries), scans, scans, flagged, len(rows["failed"]), 0.5, map_bytes)
        write_json(folder / FACTS, asdict(facts))
    return Answer(facts, process="here:1", loads=1)


class Scripted:
    """Workers that files named in `fates` end, or in which they meet a defect; pieces come back as `draw` says.

    Files whose fate is "unreadable" fail alone.  A fate "lost 2" means that two machines go with the piece.

    shared: one that ends takes all with it that is under way.
    """

    def __init__(self, slots, fates, draw=lambda count: 0, shared=False):
        self.slots, self.fates, self.draw, self.busy, self.most = slots, fates, draw, [], 0
        self.shared = shared

    def submit(self, piece):
        self.busy.append(piece)
        self.most = max(self.most, len(self.busy))

    def outcomes(self):
        piece = self.busy.pop(self.draw(len(self.busy)))
        found = {self.fates.get(entry.file, "sound") for entry in piece.entries} or {self.fates.get("model", "sound")}
        if "kill" in found:
            gone, self.busy = [piece, *(self.busy if self.shared else ())], [] if self.shared else self.busy
            return [Outcome(one, None, "signal SIGKILL") for one in gone]
        for file, fate in self.fates.items():
            name, _, times = fate.partition(" ")
            if name == "lost" and int(times) and file in ("model", *(entry.file for entry in piece.entries)):
                self.fates = {**self.fates, file: f"lost {int(times) - 1}"}
                return [Outcome(piece, None, "its node went", lost=True)]
        if "stop" in found:
            return [Outcome(piece, Answer(stop="the disk is full"))]
        if "defect" in found:
            return [Outcome(piece, Answer(defect="a defect"))]
        unreadable = {file for file, fate in self.fates.items() if fate == "unreadable"}
        return [Outcome(piece, write_shard(piece.entries, piece.target, unreadable))]


def stopped_removal(folder, ignore_errors=False):
    """A removal that a stop of the machine ends, once the tables are gone."""
    for table in Path(folder).glob("*.parquet"):
        table.unlink()
    if Path(folder).exists():
        raise KeyboardInterrupt


def entries_of(count):
    return [Entry(line, f"file{line}") for line in range(count)]


def score(folder, entries, size, engine, retry=False):
    return list(scored_shards(enumerate(in_shards(entries, size)), engine, folder, retry))


@settings(max_examples=20)
@given(st.data())
def test_all_but_the_fatal_ones_are_scored_once_in_order(data):
    count, size = data.draw(st.integers(1, 14)), data.draw(st.integers(1, 8))
    entries = entries_of(count)
    fates = data.draw(
        st.dictionaries(st.sampled_from([entry.file for entry in entries]), st.sampled_from(["kill", "defect"]))
    )
    slots, shared = data.draw(st.integers(1, 4)), data.draw(st.booleans())
    engine = Scripted(slots, fates, lambda number: data.draw(st.integers(0, number - 1)), shared)
    with tempfile.TemporaryDirectory() as path:
        folder = ArchiveFolder(Path(path) / "out", {})
        finished = score(folder, entries, size, engine)
        shards = -(-count // size)
        assert sorted(one.number for one in finished) == list(range(shards))
        for table in ("scans", "slices"):
            lines = [row["line"] for row in folder.rows(table, ["line"], shards)]
            assert lines == [entry.line for entry in entries if entry.file not in fates]
        failed = {row["file"]: row["kind"] for row in folder.rows("failed", ["file", "kind"], shards)}
        assert failed == {file: {"kill": "killed", "defect": "defect"}[fate] for file, fate in fates.items()}
        assert engine.most <= engine.slots
        assert not list((folder.folder / "parts").glob("0*"))
        for number, run in enumerate(in_shards(entries, size)):
            facts = facts_in(folder.shard(number))
            assert facts is not None
            assert facts["digest"] == digest_of(run)
            assert facts["failed"] == sum(entry.file in fates for entry in run)
            assert folder.done(number, run, retry=False)
            assert folder.done(number, run, retry=True) == (facts["failed"] == 0)


def test_a_file_that_is_lost_twice_with_a_fatal_one_is_not_blamed(tmp_path):
    folder = ArchiveFolder(tmp_path / "out", {})
    score(folder, entries_of(6), 1, Scripted(3, {"file2": "kill"}, lambda count: count - 1, shared=True))
    assert [row["line"] for row in folder.rows("scans", ["line"], 6)] == [0, 1, 3, 4, 5]
    assert [row["file"] for row in folder.rows("failed", ["file"], 6)] == ["file2"]


def test_a_file_that_is_known_to_end_its_worker_is_tried_again_only_if_asked(tmp_path):
    entries = entries_of(5)
    folder = ArchiveFolder(tmp_path / "out", {})
    score(folder, entries, 5, Scripted(1, {"file2": "kill"}))
    for retry in (False, True):
        again = ArchiveFolder(tmp_path / "out", {})
        engine = Scripted(1, {})
        score(again, entries, 5, engine, retry)
        lines = [row["line"] for row in again.rows("scans", ["line"], 1)]
        assert lines == [0, 1, 3, 4] if not retry else [0, 1, 2, 3, 4]
        more = ArchiveFolder(tmp_path / "out", {})
        score(more, entries_of(6), 6, Scripted(1, {}), retry=False)  # lines were added to it
        assert [row["line"] for row in more.rows("scans", ["line"], 1)] == [*lines, 5]
        if not retry:
            score(more, entries, 5, Scripted(1, {}))
    other = [Entry(entry.line, f"other{entry.line}") for entry in entries]
    score(folder, other, 5, Scripted(1, {}))
    assert [row["line"] for row in folder.rows("scans", ["line"], 1)] == [0, 1, 2, 3, 4]


def test_a_machine_that_goes_is_held_against_no_file_but_one_that_takes_one_after_another_down(tmp_path):
    entries = entries_of(4)
    engine = Scripted(2, {"model": "lost 2", "file1": "lost 4", "file2": "kill"})
    folder = ArchiveFolder(tmp_path / "spared", {})
    score(folder, entries, 4, engine)
    assert [row["file"] for row in folder.rows("failed", ["file"], 1)] == ["file2"]
    folder = ArchiveFolder(tmp_path / "fatal", {})
    score(folder, entries, 4, Scripted(2, {"file1": "lost 99"}))
    failed = list(folder.rows("failed", ["file", "reason"], 1))
    assert failed == [{"file": "file1", "reason": "its worker was ended by it (its node went)"}]


def test_what_is_no_file_s_fault_stops_all_and_blames_none(tmp_path):
    for fates, error, said in (
        ({"model": "kill"}, UserError, "while it loaded the model"),
        ({"model": "defect"}, AnomaeError, "could not load the model"),
        ({"file1": "stop"}, UserError, "the disk is full"),
    ):
        folder = ArchiveFolder(tmp_path / said[:4], {})
        with pytest.raises(error, match=said):
            score(folder, entries_of(3), 1, Scripted(1, fates))
        assert not [line for line in read_json_lines(folder.journal) if "ended" in line]


def test_a_shard_whose_removal_is_stopped_is_no_more_there(tmp_path, monkeypatch):
    entries = entries_of(3)
    folder = ArchiveFolder(tmp_path / "out", {})
    score(folder, entries, 1, Scripted(1, {}))
    monkeypatch.setattr("anomae.archive.score_shard.shutil.rmtree", stopped_removal)
    with pytest.raises(KeyboardInterrupt):
        folder.drop_beyond(2)
    monkeypatch.undo()
    again = ArchiveFolder(tmp_path / "out", {})
    assert sorted(path.name for path in (tmp_path / "out" / "shards").iterdir()) == ["00000000", "00000001"]
    assert [again.done(number, entries[number : number + 1], retry=False) for number in range(3)] == [True, True, False]


def test_all_pieces_are_to_be_computed_on_what_the_first_worker_does(tmp_path):
    class Told(Scripted):
        given = ()

        def outcomes(self):
            self.given = [*self.given, *((piece.shard, piece.computed_on) for piece in self.busy)]
            return [
                replace(one, answer=one.answer and replace(one.answer, computed_on="cpu fp32", doubts=("old",)))
                for one in super().outcomes()
            ]

    fatal, sound = Told(1, {"file1": "kill", "file2": "kill"}), Told(1, {})
    for retry, engine in ((False, fatal), (True, sound)):
        score(ArchiveFolder(tmp_path / "out", {}), entries_of(5), 3, engine, retry)
    assert {computed for shard, computed in [*fatal.given[1:], *sound.given]} == {"cpu fp32"}
    assert fatal.given[0] == (-1, "")
    again = ArchiveFolder(tmp_path / "out", {})
    assert (again.computed_on, again.doubts) == ("cpu fp32", ("old",))
    for shard in (again.folder / "shards").iterdir():
        shutil.rmtree(shard)
    assert ArchiveFolder(tmp_path / "out", {}).computed_on == ""  # nothing is there that others must be like


def test_maps_of_pieces_come_to_lie_in_the_shard(tmp_path):
    folder = ArchiveFolder(tmp_path / "out", {})
    entries = tuple(entries_of(2))
    parts = [folder.part(0, [entry]) for entry in entries]
    for part, entry in zip(parts, entries, strict=True):
        write_shard((entry,), part)
    folder.join(0, entries, parts, [])
    assert sorted(path.name for path in (folder.shard(0) / "maps").iterdir()) == [
        map_name(0, 0, "file0"),
        map_name(1, 0, "file1"),
    ]
    assert parquet.read_table(folder.shard(0) / "scans.parquet").num_rows == 2
    assert not parts[0].exists()
