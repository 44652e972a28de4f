"""The gate sees every batch size whole, however few slices were held back, and its card says how many there were."""

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from anomae.detectors.pretext import AlteredSlices, pretext_scores
from anomae.detectors.protocol import Findings
from anomae.export.card import _images
from anomae.export.held_back import HeldBack
from anomae.export.parity import BATCHES, NoParity, ranks_alike, same_at_every_batch
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


class Spots:
    """The map is the image, the score its highest value; lesions are spots of five strengths."""

    def inspect(self, images: Any, neighbours: Any = None) -> Findings:
        return Findings(images.max(axis=(1, 2, 3)).astype(np.float64), images[:, 0])

    def pretext_images(self, images: Any, neighbours: Any = None) -> Any:
        for strength in (1, 2, 3, 4, 5):
            altered = images.copy()
            altered[:, 0, 3, 3] += strength * images.mean(axis=(1, 2, 3))
            yield AlteredSlices(f"spot {strength}", altered, neighbours, self.seen(images))

    def seen(self, images: Any) -> Any:
        return np.ones(len(images), dtype=np.bool_)

    def pretext(self, images: Any) -> Any:
        return pretext_scores(self.inspect, self.pretext_images(images))


class CutOff(Spots):
    """The same in int8: its maps end where those of healthy slices do, or a bit above; ranks of scores stay."""

    precision, card = "int8", dict[str, Any]()

    def __init__(self, end: float, shift: float = 0.0) -> None:
        self.end, self.shift = end, shift

    def inspect(self, images: Any, neighbours: Any = None) -> Findings:
        found = super().inspect(images)
        return Findings(found.scores - self.shift, np.minimum(found.maps, self.end) - self.shift)


class Unseen(Spots):
    """Every second spot is not drawn: these slices are as they were."""

    def seen(self, images: Any) -> Any:
        return np.arange(len(images)) % 2 == 0

    def pretext_images(self, images: Any, neighbours: Any = None) -> Any:
        for altered in super().pretext_images(images, neighbours):
            altered.images[~altered.seen] = images[~altered.seen]
            yield altered


class UnseenInt8(Unseen):
    precision, card = "int8", dict[str, Any]()


def pretext(exported: Any, images: Any, _: Any) -> Any:
    return exported.pretext(images)


def test_maps_that_no_lesion_lifts_above_healthy_ones_are_refused_though_ranks_agree() -> None:
    slices = slices_of(64)
    highest = float(slices.images.max())
    cut: Any = CutOff(highest)
    with pytest.raises(NoParity, match=r"the highest map value of \d.* above all of normal slices.*would not mean the"):
        ranks_alike(Spots(), cut, slices, pretext)
    shifted: Any = CutOff(10.0, shift=0.3)  # with thresholds of its own a shift takes nothing
    said = ranks_alike(Spots(), shifted, slices, pretext)
    assert said["altered_above"].keys() == {"score", "highest map value"}
    for of in said["altered_above"].values():
        assert all(theirs > 0 and ours == pytest.approx(theirs, abs=0.01) for ours, theirs in of.values())


def test_a_detector_without_a_pretext_task_is_shown_pseudo_lesions_too() -> None:
    class Alike(Mean):
        precision, card = "int8", dict[str, Any]()

    class Cut(Alike):
        def inspect(self, images: Any) -> Findings:
            return Findings(np.minimum(super().inspect(images).scores, highest))

    slices = slices_of(40)
    highest = np.quantile(Mean().inspect(slices.images).scores, 0.9)
    same: Any = Alike()
    share, theirs = ranks_alike(Mean(), same, slices, None)["altered_above"]["score"]["above 95 %"]
    assert share == theirs > 0.05
    cut: Any = Cut()
    with pytest.raises(NoParity, match="thresholds would not mean the same"):
        ranks_alike(Mean(), cut, slices, None)


def test_slices_without_a_lesion_to_be_seen_have_no_part_in_what_the_card_says() -> None:
    """They counted as lesions that no judge lifts above healthy slices, in every share and every AUROC."""
    slices = slices_of(64)
    half: Any = UnseenInt8()
    found = ranks_alike(Unseen(), half, slices, pretext)
    kept = slice(None, None, 2)
    theirs = [altered.images[kept] for altered in Spots().pretext_images(slices.images)]
    normal, high = (Spots().inspect(images).scores for images in (slices.images, np.concatenate(theirs)))
    assert found["altered_above"]["score"]["above all"] == (np.mean(high > normal.max()),) * 2
    aurocs = [roc_auc_score(np.repeat([0, 1], [64, 32]), np.r_[normal, one]) for one in np.split(high, 5)]
    assert found["pretext_auroc"] == pytest.approx(np.mean(aurocs))
