"""benchmarks/memory.py: the made-up store that memory and scaling are measured on is one that the program reads."""

import importlib.util
from pathlib import Path

import pytest

from anomae.slices.store import SliceStore


@pytest.fixture(scope="module")
def memory():
    path = Path(__file__).resolve().parents[1] / "benchmarks" / "memory.py"
    found = importlib.util.spec_from_file_location("memory_benchmark", path)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_the_made_up_store_is_whole(memory, tmp_path):
    memory.write_store(tmp_path, train=5, test=160, side=8)
    store = SliceStore(tmp_path)
    assert store.images.shape == (165, 1, 8, 8)
    assert len(store.rows("train", label=0)) == 5
    assert len(store.rows("test", label=0)) + len(store.rows("test", label=1)) == 160
    assert list(store.index.slice[153:157]) == [153, 154, 0, 1]
