"""A study from what was kept is the study that was inspected."""

from dataclasses import replace

import numpy as np
import pytest

from anomae.errors import UnreadableScan
from anomae.inference.earlier import earlier_study

from ..pages.made_up import head, judged_as, study_of


def test_nothing_of_a_study_is_lost():
    study = study_of(head((9, 16, 16)))
    again = earlier_study(
        study.result.case, study.volume, judged_as(study), study.result.map, detector="bright", map_name="m", model="0"
    )
    np.testing.assert_array_equal(again.result.scores, study.result.scores)
    np.testing.assert_array_equal(again.result.kept, study.result.kept)
    np.testing.assert_array_equal(again.result.positions_mm, study.result.positions_mm)
    np.testing.assert_array_equal(again.regions.labels, study.regions.labels)
    assert again.regions.findings == study.regions.findings
    assert (again.name, again.patient, again.decision) == (study.name, study.patient, study.decision)


def test_what_was_doubted_still_is():
    study = study_of(head((9, 16, 16)))
    judged = judged_as(study)
    judged = replace(judged, scan=replace(judged.scan, doubts=["It looks unlike."]))
    again = earlier_study(study.result.case, None, judged, None, detector="", map_name="", model="")
    assert again.suitability.doubts == ("It looks unlike.",)


def test_a_scan_that_has_changed_is_no_study():
    study = study_of(head((9, 16, 16)))
    other = study_of(head((9, 16, 20))).result.case
    with pytest.raises(UnreadableScan, match="not what it was"):
        earlier_study(other, None, judged_as(study), study.result.map, detector="", map_name="", model="")
    judged = judged_as(study)
    longer = replace(judged, scan=replace(judged.scan, slices=[*judged.scan.slices, 99]))
    with pytest.raises(UnreadableScan, match="not what it was"):
        earlier_study(study.result.case, None, longer, None, detector="", map_name="", model="")
