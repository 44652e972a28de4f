"""The order of samples: shuffled epochs as one stream, known from the step alone."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from anomae.training.order import SampleOrder


@given(count=st.integers(1, 40), batch=st.integers(1, 60), seed=st.integers(0, 5))
def test_every_epoch_holds_every_sample_once(count: int, batch: int, seed: int) -> None:
    order = SampleOrder(count, batch, seed, "stage")
    stream = np.concatenate([order.step(step) for step in range(2 * count // batch + 2)])
    for epoch in (0, 1):
        assert sorted(stream[epoch * count : (epoch + 1) * count]) == list(range(count))


def test_a_step_depends_on_nothing_before_it() -> None:
    walked, fresh = SampleOrder(17, 8, 3, "stage"), SampleOrder(17, 8, 3, "stage")
    steps = [walked.step(step) for step in range(30)]
    assert np.array_equal(fresh.step(23), steps[23])


def test_seed_and_name_change_the_order() -> None:
    first = SampleOrder(50, 50, 0, "autoencoder").step(0)
    assert not np.array_equal(first, SampleOrder(50, 50, 1, "autoencoder").step(0))
    assert not np.array_equal(first, SampleOrder(50, 50, 0, "classifier").step(0))
    assert not np.array_equal(first, SampleOrder(50, 50, 0, "autoencoder").step(1))
