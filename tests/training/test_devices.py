"""Several processes: two on CPU do what one does with twice the accumulation."""

import os
import subprocess
import sys
from pathlib import Path

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
from pathlib import Path
sys.path.insert(0, {here!r})
from test_loop import make_model, make_training, train, make_fabric
from anomae.training.settings import DeviceSettings
if __name__ == "__main__":
    fabric = make_fabric(DeviceSettings(accelerator="cpu", precision="fp32", devices=int(sys.argv[2])))
    train(fabric, make_model(), make_training(Path(sys.argv[1]), accumulate=int(sys.argv[3])))
"""


def test_two_processes_equal_one_with_two_shards(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(SCRIPT.format(here=str(Path(__file__).parent)))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for name, devices, accumulate in (("two", "2", "1"), ("one", "1", "2")):
        command = [sys.executable, str(script), str(tmp_path / name), devices, accumulate]
        subprocess.run(command, check=True, timeout=600, env=environment, capture_output=True)
    two, one = (read_tensors(tmp_path / name / "checkpoints" / "toy.safetensors")[0] for name in ("two", "one"))
    assert two.keys() == one.keys()
    for name in two:
        assert torch.allclose(two[name], one[name], atol=1e-5), name


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
