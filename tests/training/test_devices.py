"""Several processes: two on CPU do what one does with twice the accumulation."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
import torch

from anomae.errors import UserError
from anomae.models.transformer.masked_autoencoder import MaskedAutoencoder, averaged_reconstruction, random_visible
from anomae.models.transformer.sizes import SIZES
from anomae.training.checkpoint import read_tensors
from anomae.training.devices import chosen_precision, make_fabric
from anomae.training.settings import DeviceSettings

SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, {here!r})
import torch
from torch import nn
from test_loop import Stopped, make_training, noisy_loss, train, make_fabric
from anomae.training.settings import DeviceSettings

class Blocks(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Linear(5, 7), nn.Linear(7, 5)])
        self.scale = nn.Parameter(torch.ones(1))
        with torch.no_grad():
            for parameter in self.blocks.parameters():
                parameter.copy_(torch.linspace(-1, 1, parameter.numel()).view_as(parameter))
    def forward(self, x):
        return self.scale * self.blocks[1](torch.tanh(self.blocks[0](x)))

if __name__ == "__main__":
    folder, devices, accumulate, strategy = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    device = DeviceSettings(accelerator="cpu", precision="fp32", devices=devices, strategy=strategy)
    fabric, training = make_fabric(device), make_training(folder, accumulate=accumulate, clip_norm=0.5)
    whole = Blocks()
    train(fabric, whole, training)
    if strategy == "fsdp":
        calls = 0
        def stopping(model, indices, generator):
            global calls
            calls += 1
            if calls == 11 * accumulate:
                raise Stopped
            return noisy_loss(model, indices, generator)
        cut = replace(training, folder=folder / "cut")
        try:
            train(fabric, Blocks(), replace(cut, batch_loss=stopping, checkpoint_minutes=1e-9))
        except Stopped:
            assert cut.checkpoint.exists()
        went_on = Blocks()
        train(fabric, went_on, cut)
        for ours, theirs in zip(went_on.parameters(), whole.parameters(), strict=True):
            assert torch.equal(ours, theirs)
        (folder / f"went-on-{{fabric.global_rank}}").touch()
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two processes with the network in each, one process, and two with half of it each."""
    folder = tmp_path_factory.mktemp("devices")
    script = folder / "run.py"
    script.write_text(SCRIPT.format(here=str(Path(__file__).parent)))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    runs = (("two", "2", "1", "ddp"), ("one", "1", "2", "ddp"), ("parts", "2", "1", "fsdp"))
    for name, *given in runs:
        command = [sys.executable, str(script), str(folder / name), *given]
        done = subprocess.run(command, check=False, timeout=600, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("other", ["one", "parts"])
def test_two_processes_equal_one_with_two_shards_and_two_with_parts(other: str, trained: Path) -> None:
    two, one = (read_tensors(trained / name / "checkpoints" / "toy.safetensors")[0] for name in ("two", other))
    assert two.keys() == one.keys()
    for name in two:
        assert two[name].shape == one[name].shape
        assert torch.allclose(two[name], one[name], atol=1e-5), name


def test_with_parts_going_on_equals_never_stopping(trained: Path) -> None:
    assert {path.name for path in (trained / "parts").glob("went-on-*")} == {"went-on-0", "went-on-1"}
    ends = [read_tensors(trained / folder / "checkpoints" / "toy.safetensors")[0] for folder in ("parts", "parts/cut")]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_a_missing_device_is_told_in_a_sentence() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(UserError, match="No CUDA device"):
        make_fabric(DeviceSettings(accelerator="cuda"))


def test_precision_is_what_was_asked_for() -> None:
    assert chosen_precision(DeviceSettings(accelerator="cpu", precision="fp32")) == "fp32"
    assert chosen_precision(DeviceSettings(accelerator="cpu", precision="bf16")) == "bf16"
    assert chosen_precision(DeviceSettings(accelerator="cpu")) in ("bf16", "fp32")


def test_nothing_is_said_at_the_start() -> None:
    """In a process of its own: the library speaks through a logger that pytest would catch."""
    code = (
        "from anomae.training.devices import make_fabric; from anomae.training.settings import DeviceSettings;"
        "make_fabric(DeviceSettings(accelerator='cpu', precision='bf16'))"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, timeout=600, capture_output=True, text=True)
    assert run.stdout + run.stderr == ""


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_fit_on_one_device_is_one_process_in_any_task_of_slurm(
    precision: Literal["fp32", "bf16"], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fabric refused a job of four tasks, each of them a fit of its own."""
    task = {"NTASKS": 4, "PROCID": 3, "LOCALID": 3, "NODEID": 0, "JOB_ID": 77}
    for name, value in task.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    monkeypatch.setenv("SLURM_JOB_NAME", "train.sh")
    fabric = make_fabric(DeviceSettings(accelerator="cpu", precision=precision))
    assert (fabric.world_size, fabric.global_rank, fabric.is_global_zero) == (1, 0, True)


@pytest.mark.gpu
def test_a_gpu_gives_the_numbers_of_the_cpu_and_the_same_ones_twice() -> None:
    if not torch.cuda.is_available():
        pytest.skip("this machine has no CUDA device")
    network = MaskedAutoencoder((32, 32), 8, *SIZES["nano"], torch.Generator().manual_seed(0)).eval()
    images = torch.rand(6, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    visible = random_visible(range(6), network.patch_count, 4, 4)
    with torch.inference_mode():
        here = averaged_reconstruction(network, images, visible)
        network.cuda()
        there, again = (averaged_reconstruction(network, images.cuda(), visible.cuda()).cpu() for _ in range(2))
    assert torch.equal(there, again)
    torch.testing.assert_close(there, here, atol=1e-3, rtol=0)  # a GPU may multiply in TF32
