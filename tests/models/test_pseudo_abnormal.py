"""Boxes: drawn within their bounds, and applied as a slow loop over pixels would."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anomae.models.pseudo_abnormal import Boxes, apply_boxes, draw_boxes


def applied_slowly(images: np.ndarray, edges: np.ndarray, betas: np.ndarray, origin: float) -> np.ndarray:
    changed = images.astype(np.float64)
    for sample, channel, row, column in np.ndindex(images.shape):
        for box, (top, bottom, left, right) in enumerate(edges[sample]):
            if top <= row < bottom and left <= column < right:
                beta = betas[sample, box] if betas.ndim == 2 else betas[sample, box, row, column]
                changed[sample, channel, row, column] = origin + (changed[sample, channel, row, column] - origin) * beta
    return changed


@given(
    seed=st.integers(0, 10**6),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    channels=st.integers(1, 3),
    most=st.integers(1, 4),
    origin=st.sampled_from([0.0, -1.5, 3.0]),
    per_pixel=st.booleans(),
)
def test_applying_equals_a_slow_loop(
    seed: int, height: int, width: int, channels: int, most: int, origin: float, per_pixel: bool
) -> None:
    rng = torch.Generator().manual_seed(seed)
    images = torch.randn(2, channels, height, width, generator=rng)
    # sides up to twice the frame: boxes overlap and fill it
    boxes = draw_boxes(2, (height, width), k=(0, most), sides=(1, 12), generator=rng, per_pixel=per_pixel)
    found = apply_boxes(images, boxes, origin).numpy()
    expected = applied_slowly(images.numpy(), boxes.edges.numpy(), boxes.betas.numpy(), origin)
    assert found == pytest.approx(expected, abs=1e-5)


def test_where_boxes_overlap_the_betas_multiply() -> None:
    edges = torch.tensor([[[0, 2, 0, 2], [1, 3, 1, 3]]])
    found = apply_boxes(torch.ones(1, 1, 3, 3), Boxes(edges, torch.tensor([[0.5, 0.25]])))
    assert found[0].tolist() == [[[0.5, 0.5, 1], [0.5, 0.125, 0.25], [1, 0.25, 0.25]]]


def test_outside_of_all_boxes_not_a_bit_changes(rng: torch.Generator) -> None:
    images = torch.randn(3, 2, 9, 9, generator=rng)
    boxes = Boxes(torch.tensor([[[2, 5, 3, 7], [0, 9, 0, 9]]]).expand(3, -1, -1), torch.tensor([[0.3, 1.0]] * 3))
    for betas in (boxes.betas, boxes.betas[..., None, None].expand(-1, -1, 9, 9)):
        changed = apply_boxes(images, Boxes(boxes.edges, betas)) != images
        assert changed[:, :, 2:5, 3:7].all()
        assert int(changed.sum()) == 3 * 2 * 3 * 4


def test_a_beta_of_zero_leaves_the_origin_only(rng: torch.Generator) -> None:
    edges, betas = torch.tensor([[[1, 3, 1, 3], [2, 4, 2, 4]]]), torch.tensor([[0.0, 0.0]])
    found = apply_boxes(torch.randn(1, 1, 5, 5, generator=rng), Boxes(edges, betas), intensity_origin=2.0)
    assert (found[0, 0, 1:3, 1:3] == 2).all()
    assert found[0, 0, 3, 3] == 2


def test_what_a_caller_lets_run_in_bf16_stays_exact(rng: torch.Generator) -> None:
    images = torch.randn(2, 1, 12, 12, generator=rng)
    boxes = draw_boxes(2, (12, 12), k=(3, 5), sides=(3, 6), generator=rng)
    with torch.autocast("cpu", torch.bfloat16):
        found = apply_boxes(images, boxes)
    assert torch.equal(found, apply_boxes(images, boxes))


def test_the_given_images_are_left_alone(rng: torch.Generator) -> None:
    images = torch.randn(2, 1, 6, 6, generator=rng)
    before = images.clone()
    apply_boxes(images, draw_boxes(2, (6, 6), k=(3, 3), sides=(2, 4), generator=rng))
    assert torch.equal(images, before)


def test_pixels_at_the_origin_do_not_change(rng: torch.Generator) -> None:
    boxes = draw_boxes(4, (8, 8), k=(1, 5), sides=(2, 6), generator=rng)
    flat = torch.full((4, 1, 8, 8), -2.0)
    assert torch.equal(apply_boxes(flat, boxes, intensity_origin=-2.0), flat)


@given(seed=st.integers(0, 10**6), height=st.integers(1, 30), width=st.integers(1, 30), inside=st.booleans())
def test_boxes_lie_in_the_frame(seed: int, height: int, width: int, inside: bool) -> None:
    rng = torch.Generator().manual_seed(seed)
    body = torch.rand(3, height, width, generator=rng) < 0.1 if inside else None
    boxes = draw_boxes(3, (height, width), k=(1, 4), sides=(5, 12), generator=rng, body=body)
    top, bottom, left, right = boxes.edges.unbind(-1)
    assert boxes.edges.shape == (3, 4, 4)
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (bottom <= height).all()
    assert (right <= width).all()
    heights, widths = bottom - top, right - left
    assert (heights >= min(5, height)).all()
    assert (heights <= 12).all()
    assert (widths >= min(5, width)).all()
    assert (widths <= 12).all()


def test_both_ends_of_every_bound_are_reached_and_all_is_uniform(rng: torch.Generator) -> None:
    boxes = draw_boxes(3000, (20, 24), k=(1, 5), sides=(3, 6), generator=rng)
    present = boxes.betas < 1
    counts = torch.bincount(present.sum(dim=1), minlength=6).tolist()
    assert counts[0] == 0
    assert counts[1:] == pytest.approx([600] * 5, abs=4.5 * (3000 * 0.2 * 0.8) ** 0.5)
    # boxes that an image does not have come last and change nothing
    assert torch.equal(present, present.sort(dim=1, descending=True).values)
    edges, betas = boxes.edges[present], boxes.betas[present]
    for low, high, side in ((0, 1, 20), (2, 3, 24)):
        sides = edges[:, high] - edges[:, low]
        quarter, slack = len(sides) / 4, 4.5 * (len(sides) * 0.25 * 0.75) ** 0.5
        assert torch.bincount(sides)[3:].tolist() == pytest.approx([quarter] * 4, abs=slack)
        for length in range(3, 7):
            places = torch.bincount(edges[sides == length, low], minlength=side - length + 1).double()
            assert len(places) == side - length + 1
            assert places.min() > 0.5 * places.mean()
            assert places.max() < 1.6 * places.mean()
    assert betas.min() >= 0
    assert float(betas.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(betas.std()) == pytest.approx(12**-0.5, abs=0.02)


def test_height_and_width_are_drawn_apart(rng: torch.Generator) -> None:
    edges = draw_boxes(3000, (40, 40), k=(1, 1), sides=(3, 12), generator=rng).edges[:, 0].double()
    heights, widths = edges[:, 1] - edges[:, 0], edges[:, 3] - edges[:, 2]
    assert abs(float(torch.corrcoef(torch.stack([heights, widths]))[0, 1])) < 0.08


def test_each_pixel_has_its_own_beta(rng: torch.Generator) -> None:
    boxes = draw_boxes(50, (10, 10), k=(2, 2), sides=(4, 6), generator=rng, per_pixel=True)
    assert boxes.betas.shape == (50, 2, 10, 10)
    assert float(boxes.betas.std(dim=(2, 3)).min()) > 0.2


def test_centres_lie_in_the_body_where_the_frame_allows(rng: torch.Generator) -> None:
    body = torch.zeros(40, 30, 30, dtype=torch.bool)
    body[:, 10:20, 12:18] = True
    edges = draw_boxes(40, (30, 30), k=(5, 5), sides=(3, 9), generator=rng, body=body).edges
    rows = edges[..., 0] + (edges[..., 1] - edges[..., 0]) // 2
    columns = edges[..., 2] + (edges[..., 3] - edges[..., 2]) // 2
    assert body[0][rows, columns].all()
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (10, 19, 12, 17)


def test_an_image_without_body_gets_boxes_anywhere(rng: torch.Generator) -> None:
    body = torch.zeros(200, 10, 10, dtype=torch.bool)
    edges = draw_boxes(200, (10, 10), k=(2, 2), sides=(1, 2), generator=rng, body=body).edges
    assert edges[..., 0].min() == 0
    assert edges[..., 1].max() == 10


def test_the_same_seed_draws_the_same_boxes() -> None:
    def draw(seed: int) -> Boxes:
        return draw_boxes(3, (9, 9), k=(1, 3), sides=(2, 4), generator=torch.Generator().manual_seed(seed))

    assert torch.equal(draw(1).edges, draw(1).edges)
    assert torch.equal(draw(1).betas, draw(1).betas)
    assert not torch.equal(draw(1).edges, draw(2).edges)
