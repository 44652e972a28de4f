"""A worker tells what is the disk's from what is an entry's: the one stops all, the other is listed and passed over."""

import errno
import os
import re

import pytest

import anomae.archive.worker as worker
from anomae.archive.manifest import Entry
from anomae.archive.score_shard import Asked
from anomae.archive.worker import Job, Piece, score_piece
from anomae.errors import DISK_REFUSES, FULL_DISK


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ("cpu bf16", "computes on cpu fp32, .* scored on cpu bf16, .*; give --device cpu --precision bf16 where"),
        ("onnxruntime 1.2, bf16", "scored on onnxruntime 1.2, bf16, .* do not go together; name another folder"),
    ],
)
def test_a_worker_of_another_precision_than_the_rest_scores_nothing(others, said, tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "_model", lambda job: (None, None, "cpu fp32"))
    answer = score_piece(None, Piece(0, (Entry(0, "a.nii"),), str(tmp_path / "shard"), others))
    assert re.search(said, answer.stop)
    assert not list(tmp_path.iterdir())


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


def test_another_model_than_where_the_command_was_given_is_refused_before_it_is_loaded(run, tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "load_model", lambda *_, **__: pytest.fail("loaded"))
    asked = Asked((0.05, 0.1), None, False, False, "none", False)
    answer = score_piece(Job(str(run), "another", asked, None, 1), Piece(0, (), str(tmp_path / "shard")))
    assert f"{run} holds another fitted model" in answer.stop
