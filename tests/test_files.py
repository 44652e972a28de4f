"""What is said, and done, where a disk is full: the file that was to be written is named, and work stops in time."""

import errno
import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from anomae.arrays import GrowingArray
from anomae.errors import NotWritten
from anomae.files import copy_file, stop_if_full


def refusing(number: int, *names: str):
    def refused(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), *names)

    return refused


def test_a_copy_that_finds_no_room_names_where_it_was_to_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("whole")
    copy_file(source, target)
    assert target.read_text() == "whole"
    for number, named in ((errno.ENOSPC, target), (errno.EDQUOT, target), (errno.EIO, source)):
        monkeypatch.setattr("anomae.files.shutil.copyfile", refusing(number, str(source)))
        with pytest.raises(OSError, match=os.strerror(number)) as raised:
            copy_file(source, target)
        assert (raised.value.errno, raised.value.filename) == (number, str(named))


def test_an_array_that_finds_no_room_to_begin_names_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        """An open file on a full disk, which the system leaves out of its word."""

        def __init__(self, file):
            self.file = file

        def __getattr__(self, name):
            return refusing(errno.ENOSPC) if name == "truncate" else getattr(self.file, name)

    opened = Path.open
    monkeypatch.setattr(Path, "open", lambda *given: Full(opened(*given)))
    with pytest.raises(OSError, match="No space left") as raised:
        GrowingArray(tmp_path / "a.npy", (3,), "float32")
    assert raised.value.filename == str(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("error", "free", "named"),
    [
        (OSError(errno.ENOSPC, "full", "some/file"), 1 << 40, "some/file"),
        (OSError(errno.EDQUOT, "full"), 1 << 40, "folder"),
        (NotWritten("some/file", "cut short"), 1 << 20, "some/file"),
        (NotWritten("some/file", "a limit"), 1 << 40, ""),
        (OSError(errno.EFBIG, "a limit", "some/file"), 1 << 20, ""),
        (ValueError("no space"), 1 << 20, ""),
    ],
)
def test_only_what_holds_for_all_that_is_written_stops_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, free: int, named: str
) -> None:
    usage = namedtuple("usage", "total used free")(1 << 40, 0, free)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    if not named:
        stop_if_full(error, tmp_path / "folder")
        return
    with pytest.raises(NotWritten, match=f"{named} could not be written whole .*; make room"):
        stop_if_full(error, tmp_path / "folder")
