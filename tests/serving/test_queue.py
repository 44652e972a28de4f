"""The queue: first come, first served, across restarts; no pickle on the disk."""

import sqlite3
from pathlib import Path

from anomae.serving.queue import Queue


def test_first_come_first_served_and_again_after_a_crash(tmp_path: Path):
    seen: list[str] = []
    queue = Queue(tmp_path / "queue.db", seen.append)
    for job in ("c", "a", "b"):
        queue.put(job)
    assert queue.step()
    queue.close()
    again = Queue(tmp_path / "queue.db", seen.append)
    assert again.step()
    assert seen == ["c", "a"]
    again.refill(["a", "b"])
    while again.step():
        pass
    assert seen == ["c", "a", "a", "b"]
    assert not again.step()
    again.close()


def test_what_lies_on_the_disk_is_json(tmp_path: Path):
    queue = Queue(tmp_path / "queue.db", lambda job: None)
    queue.put("0123")
    queue.close()
    with sqlite3.connect(tmp_path / "queue.db") as tables:
        [(content,)] = tables.execute("select data from task").fetchall()
    tables.close()
    assert bytes(content).startswith(b'{"id": ')
