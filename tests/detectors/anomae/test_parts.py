"""The parts of the detector: window, evidence, memory, samples and pool."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from anomae.detectors.anomae import pool as pools
from anomae.detectors.anomae.evidence import Evidence, shown_size
from anomae.detectors.anomae.heads import build_heads, train_head
from anomae.detectors.anomae.memory import Memory
from anomae.detectors.anomae.pool import Pool, make_pool
from anomae.detectors.anomae.samples import (
    HEALTHY,
    altered_by,
    asked_families,
    families_of,
    make_samples,
    patch_targets,
)
from anomae.detectors.anomae.settings import AnomaeSettings, LesionSettings
from anomae.detectors.anomae.sources import Features, Pixels, View, make_backbone
from anomae.detectors.anomae.window import Window
from anomae.models.pseudo_lesions.families import FAMILIES, STANDARD
from anomae.models.pseudo_lesions.nodules import nodules_in
from anomae.slices.store import Slices

from .conftest import recipe_settings, three_channels


@pytest.fixture
def images(healthy: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(healthy).clamp(0, 1)


@pytest.fixture
def features(images: torch.Tensor) -> Features:
    return Features("tiny", *make_backbone("tiny", "random", torch.Generator().manual_seed(0), images[:8, 0]))


def settings(**changed: Any) -> AnomaeSettings:
    return AnomaeSettings.model_validate({**recipe_settings(), **changed})


def test_the_window_leaves_room_above_healthy_tissue() -> None:
    healthy = Slices(np.linspace(100, 300, 4 * 64, dtype=np.float32).reshape(4, 8, 8))
    window = Window.measured(healthy, settings(percentiles=(0, 100), headroom=1.5))
    assert (*window.low, *window.high) == pytest.approx((100, 400))
    seen = window.seen(torch.tensor([50.0, 100.0, 250.0, 400.0, 900.0]))
    assert seen.tolist() == pytest.approx([0, 0, 0.5, 1, 1])
    assert window.prepared(seen).tolist() == pytest.approx([100, 100, 250, 400, 400])
    assert Window.measured(healthy, settings(window=(0, 2))) == Window((0,), (2,))


def test_of_several_channels_each_has_a_window_of_its_own(healthy: np.ndarray) -> None:
    images = three_channels(healthy)
    window = Window.measured(Slices(images), settings())
    alone = [Window.measured(Slices(images[:, [channel]]), settings()) for channel in range(3)]
    assert window == Window(tuple(one.low[0] for one in alone), tuple(one.high[0] for one in alone))
    seen = window.seen(torch.from_numpy(images))
    for channel, one in enumerate(alone):
        assert torch.allclose(seen[:, [channel]], one.seen(torch.from_numpy(images[:, [channel]])), atol=1e-6)
    stacks = torch.from_numpy(np.repeat(images[:, None], 3, axis=1))
    assert torch.equal(window.seen(stacks), seen[:, None].expand(-1, 3, -1, -1, -1))
    between = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(window.seen(window.prepared(between)), between, atol=1e-5)
    assert Window.measured(Slices(images), settings(window=(0, 2))) == Window((0,), (2,))


def test_pixels_of_a_patch(images: torch.Tensor) -> None:
    found = Pixels().of(View(images, images, (4, 4)))
    patch = images[3, 0, 8:16, 16:24]
    assert found[3, :, 1, 2].tolist() == pytest.approx(
        [float(patch.mean()), float(patch.max()), -float(patch.min()), float(patch.std(correction=0))], abs=1e-4
    )


def test_evidence_is_standardised_over_healthy_images(images: torch.Tensor, features: Features) -> None:
    evidence = Evidence([features, Pixels()], (48, 48), 8)
    evidence = evidence.measured(evidence.raw(images))
    found = evidence.of(images)
    assert found.shape == (len(images), 16 + 32 + 64 + 4, 6, 6)
    assert torch.allclose(found.mean((0, 2, 3)), torch.zeros(116), atol=1e-4)
    spread = found.std((0, 2, 3))
    assert ((spread - 1).abs() < 1e-3).float().mean() > 0.9  # channels that never change have no spread


def test_channels_are_looked_at_one_by_one(healthy: np.ndarray, features: Features) -> None:
    """Features and pixels of a picture of three channels are those of three grey ones."""
    images = three_channels(healthy[:5])
    shown = Window.measured(Slices(images), settings()).seen(torch.from_numpy(images))
    for source, count in ((features, 16 + 32 + 64), (Pixels(), 4)):
        whole = Evidence([source], (48, 48), 8).raw(shown)
        assert whole.shape == (5, 3 * count, 6, 6)
        alone = [Evidence([source], (48, 48), 8).raw(shown[:, [channel]]) for channel in range(3)]
        every = torch.stack(alone, dim=1)  # (5, 3, count, 6, 6)
        if isinstance(source, Pixels):
            every = every.transpose(1, 2)  # means of all channels, then maxima of all, and so on
        assert torch.allclose(whole, every.flatten(1, 2), atol=1e-4)


def test_folding_batch_norm_changes_nothing(images: torch.Tensor, features: Features) -> None:
    pictures = features.backbone.normalise(images[:, 0] * 255)
    with torch.no_grad():
        apart = [
            (one - other).abs().max() / other.abs().max()
            for one, other in zip(features._folded(pictures), features.network(pictures), strict=True)
        ]
    assert max(float(one) for one in apart) < 1e-4


@pytest.mark.parametrize(("size", "shown"), [((64, 64), (128, 128)), ((100, 50), (128, 64)), ((64, 60), (128, 120))])
def test_images_are_shown_with_their_aspect(size: tuple[int, int], shown: tuple[int, int]) -> None:
    assert shown_size(size, 128, 8) == shown


def test_memory_finds_the_nearest_about_the_same_place(images: torch.Tensor, features: Features) -> None:
    """Against every pair, one by one."""
    grid = (4, 4)
    raw = features.of(View(images[:12], images[:12], grid))
    memory = Memory(features, torch.stack([raw[:6], raw[6:]]), near=0.25)
    query = images[20:23]
    found = memory.of(View(query, query, grid, torch.tensor([0, 1, 0])))
    scaled = (raw - memory.mean) / memory.spread
    asked = (features.of(View(query, query, grid)) - memory.mean) / memory.spread
    for image, other in ((0, scaled[6:]), (1, scaled[:6])):  # an image of one half looks into the other
        for y, x in ((0, 0), (2, 1), (3, 3)):
            nearest = min(
                float((asked[image, :, y, x] - one[:, v, u]).square().mean().sqrt())
                for one in other
                for v in range(max(0, y - 1), min(4, y + 2))
                for u in range(max(0, x - 1), min(4, x + 2))
            )
            assert float(found[image, 0, y, x]) == pytest.approx(nearest, rel=1e-5)
    everywhere = Memory(features, torch.stack([raw[:6], raw[6:]]), near=1.0)
    assert (everywhere.of(View(query, query, grid, torch.tensor([0, 1, 0]))) <= found).all()
    known = memory.of(View(images[:2], images[:2], grid, torch.tensor([1, 1])))
    assert float(known.max()) < 1e-6  # what it holds is at no distance


def test_a_memory_read_from_disk_measures_to_the_bit_what_the_fitted_one_does(
    images: torch.Tensor, features: Features
) -> None:
    raw = features.of(Evidence([], (32, 32), 8).view(images[:12]))
    kept = torch.stack([raw[:6], raw[6:]])
    view = Evidence([], (32, 32), 8).view(images[20:30])
    before, after = (Memory(features, given, 0.3).of(view) for given in (kept, kept.contiguous()))
    assert torch.equal(before, after)


def test_samples_say_what_was_changed(images: torch.Tensor) -> None:
    chosen = LesionSettings(families=("blob", "mass"), healthy=0.5)
    many = images.repeat(10, 1, 1, 1)
    samples = make_samples(many, chosen, torch.Generator().manual_seed(0))
    healthy = samples.family == HEALTHY
    assert 0.4 < float(healthy.float().mean()) < 0.6
    assert not samples.changed[healthy].any()
    assert samples.changed[~healthy].flatten(1).any(1).float().mean() > 0.7
    assert set(samples.family.unique().tolist()) == {HEALTHY, 0, 1}
    again = make_samples(many, chosen, torch.Generator().manual_seed(0))
    assert torch.equal(samples.images, again.images)


def test_samples_of_several_channels(healthy: np.ndarray) -> None:
    """One view and one lesion for all channels, which show it more and less; what changed is said for all together."""
    images = three_channels(healthy)
    many = Window.measured(Slices(images), settings()).seen(torch.from_numpy(images)).repeat(5, 1, 1, 1)
    chosen = LesionSettings(families=("blob", "fill"), healthy=0.5)
    samples = make_samples(many, chosen, torch.Generator().manual_seed(0))
    assert samples.images.shape == many.shape
    assert samples.changed.shape == (len(many), 32, 32)
    assert not samples.changed[samples.family == HEALTHY].any()
    assert samples.changed[samples.family != HEALTHY].flatten(1).any(1).float().mean() > 0.7
    changed = (altered_by(many, "blob", torch.Generator().manual_seed(0))[0] - many).abs().amax((2, 3))  # (n, 3)
    assert (changed.amax(1) > 4 * changed.amin(1)).float().mean() > 0.2
    for kind in ("area", "centre"):
        made = make_samples(many, LesionSettings(kind=kind), torch.Generator().manual_seed(0))
        again = make_samples(many, LesionSettings(kind=kind), torch.Generator().manual_seed(0))
        assert torch.equal(made.images, again.images)


def test_a_nodule_that_is_not_to_be_seen_makes_no_abnormal_sample(images: torch.Tensor) -> None:
    settings = LesionSettings(kind="centre", healthy=0.05)
    dense = make_samples(torch.ones_like(images), settings, torch.Generator().manual_seed(0))
    assert (dense.family == HEALTHY).all()
    assert not dense.changed.any()
    assert (dense.strength == 0).all()
    _, seen = nodules_in(torch.cat([images * 0, torch.ones_like(images)]), torch.Generator().manual_seed(1))
    assert seen.tolist() == [True] * len(images) + [False] * len(images)


@pytest.mark.parametrize("family", [*FAMILIES, "nodule"])
def test_it_is_said_which_lesions_are_to_be_seen(images: torch.Tensor, family: str) -> None:
    many = images.repeat(4, 1, 1, 1)
    altered, seen = altered_by(many, family, torch.Generator().manual_seed(1))
    changed = (altered - many).abs().amax((1, 2, 3))
    assert torch.equal(changed > 0, seen) if family != "nodule" else (changed > 0.032)[seen].all()
    assert seen.float().mean() > 0.5


def test_where_no_tissue_of_another_image_lies_poisson_changes_nothing(images: torch.Tensor) -> None:
    """It counted as a lesion in the pretext figure, where no detector can tell it."""
    halves = images.clone()
    halves[::2, :, :, :16], halves[1::2, :, :, 16:] = 0, 0
    altered, seen = altered_by(halves, "poisson", torch.Generator().manual_seed(1))
    same = (altered == halves).flatten(1).all(1)
    assert same.any()
    assert seen.any()
    assert not seen[same].any()


def test_of_candidates_only_the_centre_is_abnormal(images: torch.Tensor) -> None:
    samples = make_samples(images * 0, LesionSettings(kind="centre", healthy=0.5), torch.Generator().manual_seed(0))
    healthy = samples.family == HEALTHY
    assert not samples.changed[healthy].any()
    assert samples.images[healthy].flatten(1).any(1).float().mean() > 0.2  # blobs beside and vessels
    assert (samples.images[~healthy][:, 0, 14:18, 14:18].mean((1, 2)) > 0.1).float().mean() > 0.8


def test_targets_are_patches_changed_enough_and_never_none() -> None:
    changed = torch.zeros(3, 16, 16, dtype=torch.bool)
    changed[0, :8, :4] = True  # half of the first patch of 8
    changed[1, 9, 9] = True
    targets = patch_targets(changed, (2, 2), 0.4)
    assert targets.tolist() == [[[True, False], [False, False]], [[False, False], [False, True]], [[False, False]] * 2]


def test_families_by_kind(images: torch.Tensor) -> None:
    chosen = LesionSettings(families=("blob",))
    assert families_of(chosen) == ("blob",)
    assert len(families_of(chosen, every=True)) > 5
    assert families_of(LesionSettings(kind="centre"), every=True) == ("nodule",)
    assert (altered_by(images, "nodule", torch.Generator().manual_seed(0))[0] != images).any()


def test_the_pretext_task_asks_about_the_standard_families_and_those_learned_from() -> None:
    assert asked_families(LesionSettings()) == LesionSettings().families == STANDARD
    assert asked_families(LesionSettings(families=("blob",))) == STANDARD
    assert asked_families(LesionSettings(families=("perlin", "blob", "oedema"))) == (*STANDARD, "oedema", "perlin")
    assert asked_families(LesionSettings(kind="centre")) == ("nodule",)


def test_families_that_are_not_learned_from_take_no_part(images: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the further families and without them the default samples are the same to the bit."""
    made = make_samples(images, LesionSettings(), torch.Generator().manual_seed(0))
    assert len(FAMILIES) > len(STANDARD)
    for name in set(FAMILIES) - set(STANDARD):
        monkeypatch.delitem(FAMILIES, name)
    alone = make_samples(images, LesionSettings(), torch.Generator().manual_seed(0))
    assert torch.equal(made.images, alone.images)
    assert torch.equal(made.family, alone.family)
    assert torch.equal(made.changed, alone.changed)


