"""Where nothing is to be found, a printed 95 % interval holds 0.5 (or no difference) at least 92 times in 100."""

import importlib.util
import sys
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "benchmarks" / "coverage.py"


@pytest.fixture(scope="module")
def simulation():
    spec = importlib.util.spec_from_file_location("coverage_of_intervals", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_three_abnormal_patients_get_no_interval(simulation):
    for layout in simulation.LAYOUTS:
        assert all(given == 0 for given, *_ in simulation.coverage(layout, 3, 10, 100).values())


@pytest.mark.parametrize("abnormal", [5, 10, 25])
def test_no_signal_is_within_the_interval(simulation, abnormal):
    counts = {}
    for layout in simulation.LAYOUTS:
        for kind, found in simulation.coverage(layout, abnormal, 30, 150).items():
            counts[kind] = counts.get(kind, 0) + found
    assert set(counts) == {"AUROC", "difference", "matched"}
    for given, hits, plain in counts.values():
        assert given >= 80
        assert hits / given >= 0.92
        assert plain <= hits
