"""The pool of samples on disk: whatever ends its making, it goes on to the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from anomae.arrays import map_array
from anomae.detectors.anomae import pool as pools
from anomae.detectors.anomae.evidence import Evidence
from anomae.detectors.anomae.pool import Pool, make_pool
from anomae.detectors.anomae.settings import LesionSettings
from anomae.detectors.anomae.sources import Pixels

Make = Callable[[str], Pool]


@pytest.fixture
def make(healthy: np.ndarray, tmp_path: Path) -> Make:
    """A pool of 256 samples in a folder of this name."""
    images = torch.from_numpy(healthy).clamp(0, 1)
    evidence = [Evidence([Pixels()], (32, 32), 8)] * 2
    chosen = LesionSettings(curriculum=0.5)

    def made(folder: str) -> Pool:
        given = (lambda at: images[torch.from_numpy(at)], len(images), evidence, chosen)
        return make_pool(tmp_path / folder, 256, *given, 3)

    return made


def stopping_before(chunk: int) -> Callable[..., Any]:
    real, made = pools.make_samples, []

    def stopping(*given: Any) -> Any:
        made.append(1)
        if len(made) > chunk:
            raise KeyboardInterrupt
        return real(*given)

    return stopping


@pytest.mark.parametrize("stopped_before", [None, 3])
def test_killed_before_its_files_were_closed_it_is_the_same(
    make: Make, monkeypatch: pytest.MonkeyPatch, stopped_before: int | None
) -> None:
    whole = make("whole")
    if stopped_before is not None:  # the headers then say what there was at that time
        with monkeypatch.context() as stopped:
            stopped.setattr(pools, "make_samples", stopping_before(stopped_before))
            with pytest.raises(KeyboardInterrupt):
                make("killed")
    with monkeypatch.context() as killed:
        killed.setattr(pools.GrowingArray, "close", lambda array: array._file.close())
        make("killed")
    monkeypatch.setattr(pools, "make_samples", stopping_before(0))  # nothing is missing
    again = make("killed")
    assert len(again) == len(again.evidence[0]) == 256
    for found, expected in zip(again.evidence + again.targets, whole.evidence + whole.targets, strict=True):
        assert np.array_equal(found, expected)
    assert np.array_equal(again.family, whole.family)
    assert np.array_equal(again.strength, whole.strength)


def test_a_file_that_cannot_be_closed_leaves_the_others_whole(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = pools.GrowingArray.close

    def failing(array: Any) -> None:
        real(array)
        if array.path.stem in ("evidence-0", "family"):
            raise OSError(28, "No space left on device", str(array.path))

    with monkeypatch.context() as full:
        full.setattr(pools.GrowingArray, "close", failing)
        with pytest.raises(OSError, match="No space left"):
            make("full")
    assert len(map_array(tmp_path / "full" / "targets-0.npy")) == 256
    assert len(make("full")) == 256
