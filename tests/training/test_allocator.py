"""Freed memory is kept: a second round of the same allocations costs no page faults."""

import subprocess
import sys

import pytest

ROUNDS = """
import resource
import numpy as np
from anomae.training.allocator import keep_freed_memory

def round_of_allocations():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    held = [np.ones(1 << 20) for _ in range(8)]
    del held
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

assert keep_freed_memory()
round_of_allocations()
print(round_of_allocations())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc's allocator is told to keep memory")
def test_the_pages_of_a_round_are_there_for_the_next() -> None:
    done = subprocess.run([sys.executable, "-c", ROUNDS], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1000  # 8 blocks of 8 MiB are 16,384 pages
