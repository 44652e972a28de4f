"""Random views: seeded, in range, the untouched ones as sharp as before."""

import torch

from anomae.models.augmentation import random_views


def images(count: int = 60) -> torch.Tensor:
    return torch.rand(count, 32, 40, generator=torch.Generator().manual_seed(0)) * 0.8


def test_views_are_seeded_and_in_range() -> None:
    one, same, other = (random_views(images(), torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert one.shape == images().shape
    assert one.min() >= 0
    assert one.max() <= 1


def test_untouched_views_are_mirrored_at_most() -> None:
    """Brightness and contrast change by monotone curves: the order of the pixels stays."""
    made, seen = random_views(images(), torch.Generator().manual_seed(0), untouched=1.0), images()
    mirrored = 0
    for view, image in zip(made, seen, strict=True):
        straight = torch.equal(view.flatten().argsort(stable=True)[:50], image.flatten().argsort(stable=True)[:50])
        turned = torch.equal(
            view.flatten().argsort(stable=True)[:50], image.flip(-1).flatten().argsort(stable=True)[:50]
        )
        assert straight or turned
        mirrored += turned
    assert 0 < mirrored < len(seen)


def test_an_empty_image_stays_empty() -> None:
    assert not random_views(torch.zeros(10, 16, 16), torch.Generator().manual_seed(0)).any()


def test_slices_above_one_another_are_moved_alike_and_have_noise_of_their_own() -> None:
    stacks = images()[:, None].expand(-1, 3, -1, -1)
    views = random_views(stacks, torch.Generator().manual_seed(0))
    assert views.shape == stacks.shape
    apart = (views[:, 1:] - views[:, :1]).abs()
    assert 0 < float(apart.mean()) < 0.02
    assert float(apart.amax()) < 0.2  # images of noise that had moved otherwise would differ by 0.8
    still = random_views(stacks, torch.Generator().manual_seed(0), untouched=1.0)
    assert torch.equal(still[:, 1:], still[:, :1].expand(-1, 2, -1, -1))


def test_one_slice_is_a_stack_of_one() -> None:
    alone, stack = (random_views(given, torch.Generator().manual_seed(3)) for given in (images(), images()[:, None]))
    assert torch.equal(alone, stack[:, 0])


def test_channels_and_slices_of_one_image_are_moved_alike() -> None:
    plain, stacks = images(), images()[:, None, None].expand(-1, 3, 2, -1, -1)
    views = random_views(stacks, torch.Generator().manual_seed(0))
    assert views.shape == stacks.shape
    assert float((views - views[:, :1, :1]).abs().mean()) < 0.02
    still = random_views(stacks, torch.Generator().manual_seed(0), untouched=1.0)
    alone = random_views(plain, torch.Generator().manual_seed(0), untouched=1.0)
    assert torch.equal(still, still[:, :1, :1].expand_as(still))
    assert torch.allclose(still[:, 0, 0].mean((1, 2)), alone.mean((1, 2)), atol=0.2)
