"""Pure noise and few abnormal patients: each interval in a report counts the patients of its own class."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from anomae.reports.operating_point import operating_point
from anomae.statistics.intervals import PatientBootstrap
from anomae.statistics.operating_point import Calibration

from .test_assessment import assessed, made_up

OF_NORMALS = ("specificity", "false_positive_rate")


def noise(abnormal: int, seed: int) -> tuple[Any, np.ndarray]:
    """Fifty patients, the first of them with some abnormal slices; a score of the patient's own and noise."""
    rng = np.random.default_rng(seed)
    slices = made_up(50, seed)
    who = np.unique(slices.patient, return_inverse=True)[1]
    label = ((who < abnormal) & (rng.random(len(who)) < 0.5)).astype(np.int8)
    return replace(slices, label=label), rng.normal(size=50)[who] + rng.normal(size=len(who))


def intervals(section: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Path and figure of every value with low and high."""
    if isinstance(section, dict):
        if {"value", "low", "high"} <= set(section):
            yield path, section
        for name, part in section.items():
            yield from intervals(part, f"{path}/{name}")
    if isinstance(section, list):
        for part in section:
            yield from intervals(part, path)


def whole(abnormal: int, seed: int) -> dict[str, Any]:
    """The sections of a report that scores and labels give, with its operating point."""
    slices, score = noise(abnormal, seed)
    rng = np.random.default_rng(99)
    held_out = Calibration(1.4 * rng.normal(size=400), np.repeat(np.arange(40), 10).astype(np.str_), "40 patients")
    point = operating_point(slices, score, held_out, "", PatientBootstrap(slices.patient, 100))
    return {**assessed(slices, score), "operating_point": point.model_dump()}


def test_three_abnormal_patients_give_no_interval_and_no_verdict() -> None:
    found = whole(3, 0)
    figures = list(intervals(found))
    assert len(figures) > 100
    printed = {path for path, figure in figures if figure["low"] is not None or figure["high"] is not None}
    assert printed
    assert all(path.split("/")[-1] in OF_NORMALS for path in printed), printed
    assert "too few patients with abnormal slices (3): no interval" in found["verdict"]
    assert not any(words in found["verdict"] for words in ("chance", "more than", "better", "zero"))
    assert found["tone"] == "level"
    assert found["notes"][0].startswith("Too few patients with abnormal slices (3)")


@pytest.mark.parametrize("abnormal", [5, 12])
def test_intervals_of_noise_hold_chance(abnormal: int) -> None:
    held: dict[str, list[bool]] = {}
    for seed in range(8):
        found = whole(abnormal, seed)
        for section in ("slice", "strata", "matched", "scores", "patient"):
            for path, figure in intervals(found[section], section):
                if (section == "patient" and path.count("/") > 1) or "gain" in path or "trivial" in path:
                    continue
                auroc = path.split("/")[-1] in ("auroc", "score", "score_mae", "max", "mean_of_top_3")
                if auroc and figure["low"] is not None:
                    held.setdefault(section, []).append(figure["low"] <= 0.5 <= figure["high"])
    assert set(held) == {"slice", "strata", "matched", "scores", "patient"}
    together = [one for parts in held.values() for one in parts]
    assert len(together) > 60
    assert np.mean(together) >= 0.92
