"""How fast torch and an exported model judge slices where it is exported, in turn: `--engine auto` goes by it."""

import time
from collections.abc import Mapping
from typing import Any

TURNS = 3
EXPORTED = "exported"


def speeds(torch_fitted: Mapping[str, Any], exported: Any, given: tuple[Any, ...]) -> dict[str, float]:
    """Slices per second by the clock, of all processors: the best of three turns each.

    torch_fitted: precision -> the detector in torch, which is called "torch fp32" and so on in what is given back; the
    exported one is "exported".  given: what `inspect` takes, images (n, c, h, w) first.
    """
    judges = {**{f"torch {precision}": each for precision, each in torch_fitted.items()}, EXPORTED: exported}
    seconds: dict[str, list[float]] = {name: [] for name in judges}
    for _ in range(TURNS):
        for name, judge in judges.items():
            began = time.perf_counter()
            judge.inspect(*given)
            seconds[name].append(time.perf_counter() - began)
    return {name: round(len(given[0]) / min(times), 2) for name, times in seconds.items()}


def gain_over_torch(measured: Mapping[str, float], precision: str) -> float:
    """How many times as fast the exported model was as torch in `precision`, or in fp32 where that was not measured.

    What was measured in one export is compared within it alone: a machine has more to do at one time than at another.
    """
    return measured[EXPORTED] / measured.get(f"torch {precision}", measured["torch fp32"])
