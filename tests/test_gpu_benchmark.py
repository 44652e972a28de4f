"""benchmarks/gpu.py at tiny size on the CPU: parts a (eager) to d run, and the operations counted are the true ones."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from anomae.errors import UserError
from anomae.models.transformer.masked_autoencoder import MaskedAutoencoder, training_visible, visible_count
from anomae.models.transformer.sizes import SIZES
from anomae.slices.settings import PrepareSettings
from anomae.slices.store import SliceStore
from anomae.stages.prepare import prepare


@pytest.fixture(scope="module")
def gpu():
    path = Path(__file__).resolve().parents[1] / "benchmarks" / "gpu.py"
    found = importlib.util.spec_from_file_location("gpu_benchmark", path)
    module = importlib.util.module_from_spec(found)
    import sys

    sys.modules["gpu_benchmark"] = module
    found.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def packed(gpu, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("gpu")
    settings = PrepareSettings(image_size=(32, 32))
    prepare("phantom", "heads:8", folder / "store", workers=0, seed=1, settings=settings, options={"size": "10x32x32"})
    gpu.pack(folder / "store", folder / "pack.npz")
    return folder / "pack.npz"


def test_a_packed_store_is_the_store_to_half_a_step(gpu, packed, tmp_path):
    before, after = SliceStore(packed.parent / "store"), gpu.unpack(packed, tmp_path / "store")
    rows = np.arange(len(before.index.label))
    difference = np.abs(before.select(rows).read(slice(None)) - after.select(rows).read(slice(None)))
    assert difference.max() <= 0.5 / 255 + 1e-3  # of a step, and of float16
    assert (before.index.label == after.index.label).all()
    assert after.rows("train").tolist() == before.rows("train").tolist()


def test_what_does_not_fit_into_8_bits_is_refused(gpu, packed, tmp_path):
    images = np.load(packed.parent / "store" / "slices.npy")
    import shutil

    shutil.copytree(packed.parent / "store", tmp_path / "store")
    np.save(tmp_path / "store" / "slices.npy", images - 1)
    with pytest.raises(UserError, match=r"prepared to 0\.\.1"):
        gpu.pack(tmp_path / "store", tmp_path / "pack.npz")


def test_every_part_gives_a_line(gpu, packed, capsys, monkeypatch):
    monkeypatch.setattr(gpu, "part_e", lambda seconds: gpu.tell("e", status=0, said="not in a test"))
    assert gpu.run_all(packed, 1.0, "cpu", tiny=True) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    figures = {part: [line for line in lines if line["part"] == part] for part in ("a", "b", "c", "d", "e", "end")}
    assert all(figures.values())
    assert figures["end"] == [{"part": "end", "failed": []}]
    speed = next(line for line in figures["a"] if "images_per_s" in line)
    assert speed["finite"]
    ceiling = next(line for line in figures["a"] if line.get("what") == "bf16 matrix ceiling")["tflops"] * 1e12
    assert speed["share_of_ceiling"] == pytest.approx(speed["images_per_s"] * gpu.training_flops(gpu.TINY) / ceiling)
    expected = 1600 * 15557 / speed["images_per_s"] / 3600
    assert speed["hours_of_1600_epochs"] == pytest.approx(expected)
    assert [line["detector"] for line in figures["b"] if "detector" in line] == ["mae-classifier", *gpu.BASELINES]
    assert figures["d"][0]["repeats_to_the_bit"]
    assert figures["d"][0]["largest_difference_to_cpu"] == 0.0  # the device is the CPU here


def test_a_part_that_fails_is_told_and_the_others_go_on(gpu, packed, capsys, monkeypatch):
    def broken(*_):
        raise RuntimeError("out of memory")

    for part in "abde":
        monkeypatch.setattr(gpu, f"part_{part}", lambda *_: None)
    monkeypatch.setattr(gpu, "part_c", broken)
    assert gpu.run_all(packed, 1.0, "cpu", tiny=True) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"part": "c", "failed": "RuntimeError: out of memory"} in lines
    assert lines[-1] == {"part": "end", "failed": ["c"]}


def test_a_step_trains_and_reads_nothing_back(gpu):
    images = torch.randint(0, 255, (20, 1, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    step = gpu.make_step(gpu.TINY, images, "cpu", "no")
    losses = torch.stack([step() for _ in range(40)])
    assert losses[-5:].mean() < losses[:5].mean()
    again = gpu.make_step(gpu.TINY, images, "cpu", "no")
    assert torch.equal(losses[:5], torch.stack([again() for _ in range(5)]))


def test_operations_are_those_that_torch_counts(gpu):
    shape = gpu.Shape(64, 8, SIZES["tiny"], 2, 0, 0.0)
    network = MaskedAutoencoder((64, 64), 8, *shape.sizes, torch.Generator().manual_seed(0))
    visible = training_visible(2, 64, visible_count(64, 0.75), torch.Generator().manual_seed(0))
    with FlopCounterMode(display=False) as counted, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        network(torch.rand(2, 1, 64, 64), visible, everywhere=False)
    assert counted.get_total_flops() / 2 == pytest.approx(gpu.training_flops(shape) / 3, rel=0.01)
