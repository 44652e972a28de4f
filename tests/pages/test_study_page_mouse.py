"""The mouse over the picture of a study page: what it changes is what the boxes above say."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomae.pages.study_page import write_study_page

from .chromium import Opened, pixels, without_webgl
from .made_up import head, picture_study, study_of

BOXES = "['window', 'level', 'width'].map(name => document.getElementById(name).value)"
# The window that the picture is drawn with, in the units of the scan, by the viewer itself.
DRAWN = """(() => { const { nv, low, high } = study.viewer, { slope, intercept } = study.facts.scan;
  return nv ? [nv.volumes[0].cal_min, nv.volumes[0].cal_max].map(value => value * slope + intercept) : [low, high];
})()"""


def drag(opened: Opened, across: int, down: int) -> None:
    """From the middle of the left of the viewer, with the right button."""
    box = opened.page.locator("#viewer").bounding_box()
    x, y = box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"]
    opened.page.mouse.move(x, y)
    opened.page.mouse.down(button="right")
    opened.page.mouse.move(x + across, y + down, steps=10)
    opened.page.mouse.up(button="right")


@pytest.mark.parametrize("kind", ["planes", "fractions", "no webgl", "picture"])
def test_the_right_button_changes_the_window_and_the_boxes_say_so(browser, page_of_a_head, tmp_path, kind):
    path = page_of_a_head
    if kind == "fractions":
        path = tmp_path / "study.html"
        volume = head()
        write_study_page(study_of(replace(volume, voxels=(volume.voxels / 5800).astype(np.float32))), path)
    elif kind == "no webgl":
        path = without_webgl(path, tmp_path)
    elif kind == "picture":
        path = page_of_a_picture(tmp_path, colour=False)
    opened = Opened(browser, path, 1366, 768, "light")
    page = opened.wait()
    page.locator("#outlined").uncheck()
    page.locator("#opacity").fill("0")
    page.locator("#window").select_option("full range")
    at, before = page.evaluate("study.state.at"), pixels(opened, tmp_path)
    _, level, width = page.evaluate(BOXES)
    page.evaluate("document.addEventListener('contextmenu', event => { window.menu = !event.defaultPrevented; })")
    drag(opened, 100, 50)
    name, *said = page.evaluate(BOXES)
    said_level, said_width = (float(each) for each in said)
    assert name == ""
    assert said_width == pytest.approx(float(width) * np.exp(0.5), rel=0.01)
    assert said_level > float(level) + 0.2 * float(width)
    low, high = page.evaluate(DRAWN)
    assert (low + high) / 2 == pytest.approx(said_level, rel=1e-3)
    assert high - low == pytest.approx(said_width, rel=1e-3)
    assert pixels(opened, tmp_path).mean() < 0.8 * before.mean()
    drag(opened, -100, -50)  # all the way back but for the order in which level and width went
    assert float(page.evaluate(BOXES)[2]) == pytest.approx(float(width), rel=0.01)
    assert page.evaluate("study.state.at") == at
    assert page.evaluate("window.menu") is False
    page.locator("summary", has_text="Keys and mouse").click()
    assert page.locator("dt", has_text="right button").is_visible()
    opened.is_quiet()


def test_a_double_click_leaves_the_window_as_it_was_chosen(browser, page_of_a_head):
    opened = Opened(browser, page_of_a_head, 1366, 768, "light")
    page = opened.wait()
    page.locator("#level").fill("100")
    page.locator("#level").press("Enter")
    before = page.evaluate(BOXES), page.evaluate(DRAWN)
    page.locator("#viewer").dblclick(position={"x": 200, "y": 150})
    page.wait_for_timeout(100)
    assert (page.evaluate(BOXES), page.evaluate(DRAWN)) == before


def test_a_picture_in_colour_has_no_window_to_change(browser, tmp_path):
    opened = Opened(browser, page_of_a_picture(tmp_path, colour=True), 1366, 768, "light")
    page = opened.wait()
    before = pixels(opened, tmp_path)
    drag(opened, 100, 50)
    assert (pixels(opened, tmp_path) == before).all()
    assert page.locator("dt", has_text="right button").count() == 0
    opened.is_quiet()


def page_of_a_picture(folder: Path, *, colour: bool) -> Path:
    """Of a disc with a bright one in it."""
    across, down = np.meshgrid(np.linspace(-1, 1, 48), np.linspace(-1, 1, 48))
    grey = 90 * (across**2 + down**2 < 0.8) + 160 * ((across - 0.4) ** 2 + (down + 0.2) ** 2 < 0.03)
    picture = np.repeat(grey[..., None], 3, axis=2) * np.array([1, 0.8, 0.6]) if colour else grey
    Image.fromarray(picture.astype(np.uint8)).save(folder / "disc.png")
    write_study_page(picture_study(folder / "disc.png", colour=colour), folder / "picture.html")
    return folder / "picture.html"
