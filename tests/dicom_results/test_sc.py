"""The picture of the highest slices: shows them, and marks what was found."""

import numpy as np

from anomae.dicom_results.sc import draw_highest


def test_the_lesion_is_outlined_and_a_map_of_nothing_is_grey(scans) -> None:
    *_, study = scans("CT", "tilted")
    picture = draw_highest(study, study.result.map)
    cyan = (picture[..., 0] < 40) & (picture[..., 1] > 200) & (picture[..., 2] > 200)
    assert cyan.sum() > 100
    panels = draw_highest(study, np.zeros_like(study.result.map))[60:, : -100 - 20].astype(int)
    coloured = np.ptp(panels, axis=-1) > 12
    outlined = (panels[..., 2] - panels[..., 0]) > 12
    assert (coloured & ~outlined).mean() < 1e-3
