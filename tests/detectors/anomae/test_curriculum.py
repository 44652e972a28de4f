"""The curriculum: first the strongest lesions, then all; healthy samples and later steps as they are."""

import numpy as np
import pytest
import torch

from anomae.detectors.anomae.curriculum import FIRST, Curriculum
from anomae.detectors.anomae.samples import HEALTHY, make_samples
from anomae.detectors.anomae.settings import LesionSettings

RNG = np.random.default_rng(0)
ABNORMAL = RNG.random(400) < 0.6
STRENGTH = np.where(ABNORMAL, RNG.random(400), 0).astype(np.float32)
ALL = np.arange(400)


@pytest.fixture
def curriculum() -> Curriculum:
    return Curriculum(STRENGTH, ABNORMAL, 100)


@pytest.mark.parametrize("step", [0, 1, 37, 99])
def test_lesions_give_way_to_lesions_at_least_as_strong_and_healthy_stay(curriculum: Curriculum, step: int) -> None:
    given = curriculum.exchanged(ALL, step)
    assert np.array_equal(given[~ABNORMAL], ALL[~ABNORMAL])
    assert ABNORMAL[given[ABNORMAL]].all()
    assert (STRENGTH[given] >= STRENGTH).all()
    assert np.array_equal(given[::-1], curriculum.exchanged(ALL[::-1], step))  # each by itself


def test_the_first_step_draws_from_the_strongest_quarter_and_later_ones_from_more(curriculum: Curriculum) -> None:
    distinct = [len(np.unique(curriculum.exchanged(ALL, step)[ABNORMAL])) for step in range(0, 101, 10)]
    assert distinct[0] == pytest.approx(FIRST * ABNORMAL.sum(), abs=1)
    assert distinct == sorted(distinct)
    assert distinct[-1] == ABNORMAL.sum()
    weakest = np.sort(STRENGTH[ABNORMAL])[::-1][: distinct[0]].min()
    assert STRENGTH[curriculum.exchanged(ALL, 0)[ABNORMAL]].min() >= weakest


@pytest.mark.parametrize("step", [100, 5000])
def test_afterwards_every_sample_is_itself(curriculum: Curriculum, step: int) -> None:
    assert np.array_equal(curriculum.exchanged(ALL, step), ALL)


def test_nothing_abnormal_is_no_trouble() -> None:
    assert np.array_equal(Curriculum(STRENGTH, ABNORMAL & False, 10).exchanged(ALL, 0), ALL)


@pytest.mark.parametrize("kind", ["area", "centre"])
def test_samples_know_how_strong_they_are(kind: str) -> None:
    images = torch.full((64, 1, 32, 32), 0.4)
    samples = make_samples(images, LesionSettings(kind=kind), torch.Generator().manual_seed(0))
    healthy = samples.family == HEALTHY
    assert (samples.strength[healthy] == 0).all()
    changed = samples.changed.flatten(1).any(1)
    assert (samples.strength[changed] > 0).all()
    largest = samples.changed.flatten(1).float().mean(1)
    assert (samples.strength[changed] > 0.03 * largest[changed]).all()
