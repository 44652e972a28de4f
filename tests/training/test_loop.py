"""The loop: stopping and going on equals never stopping; devices share a step; a lost loss is told."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from anomae.errors import Diverged, UserError
from anomae.files import read_json_lines
from anomae.training.checkpoint import load_checkpoints, read_tensors, save_checkpoints
from anomae.training.devices import make_fabric
from anomae.training.loop import Choice, Training, train
from anomae.training.settings import DeviceSettings, TrainingSettings

FP32 = DeviceSettings(accelerator="cpu", precision="fp32")
SAMPLES = torch.randn(37, 5, generator=torch.Generator().manual_seed(0))


def make_model() -> nn.Module:
    model = nn.Linear(5, 5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.linspace(-1, 1, parameter.numel()).view_as(parameter))
    return model


def noisy_loss(model: nn.Module, indices: np.ndarray, generator: torch.Generator) -> Tensor:
    samples = SAMPLES[torch.from_numpy(indices)]
    noise = torch.randn(samples.shape, generator=generator)
    return (model(samples + 0.1 * noise) - samples).square().mean()


def make_training(folder: Path, steps: int = 24, **settings: object) -> Training:
    chosen = TrainingSettings.model_validate({"steps": steps, "batch": 8, "lr": 0.01, "warmup_steps": 3, **settings})
    return Training("toy", len(SAMPLES), noisy_loss, chosen, 7, folder)


def test_same_seed_same_weights(tmp_path: Path) -> None:
    outcomes = []
    for name in ("a", "b"):
        model = make_model()
        train(make_fabric(FP32), model, make_training(tmp_path / name))
        outcomes.append(model.weight.detach().clone())
    assert torch.equal(*outcomes)
    assert not torch.equal(outcomes[0], make_model().weight)


class Stopped(Exception):
    pass


@pytest.mark.parametrize("at", [1, 9, 23])
def test_going_on_equals_never_stopping(tmp_path: Path, at: int) -> None:
    whole = make_model()
    train(make_fabric(FP32), whole, make_training(tmp_path / "whole"))

    calls = 0

    def stopping_loss(model: nn.Module, indices: np.ndarray, generator: torch.Generator) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == at + 1:
            raise Stopped
        return noisy_loss(model, indices, generator)

    cut = make_training(tmp_path / "cut")
    cut_short = Training("toy", len(SAMPLES), stopping_loss, cut.settings, 7, tmp_path / "cut", 1e-9)
    with pytest.raises(Stopped):
        train(make_fabric(FP32), make_model(), cut_short)
    continued = make_model()
    train(make_fabric(FP32), continued, cut)
    assert torch.equal(whole.weight, continued.weight)
    assert torch.equal(whole.bias, continued.bias)
    steps = [line["step"] for line in read_json_lines(cut.journal)]
    assert steps == sorted(set(steps))
    assert steps[-1] == 24


def test_samples_can_be_exchanged_by_the_step_and_going_on_exchanges_the_same(tmp_path: Path) -> None:
    def taken(folder: str, *steps: int) -> list[list[int]]:
        seen: list[list[int]] = []

        def loss(model: nn.Module, indices: np.ndarray, generator: torch.Generator) -> Tensor:
            seen.append(indices.tolist())
            return noisy_loss(model, indices, generator)

        for number in steps:
            training = replace(make_training(tmp_path / folder, steps=number), batch_loss=loss)
            by_step = replace(training, exchange=lambda indices, step: (indices + step) % len(SAMPLES))
            train(make_fabric(FP32), make_model(), training if folder == "plain" else by_step)
        return seen

    plain, whole = taken("plain", 8), taken("whole", 8)
    assert whole == [[(index + step) % len(SAMPLES) for index in batch] for step, batch in enumerate(plain)]
    assert taken("parts", 3, 8) == whole


def test_a_finished_training_is_not_repeated(tmp_path: Path) -> None:
    training = make_training(tmp_path)
    first, again = make_model(), make_model()
    train(make_fabric(FP32), first, training)
    before = training.journal.read_text()
    train(make_fabric(FP32), again, training)
    assert torch.equal(first.weight, again.weight)
    assert training.journal.read_text() == before


def test_accumulated_shards_make_the_whole_batch(tmp_path: Path) -> None:
    """Without noise, two half batches give the gradient of one whole batch."""

    def plain_loss(model: nn.Module, indices: np.ndarray, generator: torch.Generator) -> Tensor:
        samples = SAMPLES[torch.from_numpy(indices)]
        return (model(samples) - samples).square().mean()

    weights = []
    for accumulate in (1, 2):
        settings = make_training(tmp_path, accumulate=accumulate).settings
        model = make_model()
        folder = tmp_path / str(accumulate)
        train(make_fabric(FP32), model, Training("toy", 37, plain_loss, settings, 7, folder))
        weights.append(model.weight)
    assert torch.allclose(*weights, atol=1e-6)


def test_adam_decays_by_an_l2_term_of_the_loss(tmp_path: Path) -> None:
    """Against the loop with no decay and the term written out; AdamW decays otherwise."""

    def with_term(model: nn.Module, indices: np.ndarray, generator: torch.Generator) -> Tensor:
        term = sum(parameter.square().sum() for parameter in model.parameters())
        return noisy_loss(model, indices, generator) + 0.1 / 2 * term

    weights = []
    for name, loss, decay, optimizer in (
        ("term", with_term, 0.0, torch.optim.Adam),
        ("decay", noisy_loss, 0.1, torch.optim.Adam),
        ("other", noisy_loss, 0.1, torch.optim.AdamW),
    ):
        model, settings = make_model(), make_training(tmp_path, weight_decay=decay).settings
        training = Training("toy", 37, loss, settings, 7, tmp_path / name, optimizer=optimizer)
        train(make_fabric(FP32), model, training)
        weights.append(model.weight.detach())
    assert torch.allclose(weights[0], weights[1], atol=1e-5)
    assert not torch.allclose(weights[0], weights[2], atol=1e-3)


def test_a_lost_loss_stops_with_a_sentence(tmp_path: Path) -> None:
    def lost(model: nn.Module, indices: np.ndarray, generator: torch.Generator) -> Tensor:
        return noisy_loss(model, indices, generator) * float("nan")

    training = make_training(tmp_path)
    broken = Training("toy", 37, lost, training.settings, 7, tmp_path)
    with pytest.raises(Diverged, match="no longer a finite number"):
        train(make_fabric(FP32), make_model(), broken)
    assert not broken.checkpoint.exists()


def test_the_best_measured_weights_are_kept(tmp_path: Path) -> None:
    measured = iter([0.1, 0.9, 0.4, 0.9])
    seen = []

    def measure(model: nn.Module) -> float:
        seen.append(model.weight.detach().clone())
        return next(measured)

    training = make_training(tmp_path)
    chosen = Training("toy", 37, noisy_loss, training.settings, 7, tmp_path, choice=Choice(measure, 4))
    facts = train(make_fabric(FP32), make_model(), chosen)
    assert (facts["best_step"], facts["best_value"]) == (12, 0.9)
    assert torch.equal(read_tensors(chosen.best)[0]["weight"], seen[1])


def test_checkpoints_hold_the_whole_state(tmp_path: Path) -> None:
    model = make_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)
    noisy_loss(model, np.arange(4), torch.Generator().manual_seed(0)).backward()
    optimizer.step()
    save_checkpoints(tmp_path / "state.safetensors", {"": model}, {"": optimizer}, {"step": 1})
    other = make_model()
    again = torch.optim.AdamW(other.parameters(), lr=0.1, fused=True)
    assert load_checkpoints(tmp_path / "state.safetensors", {"": other}, {"": again}) == {"step": 1}
    assert torch.equal(model.weight, other.weight)
    for old, new in zip(optimizer.state.values(), again.state.values(), strict=True):
        assert all(torch.equal(old[name], new[name]) for name in old)


# At the first checkpoint, at a later one before and after it takes its name, and at lines of the journal.
KILLS = (
    ("replace", "toy.safetensors", 1, "before"),
    ("replace", "toy.safetensors", 1, "after"),
    ("replace", "toy.safetensors", 7, "before"),
    ("fsync", "", 3, "before"),
    ("replace", "toy.safetensors", 11, "after"),
    ("fsync", "", 2, "after"),
    ("replace", "journal.jsonl", 1, "before"),
    ("replace", "journal.jsonl", 1, "after"),
)
SCRIPT = """
import sys
from pathlib import Path
sys.path[:0] = {paths!r}
from forks import forked, import_what_training_does
from test_loop import FP32, Training, make_fabric, make_model, make_training, train

