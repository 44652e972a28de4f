"""Networks that learn in turns: stopping and going on equals never stopping, and each optimiser keeps to its own."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from anomae.errors import Diverged, UserError
from anomae.files import read_json_lines
from anomae.training.alternating import Turn, descend, single_device, train_alternating
from anomae.training.checkpoint import read_tensors
from anomae.training.settings import DeviceSettings
from anomae.training.steps import Steps

SAMPLES = torch.randn(37, 5, generator=torch.Generator().manual_seed(0))


class Stopped(Exception):
    pass


def make_training(folder: Path, stop_at: int | None = None, spoil: float = 0.0) -> tuple[Steps, Turn]:
    """A giver and a judge, Adam and RMSprop, a live batch norm: everything that has a state to be kept."""
    networks = {"giver": nn.Sequential(nn.Linear(5, 5), nn.BatchNorm1d(5)), "judge": nn.Linear(5, 1)}
    weights = torch.Generator().manual_seed(3)
    for network in networks.values():
        for parameter in network.parameters():
            nn.init.normal_(parameter, generator=weights)
    optimizers: dict[str, torch.optim.Optimizer] = {
        "giver": torch.optim.Adam(networks["giver"].parameters(), lr=0.01, betas=(0.5, 0.9), fused=True),
        "judge": torch.optim.RMSprop(networks["judge"].parameters(), lr=0.01, alpha=0.9),
    }
    taken = 0

    def turn(indices: np.ndarray, generator: torch.Generator) -> dict[str, torch.Tensor]:
        nonlocal taken
        if taken == stop_at:
            raise Stopped
        taken += 1
        noise = torch.randn(len(indices), 5, generator=generator)
        given = -networks["judge"](networks["giver"](noise)).mean()
        giver = descend(given, optimizers["giver"])
        judged = networks["judge"](networks["giver"](noise).detach()) - networks["judge"](SAMPLES[indices])
        judge = descend(judged.square().mean() + spoil / len(indices), optimizers["judge"])
        return {"loss": judge, "giver": giver}

    minutes = 1e-9 if stop_at is not None else 5.0
    return Steps("toy", len(SAMPLES), 8, 24, networks, optimizers, 7, folder, minutes), turn


def train(made: tuple[Steps, Turn]) -> Steps:
    train_alternating(*made, torch.device("cpu"))
    return made[0]


def tensors(training: Steps) -> dict[str, torch.Tensor]:
    return read_tensors(training.checkpoint)[0]


@pytest.mark.parametrize("at", [1, 9, 23])
def test_going_on_equals_never_stopping(tmp_path: Path, at: int) -> None:
    whole = train(make_training(tmp_path / "whole"))
    with pytest.raises(Stopped):
        train(make_training(tmp_path / "cut", stop_at=at))
    continued = train(make_training(tmp_path / "cut"))
    expected, found = tensors(whole), tensors(continued)
    assert expected.keys() == found.keys()
    assert {name.rpartition(".")[2] for name in expected} >= {"exp_avg", "square_avg", "running_var", "weight"}
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    for name, network in whole.networks.items():
        assert not network.training
        for key, tensor in continued.networks[name].state_dict().items():
            assert torch.equal(tensor, network.state_dict()[key])
    lines = read_json_lines(tmp_path / "cut" / "journal.jsonl")
    assert [line["step"] for line in lines] == list(range(1, 25))
    assert all({"loss", "giver", "seconds"} <= line.keys() for line in lines)


def test_a_finished_training_is_not_repeated(tmp_path: Path) -> None:
    train(make_training(tmp_path))
    before = (tmp_path / "journal.jsonl").read_text()
    again = train(make_training(tmp_path, stop_at=0))
    assert torch.equal(again.networks["judge"].weight, tensors(again)["model.judge.weight"])  # type: ignore[arg-type]
    assert (tmp_path / "journal.jsonl").read_text() == before


def test_a_lost_loss_stops_with_a_sentence(tmp_path: Path) -> None:
    broken = make_training(tmp_path, spoil=float("nan"))
    with pytest.raises(Diverged, match="no longer a finite number"):
        train(broken)
    assert not broken[0].checkpoint.exists()


def test_an_optimiser_moves_its_own_parameters_alone() -> None:
    giver, judge = nn.Linear(3, 2), nn.Linear(2, 1)
    before = {name: value.clone() for name, value in judge.state_dict().items()}
    own = giver.weight.detach().clone()
    loss = judge(giver(torch.ones(4, 3))).mean()
    gradient = torch.autograd.grad(loss, giver.weight, retain_graph=True)[0]
    told = descend(loss, torch.optim.SGD(giver.parameters(), lr=0.5))
    torch.testing.assert_close(giver.weight, own - 0.5 * gradient)
    assert all(torch.equal(value, before[name]) for name, value in judge.state_dict().items())
    assert judge.weight.grad is None
    assert torch.equal(told, loss.detach())
    assert not told.requires_grad


def test_several_devices_and_half_precision_are_refused() -> None:
    with pytest.raises(UserError, match="one device"):
        single_device("fanogan", DeviceSettings(accelerator="cpu", devices=2))
    with pytest.raises(UserError, match="fp32"):
        single_device("fanogan", DeviceSettings(accelerator="cpu", precision="bf16"))
    assert single_device("fanogan", DeviceSettings(accelerator="cpu")) == torch.device("cpu")
