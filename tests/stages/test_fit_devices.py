"""`anomae fit --devices 2` from the command line: two processes come to the weights of one with twice the accumulation.

That each keeps its share of a step is in tests/training/test_devices.py, of a network of a few weights.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import anomae
from anomae.files import read_json, read_json_lines
from anomae.slices.store import SliceStore
from anomae.stages.score import score
from anomae.training.checkpoint import read_tensors

from .conftest import SHORT

TRAININGS = ("autoencoder.training", "classifier.training")


def fitted_by_command(store: Path, run: Path, *words: str, **overrides: object) -> str:
    """What `anomae fit` prints, in a process of its own, from which the others are started."""
    chosen = SHORT | {"device.precision": "fp32"} | overrides
    command = [sys.executable, "-m", "anomae", "fit", str(store), str(run), "--detector", "mae-classifier"]
    command += ["--recipe", "phantom", "--seed", "3", *words]
    command += [word for name, value in chosen.items() for word in ("--set", f"{name}={value}")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(anomae.__file__).parents[1])}
    done = subprocess.run(command, check=False, timeout=600, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def runs(heads: SliceStore, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """Fitted by two processes, and by one; what the first command printed."""
    folder = tmp_path_factory.mktemp("devices")
    said = fitted_by_command(heads.folder, folder / "two", "--devices", "2")
    twice = {f"{training}.accumulate": 2 for training in TRAININGS}
    fitted_by_command(heads.folder, folder / "one", **twice)
    return folder / "two", folder / "one", said


def test_two_processes_come_to_the_weights_of_one_with_twice_the_accumulation(runs: tuple[Path, Path, str]) -> None:
    two, one, _ = runs
    files = sorted(path.relative_to(two) for path in (two / "fitted").rglob("*.safetensors"))
    assert [path.parts[1] for path in files] == ["autoencoder", "classifier"]
    for file in files:
        ours, theirs = (read_tensors(run / file)[0] for run in (two, one))
        assert ours.keys() == theirs.keys()
        for name in ours:
            torch.testing.assert_close(ours[name], theirs[name], atol=1e-5, rtol=0, msg=f"{file}: {name}")


def test_the_run_is_whole_and_says_how_it_was_computed(runs: tuple[Path, Path, str]) -> None:
    two, one, said = runs
    assert read_json(two / "run.json")["computed"] == {"precision": "fp32", "devices": 2, "nodes": 1}
    ends = [[line["step"] for line in read_json_lines(run / "journal.jsonl")] for run in (two, one)]
    assert ends[0] == ends[1]  # the first process alone keeps the journal
    assert not (two / "cache").exists()
    assert not list(two.rglob(".*"))
    ours, theirs = (np.genfromtxt(score(run) / "scores.csv", delimiter=",", names=True)["score"] for run in (two, one))
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert said.count("Fitted") == 1, said  # the second process said it too