def fit(name):
    made = make_training(Path({folder!r}) / name, steps=60)
    often = Training("toy", made.count, made.batch_loss, made.settings, 7, made.folder, 1e-9)
    train(make_fabric(FP32), make_model(), often)

import_what_training_does()
assert forked(lambda: fit("whole")) == 0
for number, kill in enumerate({kills!r}):
    print(forked(lambda: fit("cut"), kill), forked(lambda: fit(f"cut {{number}}"), kill))
    assert forked(lambda: fit(f"cut {{number}}")) == 0
assert forked(lambda: fit("cut")) == 0
"""


def test_killed_at_any_moment_it_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    """Each kill on a training of its own; and all of them, one after the other, on the same training."""
    here = Path(__file__).parent
    script = SCRIPT.format(paths=[str(here), str(here.parent)], folder=str(tmp_path), kills=KILLS)
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first = read_tensors(tmp_path / "whole" / "checkpoints" / "toy.safetensors")[0]
    rewritten = [kill[1] == "journal.jsonl" for kill in KILLS]  # which only a training does that goes on
    assert [line.split() for line in done.stdout.splitlines()] == [["-9", "0" if late else "-9"] for late in rewritten]
    for name in ("cut", *(f"cut {number}" for number in range(len(KILLS)))):
        cut = read_tensors(tmp_path / name / "checkpoints" / "toy.safetensors")[0]
        assert first.keys() == cut.keys()
        assert all(torch.equal(first[key], cut[key]) for key in first), name
        lines = [json.loads(line) for line in (tmp_path / name / "journal.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines] == list(range(1, 61)), name


def test_going_on_in_another_precision_is_refused(tmp_path: Path) -> None:
    """And not of a training that is whole, which does not go on."""
    bf16 = DeviceSettings(accelerator="cpu", precision="bf16")
    train(make_fabric(bf16), make_model(), make_training(tmp_path))
    train(make_fabric(FP32), make_model(), make_training(tmp_path))
    with pytest.raises(UserError, match=r"begun with precision=bf16-mixed, .* go on with precision=32-true"):
        train(make_fabric(FP32), make_model(), make_training(tmp_path, steps=40))
    train(make_fabric(bf16), make_model(), make_training(tmp_path, steps=40))
