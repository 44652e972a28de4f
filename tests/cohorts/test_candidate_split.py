"""The paper's split by candidate: its counts where there are enough, its proportions where there are not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomae.cohorts.candidate_split import PAPER_COUNTS, candidates_sentence, draw_candidates


def table(normal: int, nodules: int) -> tuple[np.ndarray, np.ndarray]:
    labels = np.zeros(normal + nodules, np.int8)
    labels[np.random.default_rng(0).permutation(len(labels))[:nodules]] = 1
    return np.arange(len(labels)) * 3, labels


def test_of_enough_candidates_it_is_the_papers_split() -> None:
    drawn = draw_candidates(*table(70_000, 1_351), 0)
    assert drawn.counts() == PAPER_COUNTS
    assert "seed 0" in candidates_sentence(drawn, 0)


@settings(max_examples=40)
@given(st.integers(3, 400), st.integers(2, 60), st.integers(0, 5))
def test_of_fewer_all_are_shared_out(normal: int, nodules: int, seed: int) -> None:
    rows, labels = table(normal, nodules)
    drawn = draw_candidates(rows, labels, seed)
    counts = drawn.counts()
    assert drawn.keys.tolist() == rows.tolist()
    assert min(counts.values()) >= 1
    assert counts["normal_training_samples"] == pytest.approx(normal * 50 / 63, abs=2)
    split, told = drawn.splits_of("", rows)
    assert (told == labels).all()
    assert not (labels[split == "train"] == 1).any()
    turned = draw_candidates(rows[::-1], labels[::-1], seed)
    assert np.array_equal(turned.lists, drawn.lists)


def test_another_seed_draws_others() -> None:
    one, other = (draw_candidates(*table(500, 20), seed) for seed in (0, 1))
    assert not np.array_equal(one.lists, other.lists)
