"""Of the highest slices is kept what pictures need: a CT through its window, all else between its own ends as ever."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anomae.inference.study import Study
from anomae.reports.overlays import draw_overlays, grey_range
from anomae.runs.scoring_folder import ScoringFolder
from anomae.stages.write_study import write_study

from ..pages.made_up import head, study_of


def as_kind(modality: str) -> Study:
    volume = head((9, 16, 16))
    voxels = np.where(volume.voxels == 0, -1000, volume.voxels // 8).astype(np.int16)
    study = study_of(replace(volume, voxels=voxels), name="a")
    case = replace(study.result.case, modality=modality, body_part="HEAD")
    return replace(study, result=replace(study.result, case=case))


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_a_ct_is_kept_through_its_window_and_that_is_named(tmp_path: Path, modality: str) -> None:
    study = as_kind(modality)
    file = tmp_path / "a.nii.gz"
    file.touch()
    folder = ScoringFolder(tmp_path / "out", "m")
    folder.add(write_study(file, study, folder, 1))
    case = study.result.case
    low, high = (0, 80) if modality == "CT" else grey_range(case.images)
    with np.load(folder.highest_path("a")) as kept:
        shown = case.images[int(kept["slices"][0]), 0].astype(np.float32)
        expected = np.asarray(np.clip((shown - np.float32(low)) / (high - low), 0, 1) * 255, dtype=np.uint8)
        np.testing.assert_allclose(kept["grey"][0].astype(int), expected.astype(int), atol=1)
        said = str(kept["window"]) if "window" in kept else ""
    assert said == ("brain window, 0 to 80 HU" if modality == "CT" else "")
    draw_overlays(folder, 1, None, "share")
    assert len(folder.overlays("a")) == 1
