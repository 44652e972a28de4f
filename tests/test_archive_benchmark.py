"""benchmarks/archive.py at tiny size: every slice is scored, each process is weighed, and the machine is named."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import anomae

ROOT = Path(__file__).parents[1]


def test_a_tiny_archive_is_scored_and_weighed(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="the extra `cluster` is not installed")
    if not Path("/proc/self/status").exists():
        pytest.skip("memory is read from /proc, which this system has not")
    command = [sys.executable, str(ROOT / "benchmarks" / "archive.py"), "--slices", "8", "--scan", "4"]
    command += ["--side", "16", "--workers", "1", "--bare", "--json", str(tmp_path / "told.json")]
    path = str(Path(anomae.__file__).parents[1])
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads((tmp_path / "told.json").read_text())
    (archive,) = told["archives"]
    assert (archive["slices"], archive["scans"], archive["failed"]) == (8, 2, 0)
    for who in ("command", "worker", "together"):
        assert 0 < archive[f"{who}_own"] < archive[f"{who}_all"]
    assert told["machine"]["versions"]["anomae"] in done.stdout
    assert told["machine"]["cores"] >= 1
