"""The study page in a real browser: what a person does with it, what they read, and that nothing is asked outside."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomae.pages.study_page import write_study_page
from anomae.volumes.volume import Grid

from .chromium import Opened, pixels, without_webgl
from .made_up import head, picture_study, study_of


def reddish(seen: np.ndarray) -> int:
    """How many pixels have the colours of a map: much more red than blue."""
    return int((seen[..., 0] - seen[..., 2] > 60).sum())


def turquoise(seen: np.ndarray) -> int:
    """How many pixels have the colour of an outline."""
    return int(((seen[..., 1] - seen[..., 0] > 80) & (seen[..., 2] > 120)).sum())


def test_a_person_looks_at_a_volume(browser, page_of_a_head, tmp_path):
    """One visit, since opening takes the seconds: every control, by mouse and by keyboard."""
    opened = Opened(browser, page_of_a_head, 1366, 768, "light")
    page, study = opened.wait(), study_of(head())
    # It begins at the highest finding and says the numbers of that slice and voxel.
    finding = study.regions.findings[0]
    z = finding.peak[0]
    assert opened.text("slice-number") == f"{z} (0 to 31)"
    assert opened.text("slice-score") == f"score {study.result.scores[z]:.4g}, flagged"
    assert opened.text("slice-share") == "higher than 100 % of 60 healthy slices of 30 patients"
    assert opened.text("voxel-value") == str(study.volume.voxels[finding.peak])
    assert float(opened.text("map-value")) == pytest.approx(finding.maximum, abs=0.4 / 255)
    assert opened.text("verdict").startswith("Flagged")
    box = page.locator("#strip").bounding_box()
    assert box["y"] + box["height"] < 768  # scores are seen without scrolling
    seen = pixels(opened, tmp_path)
    assert reddish(seen) > 200
    assert turquoise(seen) > 100

    # Wheel over the axial plane, the large one on the left: a slice a notch.
    place = page.locator("#viewer").bounding_box()
    page.mouse.move(place["x"] + place["width"] * 0.3, place["y"] + place["height"] * 0.5)
    page.mouse.wheel(0, 100)
    opened.until(f"document.getElementById('slice-number').textContent !== '{z} (0 to 31)'")
    assert opened.text("slice-number") == f"{z - 1} (0 to 31)"  # down, as with the key: towards the feet

    # Opacity takes the map away and leaves the scan.
    page.locator("#opacity").focus()
    page.keyboard.press("Home")
    assert opened.text("opacity-said") == "0 %"
    page.locator("#outlined").uncheck()
    page.locator("#findings tbody tr").nth(0).click()
    bare = pixels(opened, tmp_path)
    assert reddish(bare) == 0
    assert turquoise(bare) == 0
    assert (bare[..., 0] > 60).sum() > 1000
    page.locator("#opacity").focus()
    page.keyboard.press("End")

    # A finding is one click, or the keyboard, away.
    second = study.regions.findings[1]
    page.locator("#findings button").nth(1).focus()
    page.keyboard.press("Enter")
    assert opened.text("slice-number") == f"{second.peak[0]} (0 to 31)"
    assert float(opened.text("map-value")) == pytest.approx(second.maximum, abs=0.4 / 255)
    assert page.locator("#findings button").nth(1).get_attribute("aria-pressed") == "true"
    page.keyboard.press("n")
    assert opened.text("slice-number") == f"{z} (0 to 31)"

    # The strip: a click, and arrow keys as a slider has them.
    inner = page.locator("#strip svg").bounding_box()
    page.mouse.click(inner["x"] + inner["width"] * (3.5 / 32), inner["y"] + 20)
    assert opened.text("slice-number") == "3 (0 to 31)"
    assert opened.text("slice-score") == "score 0, not flagged"
    page.locator("#strip").focus()
    page.keyboard.press("ArrowUp")
    assert page.locator("#strip").get_attribute("aria-valuenow") == "4"
    assert "not flagged" in page.locator("#strip").get_attribute("aria-valuetext")
    page.keyboard.press("f")
    assert opened.text("slice-number") == "7 (0 to 31)"

    # Windows: a preset, and by hand.
    page.locator("#window").select_option("full range")
    assert (page.locator("#level").input_value(), page.locator("#width").input_value()) == ("290", "580")
    page.locator("#level").fill("2000")
    page.locator("#level").press("Enter")
    assert page.locator("#window").input_value() == ""
    assert (pixels(opened, tmp_path)[100:200, 150:250] < 40).mean() > 0.9  # all of it darker than black

    # One plane at a time.
    page.locator("#viewer").focus()
    page.keyboard.press("3")
    assert page.locator("#layouts [data-layout=coronal]").get_attribute("aria-pressed") == "true"
    assert page.evaluate("study.viewer.tiles().map(tile => tile.axCorSag)") == [1]
    page.keyboard.press("1")
    assert sorted(page.evaluate("study.viewer.tiles().map(tile => tile.axCorSag)")) == [0, 1, 2]

    # All slices, as a table.
    page.locator("#all-slices summary").click()
    page.locator("#slice-rows button").nth(20).click()
    assert page.locator("#slice-rows tr").count() == 32
    assert opened.text("slice-number") == "20 (0 to 31)"
    opened.is_quiet()


def test_every_control_can_be_reached_and_has_a_name(browser, page_of_a_head):
    opened = Opened(browser, page_of_a_head, 1366, 768, "dark")
    page = opened.wait()
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(228, 233, 237)"
    unnamed = page.evaluate("""[...document.querySelectorAll('button, input, select, [tabindex]')].filter(each =>
        each.offsetParent && each.tabIndex >= 0 && !each.getAttribute('aria-label') && !each.labels?.length
        && !each.textContent.trim() && !each.getAttribute('aria-labelledby')).map(each => each.outerHTML)""")
    assert unnamed == []
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.dataset.layout || ''"))
    assert {"theme", "axial", "window", "level", "width", "opacity", "outlined", "viewer", "strip"} <= reached
    page.locator("#theme").click()
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(31, 41, 51)"
    opened.is_quiet()


@pytest.mark.parametrize("colour", [False, True])
def test_a_picture_gets_the_viewer_alone(browser, tmp_path, colour):
    side = np.linspace(-1, 1, 48)
    across, down = np.meshgrid(side, side)
    grey = 90 * (across**2 + down**2 < 0.8) + 160 * ((across - 0.4) ** 2 + (down + 0.2) ** 2 < 0.03)
    picture = np.repeat(grey[..., None], 3, axis=2) * (np.array([1, 0.8, 0.6]) if colour else 1)
    source = tmp_path / "Smith_John.png"
    Image.fromarray(picture.astype(np.uint8) if colour else picture[..., 0].astype(np.uint8)).save(source)
    study = picture_study(source, colour=colour)
    write_study_page(study, tmp_path / "study.html")
    text = (tmp_path / "study.html").read_text(encoding="utf-8")
    assert "niivue" not in text.lower()
    assert len(text) < 120_000
    opened = Opened(browser, tmp_path / "study.html", 1366, 768, "light")
    page = opened.wait()
    assert page.locator("#viewer canvas").count() == 1
    assert page.locator("#strip").count() == 0
    peak = study.regions.findings[0].peak
    said = picture[peak[1], peak[2]].astype(np.uint8)
    assert opened.text("voxel-value") == (", ".join(str(each) for each in said) if colour else str(said[0]))
    assert float(opened.text("map-value")) == pytest.approx(study.regions.findings[0].maximum, abs=0.4 / 255)
    seen = pixels(opened, tmp_path)
    assert turquoise(seen) > 50
    # What is bright on the right of the picture is on the right of the page, and upper.
    rows, columns = np.nonzero(seen[..., 0] - seen[..., 2] > 50) if not colour else np.nonzero(turquoise_at(seen))
    assert columns.mean() > 0.52 * seen.shape[1]
    assert rows.mean() < 0.5 * seen.shape[0]
    opened.is_quiet()


def turquoise_at(seen: np.ndarray) -> np.ndarray:
    return (seen[..., 1] - seen[..., 0] > 80) & (seen[..., 2] > 120)


def test_without_webgl_the_axial_slices_are_still_shown(browser, page_of_a_head, tmp_path):
    opened = Opened(browser, without_webgl(page_of_a_head, tmp_path), 1366, 768, "light")
    opened.wait()
    assert "axial slices are shown instead" in opened.text("no-planes")
    seen = pixels(opened, tmp_path)
    assert turquoise(seen) > 50
    rows, columns = np.nonzero(turquoise_at(seen))
    # The lesion is on the patient's left and in front: right and above the middle.
    assert columns.mean() > 0.52 * seen.shape[1]
    assert rows.mean() < 0.5 * seen.shape[0]
    opened.page.locator("#viewer").focus()
    opened.page.keyboard.press("ArrowDown")
    assert opened.text("slice-number") == "16 (0 to 31)"
    opened.is_quiet()


def test_the_lesion_lies_in_the_planes_where_it_lies_in_the_patient(browser, tmp_path):
    """A volume that is stored sagittally, from head to feet: the page shows it as the axial one of the same patient."""
    straight = head()
    turned_voxels = straight.voxels.transpose(2, 0, 1)[:, ::-1, :]  # axes x, z (down), y
    grid = Grid((32, 32, 32), (1.5, 2.0, 1.5), (-24.0, -24.0, 30.0), (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0))
    turned = type(straight)(np.ascontiguousarray(turned_voxels), grid, Path("x.nii.gz"), "nifti")
    seen = []
    for name, volume in (("straight", straight), ("turned", turned)):
        study = study_of(volume)
        write_study_page(study, tmp_path / f"{name}.html")
        opened = Opened(browser, tmp_path / f"{name}.html", 1000, 768, "light")
        page = opened.wait()
        page.evaluate("study.viewer.goTo([20, 19, 10])")
        seen.append((pixels(opened, tmp_path), opened.text("voxel-value"), opened.text("map-value")))
        opened.is_quiet()
    assert seen[0][1:] == seen[1][1:] == ("580", "0.4")
    assert np.abs(seen[0][0] - seen[1][0]).mean() < 0.5
    left = seen[0][0][:, : seen[0][0].shape[1] * 6 // 10]
    rows, columns = np.nonzero(left[..., 0] - left[..., 2] > 50)
    assert columns.mean() > 0.52 * left.shape[1]  # on the patient's left, which is on the right
    assert rows.mean() < 0.5 * left.shape[0]  # in front, which is above


def test_identifiers_stay_out_unless_asked_for(tmp_path):
    volume = head()
    study = study_of(volume, reasons=("Smith_John_19600101.nii.gz of 1.2.840.113619.2.55.3.604688 is a CT.",))
    write_study_page(study, tmp_path / "plain.html")
    write_study_page(study, tmp_path / "named.html", identify=True)
    plain, named = ((tmp_path / f"{name}.html").read_text(encoding="utf-8") for name in ("plain", "named"))
    for secret in ("Smith", "John", "19600101", "pseudonym-of-smith", "1.2.840"):
        assert secret not in plain
        assert secret in named
    assert "is a CT" in plain


def test_a_scan_the_model_was_not_made_for_is_said_and_not_flagged(tmp_path):
    study = study_of(head(), reasons=("It is a CT, and the model learned from MR.",))
    write_study_page(study, tmp_path / "study.html")
    text = (tmp_path / "study.html").read_text(encoding="utf-8")
    assert "The model was not made for this scan." in text
    assert "<strong>No flag</strong>" in text
    assert "not flagged" not in text.lower().split("<script")[0]


def test_no_calibration_no_flag_no_findings_and_why(tmp_path):
    write_study_page(study_of(head(), healthy=None), tmp_path / "study.html")
    text = (tmp_path / "study.html").read_text(encoding="utf-8")
    assert "keeps no scores of healthy people" in text
    assert 'id="findings"' not in text
    assert "For research only. Not for clinical use" in text


def test_where_no_findings_were_looked_for_the_page_says_so_and_marks_no_threshold(tmp_path):
    study = study_of(head(), reasons=("It is a CT.",))
    write_study_page(replace(study, regions=None), tmp_path / "study.html")
    text = (tmp_path / "study.html").read_text(encoding="utf-8")
    assert "No findings were looked for: the model was not made for this scan." in text
    assert "findings are above" not in text


def test_a_large_volume_is_shown_smaller_and_it_is_said(browser, tmp_path):
    study = study_of(head((33, 40, 44)))
    write_study_page(study, tmp_path / "study.html", most_bytes=20_000)
    opened = Opened(browser, tmp_path / "study.html", 1366, 768, "light")
    page = opened.wait()
    assert re.match(r"Shown at reduced resolution: \d+ x \d+ x \d+ of 33 x 40 x 44 voxels", opened.text("resolution"))
    finding = study.regions.findings[0]
    assert opened.text("slice-number") == f"{finding.peak[0]} (0 to 32)"
    assert float(opened.text("map-value")) == pytest.approx(finding.maximum, abs=0.4 / 255)
    page.locator("#strip").focus()
    page.keyboard.press("ArrowUp")
    assert opened.text("slice-number") != f"{finding.peak[0]} (0 to 32)"
    opened.is_quiet()


def test_the_watch_itself_bites(browser, tmp_path):
    page = tmp_path / "bad.html"
    page.write_text("<img src='https://example.org/x.png'><script>console.log('x'); nothing()</script>", "utf-8")
    opened = Opened(browser, page, 800, 600, "light")
    assert len(opened.complaints) >= 2
    with pytest.raises(AssertionError):
        opened.is_quiet()
