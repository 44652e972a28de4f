"""The picture of the highest slices: shows them, and marks what was found."""

import numpy as np

from anomae.dicom_results.sc import MOST_SLICES, draw_highest, highest


def test_the_highest_slices_are_shown_in_their_order(scans) -> None:
    *_, study = scans("MR", "axial")
    chosen = highest(study)
    assert len(chosen) == MOST_SLICES
    left = np.setdiff1d(np.arange(len(study.result.scores)), chosen[:, 1])
    assert study.result.scores[chosen[:, 1]].min() >= study.result.scores[left].max()
    assert (np.diff(chosen[:, 0]) > 0).all()


def test_the_lesion_is_outlined_and_a_map_of_nothing_is_grey(scans) -> None:
    *_, study = scans("CT", "tilted")
    picture = draw_highest(study, study.result.map)
    cyan = (picture[..., 0] < 40) & (picture[..., 1] > 200) & (picture[..., 2] > 200)
    assert cyan.sum() > 100
    panels = draw_highest(study, np.zeros_like(study.result.map))[60:, : -100 - 20].astype(int)
    coloured = np.ptp(panels, axis=-1) > 12
    outlined = (panels[..., 2] - panels[..., 0]) > 12
    assert (coloured & ~outlined).mean() < 1e-3
