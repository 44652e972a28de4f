"""Where slices lie whose positions were rounded when they were written."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomae.errors import UnreadableScan
from anomae.volumes.dicom_headers import Frame
from anomae.volumes.stacking import stack


def frames(depths):
    """Frames of one series, at these depths in mm."""
    texts = ("study", "series", "instance", "sop_class", "frame_of_reference", "patient", "modality", "body_part")
    given: dict[str, object] = dict.fromkeys(texts, "x")
    given |= {"path": Path("x"), "number": 0, "series_number": 1, "instance_number": 1, "rows": 4, "columns": 4}
    given |= {"voxel_bytes": 2, "orientation": (1.0, 0, 0, 0, 1.0, 0), "spacing_mm": (1.0, 1.0), "depth_mm": 1.0}
    given |= {"slope": 1.0, "intercept": 0.0, "localizer": False}
    return [Frame(**given, position_mm=(3.0, -2.0, depth)) for depth in depths]


@given(st.floats(0.31, 6.0), st.integers(2, 300), st.sampled_from([0.1, 0.01, 0.001]), st.floats(-200, 200))
def test_rounded_positions_keep_every_slice_within_the_rounding(step, count, rounding, start):
    true = start + step * np.arange(count)
    written = np.round(true / rounding) * rounding
    _, grid, notes = stack(Path("x"), frames(written))
    (_, _, first, _), (_, _, last, _) = (grid.affine_lps() @ [0, 0, z, 1] for z in (0, count - 1))
    assert (first, last) == pytest.approx((written[0], written[-1]))
    if not notes:
        return
    places = np.array([(grid.affine_lps() @ [0, 0, z, 1])[2] for z in range(count)])
    assert np.abs(places - written).max() < 1.01 * rounding
    told = re.search(r"right within (\d+\.\d+) mm", notes[0])
    assert told is not None
    assert float(told[1]) == pytest.approx(np.abs(places - written).max(), abs=0.0051)  # to two digits


@pytest.mark.parametrize(
    "odd", [{"position_mm": None}, {"orientation": (0.0, 1.0, 0, 0, 0, 1.0)}, {"spacing_mm": (2.0, 1.0)}]
)
@pytest.mark.parametrize("files", [1, 2])
def test_what_makes_no_volume_is_told_what_to_do_with_its_files(odd, files):
    first, second = frames([0.0, 1.0])
    second = replace(second, **odd, path=Path("y" if files == 2 else "x"))
    with pytest.raises(UnreadableScan) as refused:
        stack(Path("x"), [first, second])
    advice = {1: "; convert it to a volume first.", 2: "; give the files one by one."}
    assert str(refused.value).endswith(advice[files])


def test_a_gap_does_not_stretch_the_step():
    _, grid, notes = stack(Path("x"), frames([0.0, 0.6, 1.3, 1.9, 2.5, 5.0, 5.6]))
    assert grid.spacing_mm[0] == pytest.approx(0.6)
    assert "3 slice(s) seem to be missing" in notes[0]
