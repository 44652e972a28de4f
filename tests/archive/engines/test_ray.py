"""Ray: whose fault it is that a piece comes back without an answer."""

from types import SimpleNamespace

import pytest

from anomae.archive.engines import ray as module
from anomae.archive.engines.ray import RayEngine
from anomae.archive.manifest import Entry
from anomae.archive.worker import Answer, Piece
from anomae.errors import UserError

PIECE = Piece(0, (Entry(0, "a.nii"),), "shard")
ERRORS = ("RayError", "RayTaskError", "WorkerCrashedError", "OutOfMemoryError", "NodeDiedError", "LocalRayletDiedError")


class MadeUpRay:
    """Runs nothing: each piece comes back as `fate`, an answer or the name of an error; given: raised by `remote`."""

    def __init__(self, fate, given=None):
        root = type("RayError", (Exception,), {})
        self.exceptions = SimpleNamespace(**{name: type(name, (root,), {}) for name in ERRORS} | {"RayError": root})
        self.fate, self.given = fate, given

    def init(self, **_):
        pass

    def put(self, job):
        return job

    def remote(self, **_):
        return lambda function: SimpleNamespace(remote=lambda *_: self._raise(self.given) or object())

    def wait(self, references, num_returns):
        return references[:num_returns], []

    def get(self, reference):
        return self._raise(self.fate) or self.fate

    def _raise(self, fate):
        if isinstance(fate, str):
            raise getattr(self.exceptions, fate)


@pytest.fixture
def engine(monkeypatch):
    def opened(address, *fates):
        monkeypatch.setattr(module, "require", lambda *_: MadeUpRay(*fates))
        return RayEngine(None, 1, address)

    return opened


def scored(engine):
    engine.submit(PIECE)
    return engine.outcomes()


@pytest.mark.parametrize(
    ("fate", "ended", "lost"),
    [
        (Answer(process="here:1"), "", False),
        ("WorkerCrashedError", "WorkerCrashedError", False),
        ("OutOfMemoryError", "OutOfMemoryError", False),
        ("NodeDiedError", "NodeDiedError", True),
    ],
)
def test_a_machine_that_goes_is_no_fault_of_the_files_as_a_worker_that_ends_may_be(engine, fate, ended, lost):
    opened = engine("auto", fate)
    (outcome,) = scored(opened)
    assert (outcome.piece, outcome.ended, outcome.lost) == (PIECE, ended, lost)
    assert (outcome.answer is None) is bool(ended)


@pytest.mark.parametrize(
    ("address", "fates"),
    [("auto", ("LocalRayletDiedError",)), (None, ("NodeDiedError",)), (None, ("", "LocalRayletDiedError"))],
)
def test_without_ray_s_own_processes_the_command_says_so_and_calls_it_no_defect(engine, address, fates):
    opened = engine(address, *fates)
    with pytest.raises(UserError, match=r"Ray does not go on \(\w+DiedError\): .*; give the same command again\."):
        scored(opened)


def test_what_a_task_raises_is_told_as_it_is(engine):
    opened = engine("auto", "RayTaskError")
    with pytest.raises(opened._ray.exceptions.RayTaskError):
        scored(opened)


def test_a_piece_comes_back_from_a_node_that_is_taken_away(monkeypatch, tmp_path):
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    from ray.cluster_utils import Cluster

    def slow(job, piece):
        import time
        from pathlib import Path

        Path(piece.target).touch()
        while Path(piece.target).exists():
            time.sleep(0.1)
        return Answer(process="there")

    monkeypatch.setattr(module, "score_piece", slow)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        node = cluster.add_node(num_cpus=1)
        pieces = [Piece(number, (), str(tmp_path / str(number))) for number in range(2)]
        with RayEngine(None, 2, cluster.address) as opened:
            for piece in pieces:
                opened.submit(piece)
            while len(list(tmp_path.iterdir())) < 2:
                pass
            cluster.remove_node(node, allow_graceful=False)
            (outcome,) = opened.outcomes()
            assert (outcome.ended, outcome.lost) == ("NodeDiedError", True)
            for path in tmp_path.iterdir():
                path.unlink()
            (other,) = opened.outcomes()
            assert (other.piece.shard, other.answer.process) == (1 - outcome.piece.shard, "there")
    finally:
        cluster.shutdown()
