"""Whatever files end their worker, in whatever order pieces come back: each other file is scored once, in order."""

import tempfile
from dataclasses import asdict
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


def write_shard(entries, target):
    """A shard with a scan of one slice for each entry, and what a worker says of it."""
    facts = ShardFacts(digest_of(entries), len(entries), len(entries), len(entries), 0, 0, 0.0, 0)
    with folder_whole(Path(target)) as folder:
        for table, columns in TABLES.items():
            rows = (
                [{"line": entry.line, "file": entry.file} for entry in entries] if table in ("scans", "slices") else []
            )
            write_parquet(folder / f"{table}.parquet", columns, rows)
        write_json(folder / FACTS, asdict(facts))
    return Answer(facts, process="here:1", loads=1)


class Scripted:
    """Workers that files named in `fates` end, or in which they meet a defect; pieces come back as `draw` says.

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
        if "stop" in found:
            return [Outcome(piece, Answer(stop="the disk is full"))]
        if "defect" in found:
            return [Outcome(piece, Answer(defect="a defect"))]
        return [Outcome(piece, write_shard(piece.entries, piece.target))]


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
    other = [Entry(entry.line, f"other{entry.line}") for entry in entries]
    score(folder, other, 5, Scripted(1, {}))
    assert [row["line"] for row in folder.rows("scans", ["line"], 1)] == [0, 1, 2, 3, 4]


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


def test_maps_of_pieces_come_to_lie_in_the_shard(tmp_path):
    folder = ArchiveFolder(tmp_path / "out", {})
    entries = tuple(entries_of(2))
    parts = [folder.part(0, [entry]) for entry in entries]
    for part, entry in zip(parts, entries, strict=True):
        write_shard((entry,), part)
        (part / "maps").mkdir()
        (part / "maps" / f"{entry.line}.nii.gz").write_text("map")
    folder.join(0, entries, parts, [])
    assert sorted(path.name for path in (folder.shard(0) / "maps").iterdir()) == ["0.nii.gz", "1.nii.gz"]
    assert parquet.read_table(folder.shard(0) / "scans.parquet").num_rows == 2
    assert not parts[0].exists()
