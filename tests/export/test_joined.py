"""Networks of a chain in fp32 as one: the same numbers, whatever kind of runner they are called by."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from anomae.export.joined import joined
from anomae.export.traceable import EXACT, Step, Traceable, TraceableNetwork, traced_in_turn
from anomae.inference.exported.runners import RUNNERS

IMAGES = np.random.default_rng(0).random((3, 1, 4, 4), dtype=np.float32)
SCALE = {"logarithm": False, "middle": 0.0, "spread": 1.0, "unit": 1.0}


class Twice(nn.Module):
    """x -> 2x, x + 1."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return 2 * x, x + 1


class Sum(nn.Module):
    """Two of a shape -> their sum."""

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        return one + other


class Highest(nn.Module):
    """(B, 1, h, w), (B,) -> the highest of each, and the first squared."""

    def forward(self, x: Tensor, beside: Tensor) -> tuple[Tensor, Tensor]:
        return x.amax(dim=(1, 2, 3)) + 0 * beside, x[:, 0].square()


def chain(computed: Mapping[str, Mapping[str, str]] = {}) -> Traceable:
    steps: list[Step] = [
        ("twice", Twice(), ["images"], ["double", "more"], computed.get("twice", {})),
        ("sum", Sum(), ["double", "more"], ["sum"], computed.get("sum", {})),
        ("again", Sum(), ["sum", "images"], ["all"], computed.get("again", {})),
        ("highest", Highest(), ["all", "factors"], ["score", "map"], computed.get("highest", {})),
    ]
    known = {"images": torch.rand(2, 1, 4, 4), "factors": torch.rand(2)}
    runner = {
        "kind": "chain",
        "chain": [[name, list(inputs)] for name, _, inputs, _, _ in steps],
        "outputs": {"score": "score", "map": "map", "score_more": "more"},
    }
    return Traceable(traced_in_turn(steps, known), runner, batch=2)


def run(traced: Traceable, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    def opened(network: TraceableNetwork) -> Any:
        def call(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            assert list(inputs) == list(network.inputs)
            given = network.module(*(torch.from_numpy(array) for array in inputs.values()))
            arrays = given if isinstance(given, tuple) else (given,)
            return {name: array.numpy() for name, array in zip(network.outputs, arrays, strict=True)}

        return call

    def before(networks: Any, runner: Any, images: np.ndarray) -> dict[str, np.ndarray]:
        return {"images": images, "factors": images[:, 0, 0, 0]}

    monkeypatch.setattr("anomae.inference.exported.runners.before_the_chain", before)
    networks = {name: opened(network) for name, network in traced.networks.items()}
    return RUNNERS[traced.runner["kind"]](networks, traced.runner, IMAGES)


def in_fp32(network: TraceableNetwork) -> bool:
    return network.computed_in.get("int8", "int8") == "fp32"


@pytest.mark.parametrize(
    ("exact", "networks"),
    [
        (["twice", "sum", "again", "highest"], ["twice_highest"]),
        (["twice", "sum", "highest"], ["again", "highest", "twice_sum"]),
        (["twice", "again", "highest"], ["again_highest", "sum", "twice"]),
        (["sum"], ["again", "highest", "sum", "twice"]),
        ([], ["again", "highest", "sum", "twice"]),
    ],
)
def test_what_follows_in_fp32_is_one_network(
    exact: list[str], networks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    apart = chain(dict.fromkeys(exact, EXACT))
    together = joined(apart, in_fp32)
    assert sorted(together.networks) == networks
    assert {name for name, _ in together.runner["chain"]} == set(networks)
    wanted, found = run(apart, monkeypatch), run(together, monkeypatch)
    assert wanted.keys() == found.keys() == {"score", "map", "score_more"}
    assert all(np.array_equal(wanted[name], found[name]) for name in wanted)
    assert sorted(apart.networks) == ["again", "highest", "sum", "twice"]  # as it was


def test_one_network_gives_what_others_need_and_no_more() -> None:
    together = joined(chain(dict.fromkeys(["twice", "sum"], EXACT)), in_fp32)
    assert together.networks["twice_sum"].outputs == ("more", "sum")  # the doubled one is needed inside alone
    assert list(together.networks["twice_sum"].inputs) == ["images"]


def test_inside_of_other_runners_too(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = chain(dict.fromkeys(["twice", "sum"], EXACT)), chain(dict.fromkeys(["again", "highest"], EXACT))
    members = {
        name: {
            "runner": dict(member.runner),
            "networks": {own: f"{name}.{own}" for own in member.networks},
            "scale": SCALE,
            "needs_neighbours": False,
        }
        for name, member in (("one", one), ("two", two))
    }
    networks = {f"one.{own}": network for own, network in one.networks.items()}
    networks |= {f"two.{own}": network for own, network in two.networks.items()}
    both = Traceable(networks, {"kind": "ensemble", "members": members}, batch=2)
    together = joined(both, in_fp32)
    assert sorted(together.networks) == [
        "one.again",
        "one.highest",
        "one.twice_sum",
        "two.again_highest",
        "two.sum",
        "two.twice",
    ]
    measured = Traceable(one.networks, {"kind": "measured", "runner": dict(one.runner), "measure": None}, batch=2)
    inside = joined(measured, in_fp32)
    assert sorted(inside.networks) == ["again", "highest", "twice_sum"]
    assert inside.runner["runner"]["chain"][0] == ["twice_sum", ["images"]]
    masked = Traceable(one.networks, {"kind": "masked", "score": "mse"}, batch=2)
    assert joined(masked, in_fp32) == masked
    wanted, found = run(both, monkeypatch), run(together, monkeypatch)
    assert all(np.array_equal(wanted[name], found[name]) for name in wanted)
