"""The learning rate: up in a line, down in half a cosine."""

import pytest

from anomae.training.schedule import lr_factor
from anomae.training.settings import TrainingSettings


def test_rises_to_one_and_falls_to_the_trivial_baseline() -> None:
    factors = [lr_factor(step, 100, 10, 0.1) for step in range(101)]
    assert factors[9] == factors[10] == 1.0
    assert factors[:10] == sorted(factors[:10])
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[100] == pytest.approx(0.1)
    assert factors[55] == pytest.approx(0.55)


def test_lengths_in_epochs_and_steps() -> None:
    by_epochs = TrainingSettings(epochs=3, batch=10, lr=1, warmup_epochs=1)
    assert (by_epochs.total_steps(100), by_epochs.warmup(100)) == (30, 10)
    by_steps = TrainingSettings(steps=5, lr=1, warmup_steps=50)
    assert (by_steps.total_steps(100), by_steps.warmup(100)) == (5, 2)
    with pytest.raises(ValueError, match="exactly one"):
        TrainingSettings(epochs=1, steps=1, lr=1)
    for betas in ((1.5, 0.9), (0.9, 1.0), (-0.1, 0.9)):
        with pytest.raises(ValueError, match="betas"):
            TrainingSettings(steps=1, lr=1, betas=betas)
    assert TrainingSettings(steps=1, lr=1, betas=(0.0, 0.0)).betas == (0.0, 0.0)
