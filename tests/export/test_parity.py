"""The gate sees every batch size whole, however few slices were held back, and its card says how many there were."""

from typing import Any

import numpy as np
import pytest

from anomae.detectors.protocol import Findings
from anomae.export.card import _images
from anomae.export.held_back import HeldBack
from anomae.export.parity import BATCHES, NoParity, same_at_every_batch
from anomae.inference.exported.batches import in_batches


class Mean:
    """By torch: the mean of each image."""

    def inspect(self, images: Any) -> Findings:
        return Findings(images.mean(axis=(1, 2, 3), dtype=np.float64))


class Exported:
    """The same by an engine that is wrong in whole batches of one size; keeps what it was shown."""

    def __init__(self, wrong_at: int = 0) -> None:
        self.wrong_at, self.shown = wrong_at, list[Any]()

    def inspect_in(self, batch: int, images: Any, *, fixed: bool) -> Findings:
        def look(block: Any) -> dict[str, Any]:
            self.shown.append(block)
            return {"score": block.mean(axis=(1, 2, 3), dtype=np.float64) + (len(block) == self.wrong_at)}

        return Findings(in_batches(images, batch, 1, look, fixed=fixed)["score"])


def slices_of(count: int) -> HeldBack:
    images = np.random.default_rng(0).random((count, 1, 8, 8), dtype=np.float32) + 0.1
    return HeldBack(images, np.stack([images, images], axis=1), "made up")


@pytest.mark.parametrize("count", [1, 5, 31, 32, 40])
def test_each_batch_size_is_seen_with_images_that_differ(count: int) -> None:
    exported: Any = Exported()
    said = same_at_every_batch(Mean(), exported, slices_of(count))
    assert {len(block) for block in exported.shown} >= set(BATCHES)
    (largest,) = (block for block in exported.shown if len(block) == max(BATCHES))
    assert len(np.unique(largest.reshape(len(largest), -1), axis=0)) == max(BATCHES)
    np.testing.assert_array_equal(largest[: min(count, 32)], slices_of(count).images[:32])
    assert (said["slices"], said["images"]) == (min(count, 32), 32)
    assert _images(said) == ("32 slices" if count >= 32 else f"{count} slices, again and darker up to 32 images,")


@pytest.mark.parametrize("wrong_at", BATCHES)
def test_what_is_wrong_in_one_batch_size_alone_is_refused_on_three_slices(wrong_at: int) -> None:
    exported: Any = Exported(wrong_at)
    with pytest.raises(NoParity, match="does not say what torch says"):
        same_at_every_batch(Mean(), exported, slices_of(3))


def test_a_card_of_an_earlier_version_says_its_slices() -> None:
    assert _images({"slices": 20}) == "20 slices"
