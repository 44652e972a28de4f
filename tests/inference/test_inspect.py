"""A study is the scan's scores with all that is decided about them; nothing is kept between calls."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anomae.detectors.protocol import Findings
from anomae.inference.decision import HealthyScores
from anomae.inference.inspect import Model, inspect_slices, inspect_volume, regions_of
from anomae.inference.reference import reference_of
from anomae.inference.score_volume import score_volume
from anomae.slices.settings import PrepareSettings
from anomae.volumes.volume import Grid, Volume


class Brightness:
    """Its map is the prepared image, its score the mean."""

    name, map_name, description = "brightness", "brightness", ""

    def inspect(self, images):
        return Findings(images.mean(axis=(1, 2, 3), dtype=np.float64), images[:, 0].copy())


def a_volume(seed=0, lesion=True, spacing=1.5):
    voxels = np.random.default_rng(seed).uniform(40, 60, (6, 24, 20)).astype(np.float32)
    voxels[2:4, 4:9, 4:9] += 300 * lesion
    return Volume(voxels, Grid(voxels.shape, (3.0, spacing, spacing)), Path("scan"), "array", patient="hash")


@pytest.fixture
def model():
    person = np.arange(200) // 5
    healthy = HealthyScores(np.linspace(0.10, 0.14, 200), np.linspace(0.2, 0.4, 200), person, "patient", "made up")
    settings = PrepareSettings.model_validate({"image_size": 32, "intensity": "window", "window_hu": (0, 400)})
    reference = reference_of([Grid((6, 24, 20), (3.0, 1.5, 1.5))], scans=1, modalities=["MR"])
    return Model(Brightness(), settings, healthy, reference, "0123456789abcdef")


def test_it_has_the_scores_of_the_scan_and_decides_about_them(model):
    volume = a_volume()
    study, alone = (
        inspect_volume(volume, model, name="a", patient="b"),
        score_volume(volume, Brightness(), model.settings),
    )
    np.testing.assert_array_equal(study.result.scores, alone.scores)
    np.testing.assert_array_equal(study.result.map, alone.map)
    assert study.volume is volume
    assert (study.name, study.patient, study.detector, study.model) == ("a", "b", "brightness", "0123456789ab")
    assert study.decision.scan_flag == (alone.scores.max() > model.rules().scan.threshold)
    assert np.flatnonzero(study.decision.flags).tolist() == [2, 3]
    assert study.suitability.suited
    assert len(study.regions.findings) == 1
    assert study.regions.findings[0].slices == (2, 3)
    np.testing.assert_array_equal(study.regions.labels > 0, alone.map > model.rules().finding.threshold)


def test_what_it_was_not_made_for_is_neither_flagged_nor_searched_unless_forced(model):
    study = inspect_volume(replace(a_volume(), grid=Grid((6, 24, 20), (3.0, 9.0, 9.0))), model)
    assert (study.decision.flags, study.decision.scan_flag, study.regions) == (None, None, None)
    assert "9 mm wide" in study.decision.unflagged
    forced = inspect_volume(study.volume, model, force=True)
    assert forced.decision.scan_flag is True
    assert len(forced.regions.findings) == 1
    assert not forced.suitability.suited


def test_a_picture_that_looks_unlike_is_judged_and_its_notes_say_so(model):
    dark = replace(model, reference=replace(model.reference, levels=((0.0, 0.01), (0.0, 0.01), (0.0, 0.02))))
    volume = a_volume()
    picture = replace(volume, voxels=volume.voxels[2:3], grid=Grid((1, 24, 20), (3.0, 1.5, 1.5)))
    study = inspect_volume(picture, dark)
    assert study.decision.scan_flag is True
    assert len(study.regions.findings) == 1
    assert study.result.notes[-1:] == study.suitability.doubts
    assert "a lesion alone can do that" in study.result.notes[-1]
    assert inspect_volume(picture, model).result.notes == study.result.notes[:-1]
    silent = inspect_volume(picture, replace(dark, healthy=None))
    assert silent.decision.scan_flag is None
    assert "judged" not in silent.result.notes[-1]


def test_a_picture_that_is_refused_for_its_kind_has_no_note_that_it_is_not(model):
    changed = replace(model.reference, levels=((0.0, 0.01),) * 3, pixel_mm=(20.0, 21.0))
    volume = a_volume()
    picture = replace(volume, voxels=volume.voxels[2:3], grid=Grid((1, 24, 20), (3.0, 1.5, 1.5)))
    study = inspect_volume(picture, replace(model, reference=changed))
    assert study.decision.scan_flag is None
    assert not any("refused" in note for note in study.result.notes)
    assert "those of the training scans 20 to 21" in study.decision.unflagged
    assert "tissue has a prepared intensity" in study.decision.unflagged


def test_bounds_and_threshold_are_the_caller_s(model):
    loose = inspect_volume(a_volume(), model, bounds=(0.5, 0.5))
    assert loose.decision.rules == model.rules((0.5, 0.5))
    by_hand = inspect_volume(a_volume(lesion=False), model, threshold=0.0)
    assert by_hand.decision.flags.all()
    assert by_hand.decision.rules.scan.given


def test_a_model_with_nothing_beside_it_scores_and_says_what_it_lacks(model):
    bare = Model(Brightness(), model.settings)
    study = inspect_volume(a_volume(), bare)
    assert (study.decision.scan_flag, study.regions, study.decision.shares_below) == (None, None, None)
    assert study.suitability.suited
    assert len(bare.lacks()) == 2
    assert model.lacks() == model.lacks("cpu fp32") == []
    on_cuda = replace(model, healthy=replace(model.healthy, computed_on="cuda bf16"))
    assert "computed on cuda bf16, and these scans are scored on cpu fp32" in on_cuda.lacks("cpu fp32")[0]
    assert on_cuda.lacks("cuda bf16") == []


def test_slices_without_a_volume_give_the_same(model):
    study = inspect_volume(a_volume(), model)
    again = inspect_slices(study.result.case, model, model.rules())
    assert again.volume is None
    np.testing.assert_array_equal(again.result.scores, study.result.scores)
    assert again.decision.scan_flag == study.decision.scan_flag
    assert regions_of(replace(study.result, map=None), model.rules()) is None