def test_a_pool_knows_strengths_where_there_is_a_curriculum_and_is_else_the_same(
    images: torch.Tensor, tmp_path: Path
) -> None:
    evidence = [Evidence([Pixels()], (32, 32), 8)]

    def make(folder: str, curriculum: float) -> Pool:
        chosen = LesionSettings(curriculum=curriculum)
        return make_pool(
            tmp_path / folder, 64, lambda at: images[torch.from_numpy(at)], len(images), evidence, chosen, 3
        )

    plain, ordered = make("plain", 0.0), make("ordered", 0.5)
    assert plain.strength is None
    assert not (tmp_path / "plain" / "strength.npy").exists()
    assert ordered.strength is not None
    assert ((ordered.strength > 0) <= (ordered.family >= 0)).all()
    assert (ordered.strength > 0).any()
    for one, other in ((plain.evidence[0], ordered.evidence[0]), (plain.targets[0], ordered.targets[0])):
        assert np.array_equal(one, other)
    assert np.array_equal(plain.family, ordered.family)


def test_a_head_with_a_curriculum_learns_from_other_samples_first(images: torch.Tensor, tmp_path: Path) -> None:
    """With a curriculum the heads end elsewhere than without; the same curriculum ends in the same head."""
    evidence = [Evidence([Pixels()], (32, 32), 8)]
    lesions = LesionSettings(curriculum=0.5)
    pool = make_pool(tmp_path, 128, lambda at: images[torch.from_numpy(at)], len(images), evidence, lesions, 3)
    of = settings(sizes=(32,), lesions=lesions)
    short = of.head.model_copy(update={"training": of.head.training.model_copy(update={"steps": 6})})
    states = []
    for number, share in enumerate((0.0, 0.5, 0.5)):
        ((head,),) = build_heads(of, evidence, [pool.evidence[0].shape[1]], 0)
        made = {"name": "head", "seed": 0, "folder": tmp_path / str(number)}
        train_head(of.device, head, pool, 0, short, curriculum=share, **made)
        states.append(torch.cat([value.flatten() for value in head.state_dict().values()]))
    without, one, again = states
    assert torch.equal(one, again)
    assert not torch.equal(without, one)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sources": "mirror"},
        {"sources": "features,features"},
        {"sources": "radiologist"},
        {"sizes": "8"},
        {"memory": {"near": 1.01}},
        {"window": (1.0, 0.0)},
        {"window": (0.5, 0.5)},
        {"window": (0.0, float("inf"))},
        {"window": (float("nan"), 1.0)},
        {"lesions": {"families": "blobb"}},
        {"lesions": {"families": ""}},
        {"lesions": {"curriculum": 1.5}},
        {"lesions": {"families": "blob,fill", "weights": (1,)}},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**wrong)


