"""Pictures: one common scale, lesions outlined and never covered, the right slices chosen."""

import base64
import io

import numpy as np
from PIL import Image

from anomae.reports.pictures import (
    choose_slices,
    common_scales,
    grey_png,
    heat_png,
    picture_column,
    pseudo_abnormal_strip,
    slice_strips,
)


def opened(address: str) -> Image.Image:
    kind, _, content = address.partition(",")
    assert kind == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(content)))


def test_grey_is_linear_between_black_and_white():
    image = np.array([[-1, 0, 0.5, 1, 2]], dtype=np.float32)
    assert np.asarray(opened(grey_png(image, (0, 1)))).tolist() == [[0, 0, 127, 255, 255]]


def test_the_outline_lies_around_the_lesion():
    lesion = np.zeros((12, 12), dtype=np.bool_)
    lesion[4:7, 5:9] = True
    colour = np.asarray(opened(grey_png(np.full((12, 12), 0.5, dtype=np.float32), (0, 1), lesion)))
    orange = (colour == (255, 140, 40)).all(axis=2)
    assert not orange[lesion].any()
    assert orange.sum() == 2 * 3 + 2 * 4
    assert orange[3, 5]
    assert orange[4, 4]


def test_equal_values_have_equal_colours_whatever_else_is_in_the_picture():
    dim, bright = np.full((4, 4), 0.2, dtype=np.float32), np.full((4, 4), 0.2, dtype=np.float32)
    bright[0, 0] = 1.0
    scales = common_scales(np.stack([dim, bright]), np.zeros((2, 4, 4), dtype=np.float32), np.stack([dim, bright]))
    one, other = (picture_column(scales, image, np.zeros_like(image), image) for image in (dim, bright))
    assert list(one) == ["input", "reconstruction", "difference", "map"]
    for name in one:
        assert opened(one[name]).convert("RGB").getpixel((2, 2)) == opened(other[name]).convert("RGB").getpixel((2, 2))


def test_heat_rises():
    picture = np.asarray(opened(heat_png(np.array([[0.0, 0.5, 1.0]], dtype=np.float32), (0, 1))).convert("RGB"))
    assert (np.diff(picture.astype(int).sum(axis=2)[0]) > 0).all()


def test_constant_images_have_a_scale():
    flat = np.zeros((2, 4, 4), dtype=np.float32)
    scales = common_scales(flat, flat, flat)
    assert scales.image[1] > scales.image[0]
    assert scales.difference > 0
    assert scales.map[1] > scales.map[0]


def test_the_best_and_the_worst_are_chosen():
    labels, scores = np.array([1, 0, 1, 0, 1]), np.array([0.9, 0.8, 0.5, 0.1, 0.2])
    assert choose_slices(labels, scores, 2) == {
        "true_positives": [0, 2],
        "false_positives": [1, 3],
        "false_negatives": [4, 2],
    }


def test_strips_hold_what_there_is():
    images = np.random.default_rng(0).random((5, 6, 6)).astype(np.float32)

    def nothing(indices):
        return None

    chosen = choose_slices(np.array([1, 0, 1, 0, 1]), np.arange(5.0), 2)
    strips = slice_strips(chosen, str, lambda indices: images[indices], nothing, nothing, nothing)
    assert [strip.title.split()[0] for strip in strips] == ["Highest-scored", "Highest-scored", "Lowest-scored"]
    assert [[caption for caption, _ in strip.columns] for strip in strips] == [["4", "2"], ["3", "1"], ["0", "2"]]
    assert list(strips[0].columns[0][1]) == ["input"]
    assert "One scale for all pictures" in strips[0].explanation
    healthy = slice_strips({"false_positives": [1]}, str, lambda indices: images[indices], nothing, nothing, nothing)
    assert "One scale for all pictures" in healthy[0].explanation
    assert slice_strips({"false_positives": []}, str, lambda indices: images[indices], nothing, nothing, nothing) == []


def test_training_samples():
    stack = np.random.default_rng(0).random((3, 8, 8)).astype(np.float32)
    strip = pseudo_abnormal_strip({"images": stack, "reconstructions": stack, "pseudo_abnormal": stack * 0.5}, 2)
    assert len(strip.columns) == 2
    assert list(strip.columns[0][1])[2] == "pseudo-abnormal"
