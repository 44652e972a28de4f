"""A printed 95 % interval holds the truth at least 92 times in 100: few patients or many, with and without a signal."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
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


@pytest.mark.parametrize("kind", ["slices", "metrics", "shares", "pretext"])
def test_three_abnormal_patients_get_no_interval(simulation, kind):
    for layout in simulation.LAYOUTS[::2]:
        for name, (given, *_) in simulation.coverage(layout, 3, 5, 100, kind, 1.0).items():
            needs_normals_alone = name == "specificity"
            assert (given > 0) == needs_normals_alone, name


@pytest.mark.parametrize("abnormal", [5, 10, 25])
def test_no_signal_is_within_the_interval(simulation, abnormal):
    counts = {}
    for layout in simulation.LAYOUTS:
        for kind, found in simulation.coverage(layout, abnormal, 30, 150).items():
            counts[kind] = counts.get(kind, 0) + found
    assert set(counts) == {"AUROC", "difference", "DeLong", "matched"}
    for given, hits, _, plain, _ in counts.values():
        assert given >= 80
        assert hits / given >= 0.92
        assert not plain > hits


@pytest.mark.parametrize(("kind", "signal"), [("slices", 3.0), ("shares", 0.0), ("shares", 3.0), ("pretext", 3.0)])
@pytest.mark.parametrize("abnormal", [5, 21])
def test_a_signal_is_within_the_interval(simulation, kind, signal, abnormal):
    counts = {}
    for layout in simulation.LAYOUTS[:4]:
        for name, found in simulation.coverage(layout, abnormal, 25, 100, kind, signal).items():
            counts[name] = counts.get(name, 0) + found
    assert len(counts) >= 2
    for name, (given, hits, *_) in counts.items():
        assert given >= 90
        low = 0.92 - 2 * np.sqrt(0.92 * 0.08 / given)
        assert hits / given >= low, name
