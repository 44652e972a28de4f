"""Networks of a chain that follow one another in fp32, as one: nothing is copied, nor laid out anew, in between."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from torch import Tensor, nn

from anomae.export.traceable import Traceable, TraceableNetwork

Networks = dict[str, TraceableNetwork]


def joined(traced: Traceable, in_fp32: Callable[[TraceableNetwork], bool]) -> Traceable:
    """The same with fewer networks, which give the same numbers; those that are not in fp32 stay by themselves."""
    called = {name: name for name in traced.networks}
    runner, networks = _joined(traced.runner, called, traced.networks, in_fp32)
    return replace(traced, runner=runner, networks=networks)


def _joined(
    runner: Mapping[str, Any],
    called: Mapping[str, str],
    networks: Mapping[str, TraceableNetwork],
    in_fp32: Callable[[TraceableNetwork], bool],
) -> tuple[dict[str, Any], Networks]:
    """A runner, and its networks as they are called in the folder; called: name to the runner -> in the folder."""
    if runner["kind"] == "measured":
        inside, kept = _joined(runner["runner"], called, networks, in_fp32)
        return {**runner, "runner": inside}, kept
    if runner["kind"] == "ensemble":
        members, kept = {}, {}
        for name, member in runner["members"].items():
            inside, own = _joined(member["runner"], member["networks"], networks, in_fp32)
            to_it = {here.removeprefix(f"{name}."): here for here in own}
            members[name] = {**member, "runner": inside, "networks": to_it}
            kept |= own
        return {**runner, "members": members}, kept
    kept = {here: networks[here] for here in called.values()}
    if runner["kind"] != "chain":
        return dict(runner), kept
    chain: list[list[Any]] = []
    for alike, group in groupby(runner["chain"], lambda step: in_fp32(networks[called[step[0]]])):
        steps = list(group)
        names = [name for name, _ in steps]
        if not alike or len(steps) == 1:
            chain += steps
            continue
        one = _one([kept.pop(called[name]) for name in names], _used_beside(runner, names))
        kept[f"{called[names[0]]}_{names[-1]}"] = one
        chain.append([f"{names[0]}_{names[-1]}", list(one.inputs)])
    return {**runner, "chain": chain}, kept


def _used_beside(runner: Mapping[str, Any], names: Sequence[str]) -> set[str]:
    """Arrays of a chain that others than the networks `names` are given, or the runner itself."""
    used = {entry for name, inputs in runner["chain"] if name not in names for entry in inputs}
    return used | {*runner["outputs"].values(), *runner.get("errors", ())[:2]}


def _one(parts: Sequence[TraceableNetwork], used: set[str]) -> TraceableNetwork:
    """Networks in a row as one, which makes what is `used` of what they make."""
    made = {output for part in parts for output in part.outputs}
    examples = {entry: example for part in parts for entry, example in part.inputs.items() if entry not in made}
    outputs = tuple(output for part in parts for output in part.outputs if output in used)
    module = _InTurn([(part.module, tuple(part.inputs), part.outputs) for part in parts], tuple(examples), outputs)
    return replace(parts[0], module=module, inputs=examples, outputs=outputs)


class _InTurn(nn.Module):
    """Modules one after another, each given by name what was given or made before it."""

    def __init__(
        self,
        parts: Sequence[tuple[nn.Module, tuple[str, ...], tuple[str, ...]]],
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
    ) -> None:
        """parts: each with the names of its inputs and outputs.  inputs, outputs: of all of them together."""
        super().__init__()
        self.parts = nn.ModuleList(part for part, _, _ in parts)
        self.names = [(given, made) for _, given, made in parts]
        self.inputs, self.outputs = inputs, outputs

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """The values of `inputs`, in order -> those of `outputs`."""
        known = dict(zip(self.inputs, given, strict=True))
        for part, (inputs, outputs) in zip(self.parts, self.names, strict=True):
            made = part(*(known[entry] for entry in inputs))
            known |= dict(zip(outputs, made if isinstance(made, tuple) else (made,), strict=True))
        return tuple(known[output] for output in self.outputs)
