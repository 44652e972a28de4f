"""Trainings side by side: the same weights as in turn; one that fails stops the others, and all of them go on."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from anomae.files import read_json_lines
from anomae.progress import Progress, progress, reporting
from anomae.training.devices import make_fabric
from anomae.training.loop import train
from anomae.training.side_by_side import beside_one_another, side_by_side

from .test_loop import FP32, Stopped, make_training, noisy_loss

CPU = torch.device("cpu")
NAMES = ("a", "b", "c", "d", "e")
STEPS = 24


pytestmark = pytest.mark.usefixtures("two_processors")


class Told:
    """Who is told of bars, by title, and of sentences."""

    def __init__(self) -> None:
        self.bars: dict[str, tuple[int, int]] = {}

    @contextmanager
    def progress(self, title: str, total: int, unit: str, start: int) -> Iterator[Progress]:
        self.bars[title] = (start, total)
        told = self

        class Bar:
            def advance(self, steps: int = 1, note: str = "") -> None:
                done, of = told.bars[title]
                told.bars[title] = (done + steps, of)

        yield Bar()

    def say(self, sentence: str) -> None: ...


def models() -> dict[str, nn.Module]:
    made = {}
    for number, name in enumerate(NAMES):
        made[name] = nn.Sequential(nn.Linear(5, 64), nn.Tanh(), nn.Linear(64, 5))
        generator = torch.Generator().manual_seed(number)
        with torch.no_grad():
            for parameter in made[name].parameters():
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return made


def trainings(
    networks: dict[str, nn.Module], folder: Path, loss: Callable[..., Tensor] = noisy_loss
) -> list[Callable[[], None]]:
    """One of each network, in one folder; loss: of the network named "c"."""

    def one(name: str) -> None:
        described = replace(make_training(folder, steps=STEPS), stage=name, checkpoint_minutes=1e-9)
        if name == "c":
            described = replace(described, batch_loss=loss)
        train(make_fabric(FP32), networks[name], described)

    return [partial(one, name) for name in networks]


def weights(networks: dict[str, nn.Module]) -> dict[str, Tensor]:
    return {
        name: torch.cat([value.flatten() for value in made.state_dict().values()]) for name, made in networks.items()
    }


def in_turn(folder: Path) -> dict[str, Tensor]:
    """On one thread, as each has side by side on two processors: on two, sums may be parted otherwise."""
    networks = models()
    torch.set_num_threads(1)
    for training in trainings(networks, folder):
        training()
    torch.set_num_threads(2)
    return weights(networks)


def the_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in NAMES)


def test_they_come_to_the_same_as_in_turn_on_one_bar_and_lose_no_line(tmp_path: Path) -> None:
    networks, told = models(), Told()
    with reporting(told):
        side_by_side("networks", trainings(networks, tmp_path / "beside"), STEPS, CPU)
    assert the_same(weights(networks), in_turn(tmp_path / "turn"))
    assert told.bars == {"networks": (STEPS * len(NAMES), STEPS * len(NAMES))}
    lines = read_json_lines(tmp_path / "beside" / "journal.jsonl")
    for name in NAMES:
        assert [line["step"] for line in lines if line["stage"] == name] == list(range(1, STEPS + 1))


def test_one_that_fails_stops_the_others_and_all_go_on_to_the_same(tmp_path: Path) -> None:
    expected = in_turn(tmp_path / "turn")
    first, seen = threading.Event(), 0

    def failing(model: nn.Module, indices: np.ndarray, generator: torch.Generator) -> Tensor:
        nonlocal seen
        seen += 1
        if seen == 3:
            first.set()
            raise Stopped
        return noisy_loss(model, indices, generator)

    with pytest.raises(Stopped):
        side_by_side("networks", trainings(models(), tmp_path / "cut", failing), STEPS, CPU)
    assert first.is_set()
    ended = [line["step"] for line in read_json_lines(tmp_path / "cut" / "journal.jsonl")].count(STEPS)
    assert ended == 0
    networks, told = models(), Told()
    with reporting(told):
        side_by_side("networks", trainings(networks, tmp_path / "cut"), STEPS, CPU)
    assert the_same(weights(networks), expected)
    assert told.bars == {"networks": (STEPS * len(NAMES), STEPS * len(NAMES))}


INTERRUPTED = """
import os, signal, threading, time
import torch
from anomae.progress import progress
from anomae.training.side_by_side import beside_one_another, side_by_side

torch.set_num_threads(2)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background processes ignore it
begun = threading.Barrier(2, timeout=60)

def endless():
    begun.wait()
    with progress("endless", 100_000) as bar:
        for _ in range(100_000):
            time.sleep(0.01)
            bar.advance()

def interrupted(after):
    begun.wait()
    time.sleep(after)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(3)  # longer than it takes the one who waits for the trainings to hear of it

cpu = torch.device("cpu")
for after in (1, 0):  # while they are waited for, and while they begin
    for begin in (
        lambda: side_by_side("trainings", [endless, lambda: interrupted(after)], 1, cpu),
        lambda: beside_one_another([endless, lambda: interrupted(after)], cpu),
    ):
        try:
            begin()
        except KeyboardInterrupt:
            left = [thread for thread in threading.enumerate() if thread.name.startswith("trained")]
            for thread in left:
                thread.join(60)
            print("stopped", [thread.name for thread in left if after or thread.is_alive()])
"""


def test_the_user_can_stop_them() -> None:
    """In a process of its own: the one that runs the tests would end with an interrupt that comes too late."""
    ended = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=300)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == ["stopped []"] * 4


def test_on_one_processor_they_are_done_in_turn_in_the_same_thread(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    threads = set[str]()
    side_by_side("networks", [lambda: threads.add(threading.current_thread().name)] * 3, 1, CPU)
    assert threads == {threading.current_thread().name}
    torch.set_num_threads(2)
    side_by_side("networks", [lambda: threads.add(threading.current_thread().name)] * 3, 1, torch.device("meta"))
    assert threads == {threading.current_thread().name}


def test_works_beside_one_another_keep_all_processors_and_bars_of_their_own(tmp_path: Path) -> None:
    met, told = threading.Barrier(3, timeout=60), Told()

    def one(name: str) -> tuple[str, int]:
        with progress(name, 4) as bar:
            for _ in range(4):
                met.wait()  # which only those that are under way at once come past
                bar.advance()
        return name, torch.get_num_threads()

    with reporting(told):
        assert beside_one_another([partial(one, name) for name in "abc"], CPU) == [(name, 2) for name in "abc"]
    assert told.bars == dict.fromkeys("abc", (4, 4))


def test_a_work_that_fails_stops_those_beside_it_and_their_own_threads() -> None:
    begun = threading.Barrier(3, timeout=60)

    def endless() -> None:
        begun.wait()
        with progress("endless", 100_000) as bar:
            for _ in range(100_000):
                time.sleep(0.01)
                bar.advance()

    def failing() -> None:
        begun.wait()
        raise Stopped

    with pytest.raises(Stopped):  # and not that which ends the threads within
        beside_one_another([lambda: side_by_side("within", [endless, endless], 1, CPU), failing], CPU)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("trained")]


def test_on_one_processor_works_are_done_in_turn() -> None:
    torch.set_num_threads(1)
    names = beside_one_another([lambda: threading.current_thread().name] * 2, CPU)
    torch.set_num_threads(2)
    assert names == [threading.current_thread().name] * 2
    assert beside_one_another([lambda: threading.current_thread().name] * 2, torch.device("meta")) == names
