"""The source `neighbours`: what goes on from slice to slice and what does not; scores that depend on nothing else."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from anomae.detectors.anomae.detector import Anomae
from anomae.detectors.anomae.evidence import Evidence
from anomae.detectors.anomae.neighbours import Neighbours
from anomae.detectors.anomae.samples import HEALTHY, altered_by, make_samples
from anomae.detectors.anomae.settings import AnomaeSettings, LesionSettings
from anomae.detectors.anomae.sources import Features, Pixels, make_backbone
from anomae.errors import UserError
from anomae.models.pseudo_lesions.families import FAMILIES, STANDARD
from anomae.slices.store import Slices

from .conftest import recipe_settings, three_channels

SLICES = 5  # of a head of `healthy`


def scans(heads: np.ndarray) -> Slices:
    return Slices(heads, order=(np.arange(len(heads)) // SLICES, np.arange(len(heads)) % SLICES))


def make(sources: str, **changed: Any) -> AnomaeSettings:
    settings = recipe_settings()
    head = {**settings["head"], "width": 16, "training": {**settings["head"]["training"], "steps": 20, "batch": 16}}
    few = {"pool": 128, "sizes": (32,), "heads": 1, "backbone": "tiny", "weights": "random", "head": head}
    return AnomaeSettings.model_validate({**settings, **few, "sources": sources, **changed})


@pytest.fixture
def stacks(healthy: np.ndarray) -> torch.Tensor:
    """Heads with their neighbours, (n, 3, 1, 32, 32)."""
    images = np.concatenate([healthy[:, None], scans(healthy).neighbours(slice(None))], axis=1)
    return torch.from_numpy(images).clamp(0, 1)


@pytest.fixture(scope="module")
def fitted(healthy: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Any:
    detector = Anomae(make("features,pixels,neighbours"))
    return detector.fit(scans(healthy), seed=0, folder=tmp_path_factory.mktemp("anomae"))


def test_what_is_in_the_neighbours_too_is_told_from_what_is_not(stacks: torch.Tensor) -> None:
    """The slice is the same: only the evidence of its neighbours can tell a lesion that goes on from one that stops."""
    pixels = Pixels()
    alone, evidence = (Evidence(sources, (32, 32), 8) for sources in ([pixels], [pixels, Neighbours([pixels])]))
    evidence = evidence.measured(evidence.raw(stacks))
    stops = stacks.clone()
    stops[:, 0, :, 8:16, 16:24] = 1.0
    goes_on = stops.clone()
    goes_on[:, 1:, :, 8:16, 16:24] = 1.0
    assert torch.equal(alone.of(stops), alone.of(goes_on))
    apart, same = (evidence.of(given)[:, 4:] for given in (stops, goes_on))
    mean = 0  # of the channels of `Pixels`
    assert (apart[:, mean, 1, 2] > 3).all()  # spreads of what healthy slices differ by
    assert (apart[:, mean, 1, 2] > same[:, mean, 1, 2] + 3).all()
    elsewhere = torch.ones(4, 4, dtype=torch.bool)
    elsewhere[1, 2] = False
    assert torch.equal(apart[..., elsewhere], same[..., elsewhere])


def test_it_is_every_channel_minus_the_mean_of_both_sides(stacks: torch.Tensor) -> None:
    """Against the channels of each slice taken one by one."""
    images = stacks[:6]
    tiny = Features("tiny", *make_backbone("tiny", "random", torch.Generator().manual_seed(0), stacks[:8, 0, 0]))
    of_slices, compared = Evidence([tiny, Pixels()], (48, 48), 8), Evidence([Neighbours([tiny, Pixels()])], (48, 48), 8)
    here, below, above = (of_slices.raw(images[:, index].contiguous()) for index in range(3))
    assert torch.allclose(compared.raw(images), here - (below + above) / 2, atol=1e-5)


def test_samples_go_on_into_their_neighbours(stacks: torch.Tensor) -> None:
    many = stacks.repeat(5, 1, 1, 1, 1)
    samples = make_samples(many, LesionSettings(families=("blob",)), torch.Generator().manual_seed(0))
    again = make_samples(many, LesionSettings(families=("blob",)), torch.Generator().manual_seed(0))
    assert samples.images.shape == many.shape
    assert samples.changed.shape == many[:, 0, 0].shape
    assert torch.equal(samples.images, again.images)
    assert 0 < int((samples.family == HEALTHY).sum()) < len(many)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_lesion_is_in_both_neighbours_about_where_it_is_in_the_slice(stacks: torch.Tensor, family: str) -> None:
    middle = stacks[2::SLICES].repeat(8, 1, 1, 1, 1)  # slices that have both neighbours
    made, seen = altered_by(middle, family, torch.Generator().manual_seed(0))
    changed = (made - middle).abs()[:, :, 0]
    assert torch.equal(seen, (changed[:, 0] > 0).flatten(1).any(1))
    both = (changed[:, 1:] > 0.032).flatten(2).any(2)
    assert both[(changed[:, 0] > 0.1).flatten(1).any(1)].float().mean() > 0.6
    inside = changed[:, 0] > 0.01
    assert changed[:, 1:].amax(1)[inside].mean() > 4 * changed[:, 1:].amax(1)[~inside].mean()


def test_where_a_slice_stands_for_its_neighbour_it_does_so_with_its_lesion(stacks: torch.Tensor) -> None:
    first = stacks[::SLICES]  # there is none below
    samples = make_samples(first, LesionSettings(families=("blob",)), torch.Generator().manual_seed(0))
    assert torch.equal(samples.images[:, 1], samples.images[:, 0])
    assert not (samples.images[:, 2] == samples.images[:, 0]).flatten(1).all(1).any()
    altered, _ = altered_by(first, "blob", torch.Generator().manual_seed(0))
    assert torch.equal(altered[:, 1], altered[:, 0])
    assert (altered[:, 0] != first[:, 0]).any()


def test_a_score_depends_on_the_slice_and_its_neighbours_alone(fitted: Any, healthy: np.ndarray) -> None:
    images, beside = healthy, scans(healthy).neighbours(slice(None))
    whole = fitted.inspect(images, beside)
    alone = [fitted.inspect(images[i : i + 1], beside[i : i + 1]).scores for i in range(4)]
    assert np.array_equal(np.concatenate(alone), whole.scores[:4])
    order = np.random.default_rng(0).permutation(len(images))
    shuffled = fitted.inspect(images[order], beside[order])
    assert np.array_equal(shuffled.scores, whole.scores[order])
    assert np.array_equal(shuffled.maps, whole.maps[order])
    assert whole.maps.shape == images[:, 0].shape
    assert (fitted.inspect(images).scores != whole.scores).mean() > 0.9


def test_without_neighbours_each_slice_stands_for_its_own(fitted: Any, healthy: np.ndarray) -> None:
    images = healthy[:20]
    itself = fitted.inspect(images, np.repeat(images[:, None], 2, axis=1))
    assert np.array_equal(fitted.inspect(images).scores, itself.scores)
    assert np.array_equal(fitted.inspect(images).maps, itself.maps)


def test_pretext_goes_on_into_the_neighbours(fitted: Any, healthy: np.ndarray) -> None:
    beside = scans(healthy).neighbours(slice(None))
    found, again = fitted.pretext(healthy, beside), fitted.pretext(healthy, beside)
    assert set(found) == set(STANDARD)
    assert all(np.array_equal(found[name], again[name], equal_nan=True) for name in found)
    assert not np.array_equal(found["blob"], fitted.pretext(healthy)["blob"])


def test_who_does_not_look_at_neighbours_says_so(fitted: Any, healthy: np.ndarray, tmp_path: Path) -> None:
    other = Anomae(make("pixels")).fit(scans(healthy), seed=0, folder=tmp_path)
    assert fitted.needs_neighbours
    assert not other.needs_neighbours
    given = np.zeros((4, 2, 1, 32, 32), np.float32)
    images = healthy[:4]
    assert np.array_equal(other.inspect(images, given).scores, other.inspect(images).scores)


def test_where_no_slice_has_a_neighbour_fitting_is_refused(healthy: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="leave the source neighbours out"):
        Anomae(make("pixels,neighbours")).fit(Slices(healthy), seed=0, folder=tmp_path)


def test_neighbours_unlike_the_images_are_refused(fitted: Any, healthy: np.ndarray) -> None:
    images, beside = healthy[:4], np.repeat(healthy[:4, None], 2, axis=1)
    for wrong in (beside[:3], beside[:, :1], beside[:, :, 0], beside[..., :16]):
        with pytest.raises(UserError, match="two of the same shape"):
            fitted.inspect(images, wrong)
    beside[2, 1, 0, 3, 3] = np.nan
    for asked in (fitted.inspect, fitted.pretext):
        with pytest.raises(UserError, match="not finite"):
            asked(images, beside)


def test_stacks_of_several_channels(healthy: np.ndarray, tmp_path: Path) -> None:
    """The channels of the evidence against those of each slice taken one by one; and a fit that uses them."""
    images = three_channels(healthy)
    stacks = np.concatenate([images[:, None], scans(images).neighbours(slice(None))], axis=1)[:6]
    given = torch.from_numpy(stacks / np.array([1, 120, 8], np.float32)[:, None, None]).clamp(0, 1)
    pixels = Pixels()
    of_slices, compared = Evidence([pixels], (48, 48), 8), Evidence([Neighbours([pixels])], (48, 48), 8)
    here, below, above = (of_slices.raw(given[:, index].contiguous()) for index in range(3))
    assert here.shape == (6, 3 * 4, 6, 6)
    assert torch.allclose(compared.raw(given), here - (below + above) / 2, atol=1e-5)
    fitted = Anomae(make("pixels,neighbours")).fit(scans(images), seed=0, folder=tmp_path)
    beside = scans(images).neighbours(slice(None))
    whole = fitted.inspect(images, beside)
    assert np.array_equal(fitted.inspect(images[7:8], beside[7:8]).scores, whole.scores[7:8])
    assert (fitted.inspect(images).scores != whole.scores).mean() > 0.9
    assert set(fitted.pretext(images[:6], beside[:6])) == set(STANDARD)


@pytest.mark.parametrize(
    ("sources", "kind"), [("neighbours", "area"), ("memory,neighbours", "area"), ("pixels,neighbours", "centre")]
)
def test_neighbours_of_nothing_are_refused(sources: str, kind: str) -> None:
    with pytest.raises(ValidationError):
        make(sources, lesions={"kind": kind})
