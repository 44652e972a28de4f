"""A small version of benchmarks/pacs_faults.py: archive and commands killed while studies arrive."""

import json
import os
import subprocess
import sys
from pathlib import Path

import anomae

from .archives import Orthanc

ROOT = Path(__file__).parents[2]


def test_three_kills_lose_and_double_nothing(orthanc_of_module: Orthanc) -> None:
    """The fixture is asked for so that this is skipped, with the reason, where there is no archive."""
    command = [sys.executable, str(ROOT / "benchmarks" / "pacs_faults.py"), "--kills", "3", "--seed", "3"]
    command += ["--victims", "archive,watch,receive", "--pause", "0.7", "--every", "0.3"]
    path = str(Path(anomae.__file__).parents[1])
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout)
    assert figures["kills"] == {"archive": 1, "watch": 1, "receive": 1}
    assert (figures["wrong"], figures["not_valid"]) == ([], [])
    assert figures["in_the_archive"]["SR"] >= len(figures["studies"]) > 0
