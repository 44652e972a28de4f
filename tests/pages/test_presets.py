"""Windows: those of a CT for a CT, the intensities' own for others, and what is guessed is marked so."""

from dataclasses import replace

import numpy as np

from anomae.pages.presets import windows_of
from anomae.reports.ct_windows import CT_WINDOWS, looks_like_ct, window_of_ct, window_sentence
from anomae.volumes.identity import DicomSeries

from .made_up import head, study_of


def as_dicom(volume, modality, body_part=""):
    study = study_of(volume)
    case = replace(study.result.case, modality=modality, body_part=body_part)
    told = replace(volume, dicom=DicomSeries("", "", "", modality, body_part, ()))
    return replace(study, volume=told, result=replace(study.result, case=case))


def chest():
    volume = head((16, 24, 24))
    voxels = np.where(volume.voxels == 0, -1000, np.where(volume.voxels < 320, -700, volume.voxels)).astype(np.int16)
    return replace(volume, voxels=voxels)


def test_a_ct_has_the_usual_windows_and_begins_with_what_it_shows():
    windows = windows_of(as_dicom(chest(), "CT", "CHEST"))
    assert (windows.modality, windows.guessed, windows.unit, windows.first) == ("CT", False, "HU", "lung")
    assert windows.ranges["lung"] == (-1350, 150)
    assert windows.ranges["brain"] == (0, 80)
    assert set(CT_WINDOWS) < set(windows.ranges)
    assert windows_of(as_dicom(chest(), "CT", "HEAD")).first == "brain"


def test_hounsfield_units_are_recognised_and_said_to_be_guessed():
    windows = windows_of(study_of(chest()))
    assert (windows.modality, windows.guessed, windows.first) == ("CT", True, "lung")
    assert not looks_like_ct(np.array([0.0, 300.0, 600.0]))
    assert not looks_like_ct(np.array([-30000.0, 0.0, 600.0]))
    assert not looks_like_ct(np.array([np.nan]))


def test_an_mr_has_its_own_range():
    windows = windows_of(as_dicom(head((16, 24, 24)), "MR"))
    assert (windows.modality, windows.guessed, windows.unit, windows.first) == ("MR", False, "", "auto")
    assert list(windows.ranges) == ["auto", "tissue", "bright signal", "full range"]
    assert all(low < high for low, high in windows.ranges.values())
    assert windows.ranges["tissue"][0] > 200


def test_pictures_are_drawn_through_the_window_that_the_page_begins_with():
    head_mr, no_grid = head((16, 24, 24)), study_of(chest()).result.case
    for study in (as_dicom(chest(), "CT", "HEAD"), as_dicom(chest(), "CT"), study_of(chest())):
        windows, (name, ends) = windows_of(study), window_of_ct(study.result.case)
        assert (name, ends) == (windows.first, windows.ranges[windows.first])
    for case in (
        as_dicom(head_mr, "MR").result.case,
        as_dicom(chest(), "MR").result.case,
        study_of(head_mr).result.case,
    ):
        assert window_of_ct(case) is None
    assert window_of_ct(replace(no_grid, grid=None)) is None
    assert window_sentence(("brain", (0.0, 80.0))) == "brain window, 0 to 80 HU"
    assert window_sentence(None) == ""


def test_a_ct_whose_values_are_no_hu_has_its_own_range():
    """Derived 0..255, and raw 0..4095: no window of HU would show it."""
    for highest in (255, 4095):
        volume, shown = chest(), (chest().voxels + 1000.0)
        study = as_dicom(replace(volume, voxels=(shown * (highest / shown.max())).astype(np.int16)), "CT", "CHEST")
        windows = windows_of(study)
        assert (windows.modality, windows.unit, windows.first) == ("CT", "", "auto")
        assert list(windows.ranges) == ["auto", "full range"]
        assert window_of_ct(study.result.case) is None


def test_a_constant_scan_has_windows_too():
    volume = head((16, 24, 24))
    flat = study_of(volume)
    flat = replace(flat, result=replace(flat.result, case=replace(flat.result.case, images=np.zeros((3, 1, 8, 8)))))
    assert all(low < high for low, high in windows_of(flat).ranges.values())
