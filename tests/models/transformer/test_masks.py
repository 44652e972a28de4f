"""Masks: distinct, uniform, repeatable; covering ones show every patch equally often."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anomae.models.transformer.masked_autoencoder import random_visible, training_visible, visible_count


@pytest.mark.parametrize(
    ("patches", "ratio", "count"),
    [(196, 0.75, 49), (196, 0.85, 29), (16, 0.75, 4), (64, 0.0, 64), (64, 1.0, 1), (64, 0.99, 1), (10, 0.5, 5)],
)
def test_visible_count(patches: int, ratio: float, count: int) -> None:
    assert visible_count(patches, ratio) == count


@given(patches=st.integers(1, 400), ratio=st.floats(0, 1))
def test_something_is_always_visible(patches: int, ratio: float) -> None:
    assert 1 <= visible_count(patches, ratio) <= patches


@given(
    seeds=st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=4),
    patches=st.integers(1, 40),
    passes=st.integers(1, 5),
    covering=st.booleans(),
    part=st.floats(0, 1),
)
def test_each_pass_shows_k_distinct_patches(
    seeds: list[int], patches: int, passes: int, covering: bool, part: float
) -> None:
    count = visible_count(patches, part)
    visible = random_visible(seeds, patches, count, passes, covering)
    assert visible.shape == (len(seeds), passes, count)
    assert visible.dtype == torch.int64
    for one in visible.reshape(-1, count).tolist():
        assert len(set(one)) == count
        assert min(one) >= 0
        assert max(one) < patches


@given(seed=st.integers(0, 2**63 - 1), grid=st.integers(1, 12))
def test_four_covering_passes_at_three_quarters_show_each_patch_once(seed: int, grid: int) -> None:
    patches = 4 * grid
    visible = random_visible([seed], patches, visible_count(patches, 0.75), 4, covering=True)
    assert sorted(visible.flatten().tolist()) == list(range(patches))


@given(seed=st.integers(0, 99), patches=st.integers(2, 40), passes=st.integers(1, 9), count=st.integers(1, 40))
def test_covering_passes_show_patches_equally_often(seed: int, patches: int, passes: int, count: int) -> None:
    visible = random_visible([seed], patches, min(count, patches), passes, covering=True)
    shown = np.bincount(visible.flatten().numpy(), minlength=patches)
    assert shown.max() - shown.min() <= (0 if passes * min(count, patches) % patches == 0 else 1)


@pytest.mark.parametrize("covering", [False, True])
def test_an_images_masks_depend_on_its_own_seed_alone(covering: bool) -> None:
    alone = random_visible([7], 48, 12, 4, covering)
    among = random_visible([3, 9, 7, 7], 48, 12, 4, covering)
    assert torch.equal(among[2:3], alone)
    assert torch.equal(among[3], among[2])
    assert not torch.equal(among[0], among[2])


def test_independent_passes_differ() -> None:
    visible = random_visible([5], 48, 12, 4)[0].sort(dim=1).values
    assert len({tuple(one) for one in visible.tolist()}) == 4


@pytest.mark.parametrize("covering", [False, True])
def test_every_patch_is_as_likely_in_every_pass(covering: bool) -> None:
    images = 4000
    visible = random_visible(range(images), 16, 4, 2, covering)
    expected, deviation = images / 4, (images * 0.25 * 0.75) ** 0.5
    for turn in range(2):
        shown = np.bincount(visible[:, turn].flatten().numpy(), minlength=16)
        assert np.abs(shown - expected).max() < 4.5 * deviation


def test_independent_passes_are_independent() -> None:
    # a patch is hidden in all four passes with 0.75^4 (32 %), the paper's way; never where the passes cover
    visible = random_visible(range(2000), 16, 4, 4)
    shown = torch.zeros(2000, 16).scatter_(1, visible.flatten(1), 1.0)
    assert float((shown == 0).float().mean()) == pytest.approx(0.75**4, abs=0.01)


def test_training_masks_are_distinct_uniform_and_repeatable() -> None:
    visible = training_visible(4000, 16, 4, torch.Generator().manual_seed(3))
    assert visible.shape == (4000, 4)
    assert (visible.sort(dim=1).values.diff(dim=1) > 0).all()
    shown = torch.bincount(visible.flatten(), minlength=16)
    assert (shown - 1000).abs().max() < 4.5 * (4000 * 0.25 * 0.75) ** 0.5
    assert torch.equal(visible, training_visible(4000, 16, 4, torch.Generator().manual_seed(3)))
    assert not torch.equal(visible, training_visible(4000, 16, 4, torch.Generator().manual_seed(4)))


def test_nothing_is_drawn_from_the_global_generators() -> None:
    torch.manual_seed(0)
    first = torch.rand(1)
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    random_visible([1, 2], 16, 4, 4)
    training_visible(3, 16, 4, torch.Generator().manual_seed(0))
    assert torch.equal(torch.rand(1), first)
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002
