"""Every program of benchmarks/ says on which machine and with which versions, and `make` has a target for it."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = sorted(path for path in (ROOT / "benchmarks").glob("*.py") if path.stem != "machine")
BY_HAND = {"gpu", "peers"}  # what they need is not on every machine


@pytest.fixture(scope="module")
def machine():
    found = importlib.util.spec_from_file_location("machine_of_benchmarks", ROOT / "benchmarks" / "machine.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_a_program_says_on_which_machine(path: Path):
    assert re.search(r"\bshow_machine\(|\bmachine\(\)", path.read_text(encoding="utf-8"))


def test_make_has_a_target_for_each_but_two_which_it_names():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    targets = set(re.search(r"^BENCHMARKS := (.*)$", makefile, re.MULTILINE)[1].split())
    assert targets == {path.stem for path in PROGRAMS} - BY_HAND
    (by_hand,) = (line for line in makefile.splitlines() if "(by hand:" in line)
    assert all(name in by_hand for name in BY_HAND)


def test_the_header_has_processor_cores_load_and_versions(machine, capsys):
    machine.show_machine()
    first, second = capsys.readouterr().out.splitlines()
    facts = machine.machine()
    assert first.startswith(facts["processor"])
    assert re.search(rf"; {facts['cores']} core\(s\), OMP_NUM_THREADS \w+, load \d", first)
    assert f"numpy {np.__version__}" in second
    assert {"python", "anomae", "torch", "onnxruntime", "openvino"} <= facts["versions"].keys()


def test_where_lscpu_is_not_there_python_names_the_processor(machine, monkeypatch):
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    assert machine.processor()
