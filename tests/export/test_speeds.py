"""Speeds: of all who judge, the best of their turns; and which is the faster."""

import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from anomae.export.speeds import TURNS, gain_over_torch, speeds


def test_the_best_of_the_turns_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    def judge(*takes: float) -> Any:
        left = iter(takes)

        def inspect(images: Any, neighbours: Any) -> None:
            assert len(images) == len(neighbours) == 8
            clock[0] += next(left)

        return SimpleNamespace(inspect=inspect)

    given = np.zeros((8, 1, 4, 4)), np.zeros((8, 2, 1, 4, 4))
    found = speeds({"fp32": judge(4.0, 2.0, 8.0), "bf16": judge(1.0, 9.0, 9.0)}, judge(5.0, 3.0, 0.5), given)
    assert TURNS == 3
    assert found == {"torch fp32": 4.0, "torch bf16": 8.0, "exported": 16.0}


def test_it_is_compared_with_the_precision_that_torch_would_use() -> None:
    measured = {"torch fp32": 4.0, "torch bf16": 8.0, "exported": 6.0}
    assert gain_over_torch(measured, "fp32") == 1.5
    assert gain_over_torch(measured, "bf16") == 0.75
    del measured["torch bf16"]
    assert gain_over_torch(measured, "bf16") == 1.5
