"""One process at a time writes a folder, and a dead one keeps nobody out."""

import os
import signal
import subprocess
import sys

import pytest

from anomae.errors import UserError
from anomae.locks import LOCK, FolderLock, holds_anything, locked

HOLDER = """
import sys, time
from pathlib import Path
from anomae.locks import FolderLock
lock = FolderLock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(600)
"""


def test_one_holds_it_at_a_time_and_nothing_stays_behind(tmp_path):
    folder = tmp_path / "new" / "out"
    with locked(folder):
        with pytest.raises(UserError, match="Another process is writing") as refused:
            FolderLock(folder)
        assert "\n" not in str(refused.value)
        assert not holds_anything(folder)
    assert list(folder.iterdir()) == []
    (folder / ".part-0123.json").write_text("killed while it was written")
    assert not holds_anything(folder)
    with locked(folder):
        pass


def test_it_is_given_back_where_the_work_fails(tmp_path):
    with pytest.raises(KeyError), locked(tmp_path):
        raise KeyError
    FolderLock(tmp_path).release()


def test_releasing_twice_takes_nobodys_lock(tmp_path):
    first = FolderLock(tmp_path)
    first.release()
    second = FolderLock(tmp_path)
    first.release()
    assert (tmp_path / LOCK).exists()
    second.release()


def test_a_living_process_is_respected_and_a_killed_one_taken_over_and_said(watched, tmp_path, capsys):
    with subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path], stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        with pytest.raises(UserError, match="Another process"):
            FolderLock(tmp_path)
        assert "taken over" not in capsys.readouterr().err
        os.kill(holder.pid, signal.SIGKILL)
    lock = FolderLock(tmp_path)
    assert "taken over" in capsys.readouterr().err
    lock.release()
    FolderLock(tmp_path).release()
    assert "taken over" not in capsys.readouterr().err


def test_what_is_no_folder_is_told(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="cannot be written to"):
        FolderLock(tmp_path / "file")
    assert not holds_anything(tmp_path / "file")
    assert holds_anything(tmp_path)
