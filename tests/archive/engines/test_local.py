"""Workers on this machine: Ctrl-C is their parent's to act on from their first moment."""

import signal
from pathlib import Path

import pytest

from anomae.archive.engines.local import _Worker


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux, to look at the signals of a process")
def test_no_interrupt_reaches_a_worker_that_is_just_starting():
    """It printed its traceback."""
    worker = _Worker(None)
    try:
        status = Path(f"/proc/{worker.process.pid}/status").read_text()
    finally:
        worker.end(0.0)
    (blocked,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigBlk"))
    assert int(blocked, 16) >> (signal.SIGINT - 1) & 1
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
