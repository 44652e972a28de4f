"""The study page on paper, after Back, in narrow columns, with other keys: what is said is what is shown."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anomae.pages.study_page import write_study_page
from anomae.volumes.volume import Grid

from .chromium import Opened
from .made_up import head, study_of

CONTROLS = """[document.getElementById('opacity').value, document.getElementById('opacity-said').textContent,
    document.getElementById('outlined').checked, study.viewer.outlined, study.viewer.nv.volumes[1].opacity]"""
# The least contrast of text with what is behind it, by WCAG 2.
CONTRAST = """(element => {
    const light = colour => colour.match(/[\\d.]+/g).slice(0, 3).map(Number).map(value => value / 255)
        .map(value => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
        .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
    let behind = element;
    while (getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') behind = behind.parentElement;
    const both = [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor].map(light).sort();
    return (both[1] + 0.05) / (both[0] + 0.05); })"""


def test_a_study_on_paper_is_light_whole_and_in_proportion(browser, page_of_a_head):
    opened = Opened(browser, page_of_a_head, 1366, 768, "dark")
    page = opened.wait()
    page.emulate_media(media="print", color_scheme="dark")
    style = "(what => getComputedStyle(document.querySelector(what)))"
    assert page.evaluate(f"{style}('body').color") == "rgb(31, 41, 51)"
    assert page.evaluate(f"{style}('.looking').backgroundColor") == "rgb(255, 255, 255)"
    fits = (
        "[...document.querySelectorAll('#viewer canvas')].every(each => getComputedStyle(each).objectFit === 'contain')"
    )
    assert page.evaluate(fits)
    assert page.evaluate(f"{style}('.scroll').overflow") == "visible"
    assert page.evaluate(f"{style}('.scroll').maxHeight") == "none"
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_after_back_the_controls_say_what_is_drawn(browser, page_of_a_head, tmp_path):
    opened = Opened(browser, page_of_a_head, 1366, 768, "light")
    page = opened.wait()
    page.locator("#opacity").fill("30")
    page.locator("#outlined").uncheck()
    (tmp_path / "other.html").write_text("<p>Other</p>")
    page.goto((tmp_path / "other.html").as_uri())
    page.go_back()
    opened.wait()
    page.wait_for_load_state()
    opened.page.wait_for_timeout(100)
    percent, said, checked, drawn, opacity = page.evaluate(CONTROLS)
    assert said == f"{percent} %"
    assert checked == drawn
    assert opacity == int(percent) / 100


def test_keys_work_after_a_click_on_a_control(browser, page_of_a_head):
    opened = Opened(browser, page_of_a_head, 1366, 768, "light")
    page = opened.wait()
    for control in ("outlined", "opacity"):
        page.locator(f"#{control}").click()
        before = page.evaluate("study.state.chosen")
        page.keyboard.press("n")
        assert page.evaluate("study.state.chosen") != before
    page.locator("#level").fill("100")
    before = page.evaluate("study.state.chosen")
    page.keyboard.press("n")
    assert page.evaluate("study.state.chosen") == before  # typed


def test_the_chosen_finding_is_seen_in_its_box(browser, tmp_path):
    study = study_of(head())
    [*found] = study.regions.findings
    many = replace(study.regions, findings=tuple(replace(found[0], number=number) for number in range(1, 30)))
    write_study_page(replace(study, regions=many), tmp_path / "study.html")
    opened = Opened(browser, tmp_path / "study.html", 1366, 768, "light")
    page = opened.wait()
    for key, number in (("p", 29), ("n", 1)):
        page.keyboard.press(key)
        assert page.evaluate("study.state.chosen") == number
        top, bottom, above, below = page.evaluate("""[document.querySelector('#findings tr.is-chosen'),
            document.querySelector('.side .scroll')].flatMap(each => { const box = each.getBoundingClientRect();
            return [box.top, box.bottom]; })""")
        assert above - 1 <= top < bottom <= below + 1
    assert page.evaluate("scrollY") == 0  # and the page stays


def test_long_numbers_have_room(browser, tmp_path):
    grid = Grid((32, 32, 32), (2.0, 1.5, 1.5), (-1024.0, -1124.0, -1032.0))
    study = study_of(head(grid=grid))
    scores = replace(study.decision, scores=study.decision.scores * 0.0123456)
    write_study_page(replace(study, decision=scores), tmp_path / "study.html")
    opened = Opened(browser, tmp_path / "study.html", 1280, 768, "light")
    page = opened.wait()
    wide, seen = page.evaluate("(box => [box.scrollWidth, box.clientWidth])(document.querySelector('.side .scroll'))")
    assert wide <= seen
    bars = page.locator("#strip svg").bounding_box()
    for tick in page.locator("#strip .tick").all():
        room = page.evaluate("each => [each.scrollWidth <= each.clientWidth, each.offsetHeight]", tick.element_handle())
        assert room[0]
        assert room[1] < 24  # one line
        box = tick.bounding_box()
        assert box["x"] + box["width"] < bars["x"]


def test_the_cross_is_said_in_world_millimetres(browser, tmp_path):
    """Of a scan whose axes point elsewhere, in full and at reduced resolution."""
    grid = Grid((32, 32, 32), (1.5, 2.0, 1.5), (-24.0, -24.0, 30.0), (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0))
    voxels = np.ascontiguousarray(head().voxels.transpose(2, 0, 1)[:, ::-1, :])
    study = study_of(type(head())(voxels, grid, Path("x.nii.gz"), "nifti"))
    z, y, x = study.regions.findings[0].peak
    world = grid.affine_lps() @ [x, y, z, 1]
    for most in (20_000_000, 8_000):
        write_study_page(study, tmp_path / "study.html", most_bytes=most)
        opened = Opened(browser, tmp_path / "study.html", 1280, 768, "light")
        opened.wait()
        said = [float(each) for each in opened.text("cross").removesuffix(" mm").split(",")]
        assert said == pytest.approx(world[:3], abs=0.06)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_name_of_the_colour_can_be_read(browser, page_of_a_head, scheme):
    opened = Opened(browser, page_of_a_head, 1366, 768, scheme)
    word = opened.wait().get_by_text("turquoise", exact=True)
    assert word.evaluate(CONTRAST) >= 4.5


def test_without_scripts_the_page_says_what_it_needs(browser, page_of_a_head):
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(page_of_a_head.as_uri())
    assert page.locator("noscript p").is_visible()
    assert page.locator("#worklist").is_hidden()
