"""What the journal of an archive says of its shards when a later command opens it."""

import shutil
from dataclasses import replace

from anomae.archive.dispatch import scored_shards
from anomae.archive.folder import ArchiveFolder
from anomae.archive.manifest import in_shards

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