def test_texts_are_read_as_lists() -> None:
    read = settings(sources="residual, pixels,mirror", sizes="128,192", lesions={"families": "blob,fill"})
    assert read.sources == ("residual", "pixels", "mirror")
    assert read.sizes == (128, 192)
    assert settings(sizes=64).sizes == (64,)
    assert read.lesions.families == ("blob", "fill")


def test_a_pool_that_was_stopped_goes_on_to_the_same(
    images: torch.Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence = [Evidence([Pixels()], (32, 32), 8)]
    chosen = LesionSettings()

    def healthy(chosen: Any) -> torch.Tensor:
        return images[torch.from_numpy(chosen)]

    def make(folder: str) -> Pool:
        return make_pool(tmp_path / folder, 256, healthy, len(images), evidence, chosen, 3)

    whole = make("whole")
    assert len(whole) == 256
    real, made = pools.make_samples, []

    def stopping(*given: Any) -> Any:
        made.append(1)
        if len(made) == 3:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(pools, "make_samples", stopping)
    with pytest.raises(KeyboardInterrupt):
        make("part")
    part = make("part")
    assert len(made) == 5  # two chunks were there
    assert np.array_equal(part.evidence[0], whole.evidence[0])
    assert np.array_equal(part.targets[0], whole.targets[0])
    assert np.array_equal(part.family, whole.family)


def test_a_pool_made_on_two_processors_is_that_of_one(images: torch.Tensor, features: Features, tmp_path: Path) -> None:
    evidence = [Evidence([features, Pixels()], (32, 32), 8)]
    before, threads, made = torch.get_num_threads(), set[str](), []

    def healthy(chosen: np.ndarray) -> torch.Tensor:
        threads.add(threading.current_thread().name.rsplit("_", 1)[0])
        return images[torch.from_numpy(chosen)]

    for processors in (1, 2):
        torch.set_num_threads(processors)
        with torch.inference_mode():
            folder = tmp_path / str(processors)
            made.append(make_pool(folder, 512, healthy, len(images), evidence, LesionSettings(families="all"), 3))
    torch.set_num_threads(before)
    assert threads == {threading.current_thread().name, "batches"}
    one, two = made
    assert np.array_equal(one.evidence[0], two.evidence[0])
    assert np.array_equal(one.targets[0], two.targets[0])
    assert np.array_equal(one.family, two.family)


def test_families_are_named_listed_or_all() -> None:
    assert LesionSettings(families="all").families == tuple(FAMILIES)
    assert LesionSettings(families=("all",)).families == tuple(FAMILIES)
    assert LesionSettings(families="blob, rim").families == ("blob", "rim")
    with pytest.raises(ValueError, match="families are out of"):
        LesionSettings(families="all,blob")
