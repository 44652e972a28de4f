"""What the journal of an archive says of its shards when a later command opens it."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from anomae.archive.dispatch import scored_shards
from anomae.archive.folder import ArchiveFolder
from anomae.archive.manifest import in_shards
from anomae.archive.tables import KILLED, failed_row
from anomae.errors import UserError
from anomae.files import read_json_lines

from .test_dispatch import Scripted, entries_of, score


class Told(Scripted):
    """Workers that say what they compute on; those of an earlier version (Scripted) do not."""

    def outcomes(self):
        return [
            replace(one, answer=one.answer and replace(one.answer, computed_on="cpu fp32", doubts=("old",)))
            for one in super().outcomes()
        ]


def test_shards_of_an_earlier_version_are_doubted_until_all_lines_of_them_are_scored_anew(tmp_path):
    entries = entries_of(7)

    def unsaid(engine, lines, failing=(), retry=False):
        folder = ArchiveFolder(tmp_path / "out", {})
        shards = enumerate(in_shards(entries[:lines], 2))
        missing = [shard for shard in shards if not folder.done(*shard, retry)]
        list(scored_shards(missing, engine(1, dict.fromkeys(failing, "unreadable")), folder, retry))
        again = ArchiveFolder(tmp_path / "out", {})
        assert engine is Scripted or (again.unsaid, again.notes()) == (folder.unsaid, folder.notes())
        said = [note for note in again.notes() if "scored by an earlier version" in note]
        assert [note.partition(" ")[0] for note in said] == ([str(len(again.unsaid))] if again.unsaid else [])
        assert all(f"shards/{number:08d}" in said[0] for number in again.unsaid)
        return again.unsaid

    failing = ["file1", "file2", "file3"]
    assert unsaid(Scripted, 5, failing) == {0, 1, 2}
    assert unsaid(Told, 5, failing) == {0, 1, 2}  # nothing was scored
    assert unsaid(Told, 7, failing) == {0, 1}  # the third shard was scored anew, as a line was added
    assert unsaid(Told, 7, failing, retry=True) == {0}  # all lines of the second were tried again
    assert unsaid(Told, 7, retry=True) == {0}
    shutil.rmtree(tmp_path / "out" / "shards" / "00000000")
    assert unsaid(Told, 7) == set()
    assert ArchiveFolder(tmp_path / "out", {}).notes() == ["old"]


def test_an_archive_that_this_version_began_has_no_such_doubt(tmp_path):
    for retry in (False, True):
        folder = ArchiveFolder(tmp_path / "out", {})
        score(folder, entries_of(3), 2, Told(1, {} if retry else {"file1": "unreadable"}), retry)
        assert folder.notes() == ArchiveFolder(tmp_path / "out", {}).notes() == ["old"]


@pytest.mark.parametrize("left", ["nothing", "no shard", "shards/"])
def test_without_a_shard_what_was_asked_before_binds_nobody(tmp_path, left):
    out, entries = tmp_path / "out", entries_of(4)
    folder = ArchiveFolder(out, {"maps": "all", "device": "cpu"})
    if left == "nothing":  # it ended before its first shard was there
        folder.agree("cpu fp32", ["old"])
        folder.note_ended(failed_row(0, "file0", "", KILLED, "its worker was ended"))
        for name in ("shards/.part-1", "parts/00000000-00000000-00000001"):
            (out / name).mkdir(parents=True)
    else:
        score(folder, entries, 2, Told(1, {"file0": "kill"}))
        for name in ("archive.json", "patients.parquet", "failed.csv"):
            (out / name).write_text("{}")
        with pytest.raises(UserError, match="shards that differ in: maps;"):
            ArchiveFolder(out, {"maps": "none", "device": "cpu"})
        for path in [out / "shards"] if left == "shards/" else (out / "shards").iterdir():
            shutil.rmtree(path)
    same = ArchiveFolder(out, {"maps": "all", "device": "cpu"})
    assert same.ended(entries).keys() == {0}  # the same command does not try it again
    asked = {"maps": "none", "device": "cuda"}
    anew = ArchiveFolder(out, asked)
    assert (anew.computed_on, anew.doubts, anew.ended(entries)) == ("", (), {})
    assert [{**line, "format": ""} for line in read_json_lines(anew.journal)] == [{"format": "", **asked}]
    score(anew, entries, 2, Told(1, {}))
    with pytest.raises(UserError, match="shards that differ in: maps;"):  # of one kind of device it is known by now
        ArchiveFolder(out, {"maps": "all", "device": "cpu"})


@pytest.mark.parametrize("fault", [OSError, KeyboardInterrupt])
def test_good_scores_outlive_a_retry_that_ends_between_the_two_renames(tmp_path, monkeypatch, fault):
    """An error of the disk, and a stop: file0 is there no more, so nothing could score it again."""
    out, entries = tmp_path / "out", entries_of(2)
    score(ArchiveFolder(out, {"maps": "all"}), entries, 2, Scripted(1, {"file1": "unreadable"}))
    replace, renamed = Path.replace, []

    def failing(path, target):
        if path.name.startswith(".part-") and Path(target).name == "00000000":
            renamed.append(target)
            raise fault
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(fault):
        score(ArchiveFolder(out, {"maps": "all"}), entries, 2, Scripted(1, {"file0": "unreadable"}), retry=True)
    monkeypatch.undo()
    assert renamed
    assert (fault is OSError) is (out / "shards" / "00000000").exists()
    with pytest.raises(UserError, match="differ in: maps"):
        ArchiveFolder(out, {"maps": "none"})
    folder = ArchiveFolder(out, {"maps": "all"})
    assert [path.name for path in (out / "shards").iterdir()] == ["00000000"]
    score(folder, entries, 2, Scripted(1, {"file0": "unreadable"}), retry=True)
    assert [row["file"] for row in folder.rows("scans", ["file"], 1)] == ["file0", "file1"]


def test_a_shard_that_was_set_aside_goes_once_the_new_one_is_there(tmp_path):
    entries = entries_of(2)
    folder = ArchiveFolder(tmp_path / "out", {})
    score(folder, entries, 2, Scripted(1, {"file1": "unreadable"}))
    shutil.copytree(folder.shard(0), folder.shard(0).with_name(".old-00000000"))
    score(folder, entries, 2, Scripted(1, {}), retry=True)  # a worker that was ended may leave it within one command
    shutil.copytree(folder.shard(0), folder.shard(0).with_name(".old-00000000"))
    folder.clean()
    assert [path.name for path in (tmp_path / "out" / "shards").iterdir()] == ["00000000"]
    assert len(list(folder.rows("scans", ["file"], 1))) == 2
