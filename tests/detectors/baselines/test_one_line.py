"""Measures of one line: what every report has beside the scores, to the last bit."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from anomae.detectors.baselines.one_line import OneLine
from anomae.detectors.baselines.settings import OneLineSettings
from anomae.slices.measures import MEASURES
from anomae.slices.store import Slices
from anomae.stages.prepare import prepare
from anomae.statistics.trivial_baselines import TRIVIAL_BASELINES, intensity_baselines


def images(count: int = 12) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 40, 37)).astype(np.float32)


def test_every_measure_of_the_reports_can_be_chosen() -> None:
    assert set(get_args(OneLineSettings.model_fields["measure"].annotation)) == {*MEASURES, "area"}
    assert set(MEASURES) <= set(TRIVIAL_BASELINES)


@pytest.mark.parametrize("measure", MEASURES)
def test_scores_are_those_of_the_reports_to_the_last_bit(measure: str, tmp_path: Path) -> None:
    detector = OneLine(OneLineSettings(measure=measure)).fit(Slices(images()), seed=0, folder=tmp_path)
    new = images(20)
    beside = intensity_baselines(new[start : start + 7] for start in range(0, len(new), 7))
    assert np.array_equal(detector.inspect(new[:, None]).scores, beside[measure])


def test_a_level_that_is_given_is_used(tmp_path: Path) -> None:
    detector = OneLine(OneLineSettings(measure="area", level=0.5)).fit(Slices(images()), seed=0, folder=tmp_path)
    assert np.array_equal(detector.inspect(images()[:, None]).scores, (images() > 0.5).mean(axis=(1, 2)))


@pytest.mark.parametrize("measure", ["area", "mean", "brightest_spot_5"])
def test_of_several_channels_their_mean_is_measured(measure: str, tmp_path: Path) -> None:
    channels = np.stack([images(), 2 * images()[::-1], images() ** 2], axis=1)
    pictures = channels.mean(axis=1, dtype=np.float32)
    settings = OneLineSettings(measure=measure)
    together, alone = (OneLine(settings).fit(Slices(each), seed=0, folder=tmp_path) for each in (channels, pictures))
    assert together.level == alone.level
    assert np.array_equal(together.inspect(channels).scores, alone.inspect(pictures[:, None]).scores)


def test_the_area_of_the_prepared_image_is_nearly_that_of_the_scan(tmp_path: Path) -> None:
    store = prepare("phantom", "heads:4", tmp_path / "store", workers=0, options={"size": "10x40x40"})
    everything = store.select(np.arange(len(store.index)))
    detector = OneLine(OneLineSettings(measure="area")).fit(everything, seed=0, folder=tmp_path)
    area = detector.inspect(everything.read(slice(None))).scores
    known = store.index.body_fraction
    assert known.max() - known.min() > 0.2
    assert np.abs(area - known).max() < 0.05
