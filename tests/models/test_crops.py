"""Crops, mirrors and erasures: identities, ranges, bounds."""

import pytest
import torch

from anomae.models.crops import draw_crops, erase_random, random_resized_crops, resize_crops, roll_random


def test_the_whole_image_is_the_identity(rng: torch.Generator) -> None:
    images = torch.randn(4, 3, 12, 20, generator=rng)
    found = random_resized_crops(images, generator=rng, scale=(1.0, 1.0))
    torch.testing.assert_close(found, images, rtol=0, atol=1e-4)


def test_flip_mirrors_about_half_of_the_images_left_to_right(rng: torch.Generator) -> None:
    images = torch.randn(400, 2, 6, 8, generator=rng)
    found = random_resized_crops(images, generator=rng, scale=(1.0, 1.0), flip=True)
    same = torch.isclose(found, images, atol=1e-4).all(dim=(1, 2, 3))
    mirrored = torch.isclose(found, images.flip(3), atol=1e-4).all(dim=(1, 2, 3))
    assert torch.equal(same, ~mirrored)
    assert 150 < int(mirrored.sum()) < 250


def test_values_stay_within_each_channels_range(rng: torch.Generator) -> None:
    images = torch.randn(50, 2, 9, 13, generator=rng) * torch.rand(50, 2, 1, 1, generator=rng)
    found = random_resized_crops(images, generator=rng, scale=(0.2, 1.0), flip=True)
    assert (found.amin((2, 3)) >= images.amin((2, 3)) - 1e-5).all()
    assert (found.amax((2, 3)) <= images.amax((2, 3)) + 1e-5).all()


def test_a_flat_image_stays_flat(rng: torch.Generator) -> None:
    images = torch.full((8, 1, 10, 10), 3.5)
    torch.testing.assert_close(random_resized_crops(images, generator=rng, scale=(0.1, 0.5), flip=True), images)


def test_rectangles_lie_in_the_image_and_have_the_area_asked_for(rng: torch.Generator) -> None:
    sizes, centres = draw_crops(4000, rng, (0.3, 0.5), (3 / 4, 4 / 3), flip=True)
    assert (centres.abs() + sizes.abs() <= 1 + 1e-6).all()
    area, aspect = sizes.abs().prod(1), sizes[:, 0].abs() / sizes[:, 1]
    assert float(area.min()) == pytest.approx(0.3, abs=0.005)
    assert float(area.max()) == pytest.approx(0.5, abs=0.005)
    assert float(aspect.min()) == pytest.approx(3 / 4, abs=0.005)
    assert float(aspect.max()) == pytest.approx(4 / 3, abs=0.005)
    assert abs(float(aspect.log().mean())) < 0.02
    # a rectangle touches the left border as easily as the right
    assert abs(float(centres.mean())) < 0.02


def test_an_elongated_rectangle_is_cut_to_the_image(rng: torch.Generator) -> None:
    sizes, centres = draw_crops(1000, rng, (0.9, 1.0), (1 / 4, 4.0), flip=False)
    assert float(sizes.max()) == 1
    assert (centres.abs() + sizes <= 1 + 1e-6).all()


def test_a_crop_shows_its_part_of_the_image() -> None:
    ramp = torch.linspace(-1, 1, 64).expand(1, 1, 64, 64).contiguous()
    # the left half, all rows
    found = resize_crops(ramp, torch.tensor([[0.5, 1.0]]), torch.tensor([[-0.5, 0.0]]))
    # The filter reaches two pixels: the first three columns see the border, where pixels beyond are the border's.
    inner = found[0, 0, :, 3:]
    assert float(found.min()) >= -1
    assert float(found.max()) <= 0.02
    torch.testing.assert_close(inner.diff(dim=1), torch.full((64, 60), 1 / 63), rtol=0.01, atol=1e-5)


def test_all_channels_of_an_image_are_cropped_alike(rng: torch.Generator) -> None:
    images = torch.randn(20, 1, 9, 13, generator=rng)
    both = torch.cat([images, 2 * images + 1], dim=1)
    one, two = random_resized_crops(both, generator=rng, scale=(0.2, 1.0), flip=True).unbind(dim=1)
    torch.testing.assert_close(two, 2 * one + 1)


@pytest.mark.parametrize("probability", [0.0, 0.25, 1.0])
def test_erasures_are_rectangles_of_bounded_area(probability: float, rng: torch.Generator) -> None:
    images = torch.full((800, 40, 30), 7.0)
    found = erase_random(images, probability, generator=rng, area=(0.1, 0.2), ratio=(0.5, 2.0))
    erased = found != 7
    area = erased.sum((1, 2)) / (40 * 30)
    happened = area > 0
    assert float(happened.float().mean()) == pytest.approx(probability, abs=0.06)
    if probability == 0:
        return
    # sides are whole pixels
    assert float(area[happened].min()) >= 0.1 * 0.92
    assert float(area[happened].max()) <= 0.2 * 1.08
    rows, columns = erased.any(2).sum(1), erased.any(1).sum(1)
    assert torch.equal(rows * columns, erased.sum((1, 2)))
    noise = found[erased]
    assert float(noise.mean()) == pytest.approx(0, abs=0.05)
    assert float(noise.std()) == pytest.approx(1, abs=0.05)


def test_the_same_seed_gives_the_same(rng: torch.Generator) -> None:
    images = torch.randn(4, 1, 10, 10, generator=rng)

    def change(seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        crops = random_resized_crops(images, generator=generator, flip=True)
        return erase_random(crops[:, 0], 0.5, generator=generator)

    assert torch.equal(change(1), change(1))
    assert not torch.equal(change(1), change(2))


def test_a_shift_moves_each_image_around_as_a_whole(rng: torch.Generator) -> None:
    images = torch.arange(12.0).view(1, 1, 3, 4).expand(300, 2, -1, -1) + 100 * torch.arange(600.0).view(300, 2, 1, 1)
    found = roll_random(images, generator=rng)
    shifts = set()
    for before, after in zip(images, found, strict=True):
        row, column = divmod(int(after[0, 0, 0] % 100), 4)
        assert torch.equal(before.roll((-row, -column), (1, 2)), after)  # both channels alike
        shifts.add((row, column))
    assert len(shifts) == 12  # every one of them
