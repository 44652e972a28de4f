"""A worker tells what is the disk's from what is an entry's: the one stops all, the other is listed and passed over."""

import errno
import os

import pytest

import anomae.archive.worker as worker
from anomae.archive.manifest import Entry
from anomae.archive.worker import Piece, score_piece
from anomae.errors import DISK_REFUSES, FULL_DISK


@pytest.mark.parametrize("number", [*DISK_REFUSES, errno.ENAMETOOLONG, errno.EBADF], ids=errno.errorcode.get)
def test_what_the_disk_refuses_blames_no_entry(number, tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(worker, "_model", refused)
    answer = score_piece(None, Piece(0, (Entry(0, "a.nii"),), str(tmp_path / "shard")))
    of_the_disk = number in DISK_REFUSES
    assert bool(answer.stop) is of_the_disk
    assert bool(answer.defect) is not of_the_disk
    assert number not in FULL_DISK or str(tmp_path / "shard") in answer.stop
