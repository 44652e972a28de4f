"""Freed memory is kept by the command line's process alone; then a second round of allocations costs no page faults."""

import subprocess
import sys
from pathlib import Path

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
    done = subprocess.run([sys.executable, "-c", ROUNDS], capture_output=True, encoding="utf-8", check=True)
    assert int(done.stdout) < 1000  # 8 blocks of 8 MiB are 16,384 pages


# What is asked of the C library is noted, and asked all the same.
WATCHED = """
import ctypes, sys
asked = []

class Watched(ctypes.CDLL):
    def __getattr__(self, name):
        if name == "mallopt":
            asked.append(name)
        return super().__getattr__(name)

ctypes.CDLL = Watched
"""
LIBRARY = """
import numpy as np
from pathlib import Path
import anomae.cli.app
from anomae.detectors.baselines.conv_autoencoder import ConvAutoencoderDetector
from anomae.detectors.baselines.settings import ConvAutoencoderSettings
from anomae.slices.store import Slices
from anomae.training.settings import DeviceSettings, TrainingSettings

settings = ConvAutoencoderSettings(
    width=8,
    latent=4,
    training=TrainingSettings(steps=1, batch=2, lr=1e-3),
    device=DeviceSettings(accelerator="cpu"),
)
images = np.random.default_rng(0).random((4, 1, 16, 16), dtype=np.float32)
ConvAutoencoderDetector(settings).fit(Slices(images), seed=0, folder=Path(sys.argv[1])).inspect(images)
print(len(asked))
"""
COMMAND = """
from anomae.cli import main

sys.argv = ["anomae", "--help"]
try:
    main()
finally:
    print(len(asked))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc's allocator is told to keep memory")
@pytest.mark.parametrize(("code", "times"), [(LIBRARY, 0), (COMMAND, 1)], ids=["library", "command line"])
def test_the_command_line_asks_for_it_and_the_library_never(code: str, times: int, tmp_path: Path) -> None:
    """Fitting and inspecting may happen in another's process, with threads of its own; the command's is ours."""
    command = [sys.executable, "-c", WATCHED + code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    assert int(done.stdout.splitlines()[-1]) == times
