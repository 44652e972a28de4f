"""The page of many scans in a real browser: flags first, sorted, found, paged; 10,000 rows stay usable."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anomae.pages.index_page import IndexRow, index_row, write_index_page
from anomae.pages.study_page import write_study_page
from anomae.pages.thumbnail import write_thumbnail

from .chromium import Opened
from .made_up import BRIGHTER, HEALTHY, head, judged_as, study_of

SEEN = "[...document.querySelectorAll('#scans tbody tr')].map(row => [...row.cells].map(cell => cell.innerText.trim()))"


def made_up_rows(count: int) -> list[IndexRow]:
    rng = np.random.default_rng(3)
    flags = rng.choice([True, False, None], count, p=[0.1, 0.85, 0.05])
    return [
        IndexRow(
            label=f"scan-{number:08x}",
            page=f"studies/scan-{number:08x}/study.html",
            thumbnail=f"studies/scan-{number:08x}/thumbnail.jpg",
            flag=flag,
            score=float(f"{score:.7g}"),
            highest=int(rng.integers(0, 155)),
            slices=155,
            flagged=None if flag is None else int(rng.integers(0, 40)),
            findings=None if flag is None else int(rng.integers(0, 9)),
            largest_mm3=float(f"{rng.gamma(2, 900):.5g}") if flag else None,
            reason="It is a CT, and the model learned from MR." if flag is None else "",
        )
        for number, (flag, score) in enumerate(zip(flags.tolist(), rng.normal(3, 1, count), strict=True))
    ]


def test_a_person_finds_the_flagged_scans(browser, tmp_path):
    rows = []
    for name, healthy, reasons in (
        ("clear", BRIGHTER, ()),
        ("flagged", HEALTHY, ()),
        ("unsuited", HEALTHY, ("It is a CT, and the model learned from MR.",)),
    ):
        study = study_of(head((12, 24, 24)), healthy=healthy, reasons=reasons, name=name)
        write_thumbnail(study, tmp_path / "studies" / name / "thumbnail.jpg")
        write_study_page(study, tmp_path / "studies" / name / "study.html", index="../../index.html")
        page, picture = f"studies/{name}/study.html", f"studies/{name}/thumbnail.jpg"
        rows.append(index_row(judged_as(study), page, picture, identify=True))
    write_index_page(rows, tmp_path / "index.html", sentences=["A rule."])
    opened = Opened(browser, tmp_path / "index.html", 1366, 768, "light")
    page = opened.wait()
    seen = page.evaluate(SEEN)
    assert [line[1] for line in seen] == ["flagged", "unsuited", "clear"]
    assert [line[3] for line in seen] == ["Flagged", "No flag", "Not flagged"]
    assert seen[0][4] == f"{rows[1].score:.4g}"
    assert "learned from MR" in seen[1][-1]
    opened.until("[...document.images].every(image => image.complete && image.naturalWidth === 160)")
    assert page.locator("#scans img").count() == 3
    assert " ".join(opened.text("counts").split()) == "scans 3 flagged 1 not flagged 1 no flag raised 1"
    page.locator("[data-by=score]").click()
    scores = [float(line[4]) for line in page.evaluate(SEEN)]
    assert scores == sorted(scores, reverse=True)
    assert page.locator("th[aria-sort=descending]").inner_text().strip() == "Score"
    page.locator("#find").fill("mr")
    assert [line[1] for line in page.evaluate(SEEN)] == ["unsuited"]
    page.locator("#find").fill("nothing like it")
    assert page.locator("#nothing").is_visible()
    page.locator("#find").fill("")
    page.locator("#kind").select_option("flagged")
    page.locator("#scans tbody a").nth(1).click()  # the first is the picture
    page.wait_for_url("**/study.html")
    opened.wait()
    assert page.url.endswith("studies/flagged/study.html")
    page.get_by_text("All scans").click()
    page.wait_for_url("**/index.html")
    opened.is_quiet()


def test_ten_thousand_scans_stay_usable(browser, tmp_path):
    rows = made_up_rows(10_000)
    write_index_page(rows, tmp_path / "index.html")
    assert (tmp_path / "index.html").stat().st_size < 3_000_000
    began = time.monotonic()
    opened = Opened(browser, tmp_path / "index.html", 1366, 768, "light")
    page = opened.wait()
    assert time.monotonic() - began < 10
    assert page.locator("#scans tbody tr").count() == 50
    assert opened.text("shown") == "1 to 50 of 10000"
    flagged = sorted((row.score for row in rows if row.flag), reverse=True)
    assert [float(line[3]) for line in page.evaluate(SEEN)] == [float(f"{score:.4g}") for score in flagged[:50]]
    took = page.evaluate("""() => { const began = performance.now();
        document.querySelector('[data-by=largest_mm3]').click(); document.getElementById('last').click();
        document.body.offsetHeight; return performance.now() - began; }""")
    assert took < 3000
    assert opened.text("shown") == "9951 to 10000 of 10000"
    assert page.locator("#next").is_disabled()
    page.locator("#find").fill(rows[1234].label)
    assert opened.text("shown") == "1 to 1 of 1"
    assert len(opened.requests) < 600  # pictures of what was seen alone
    assert [address for address in opened.requests if not address.startswith("file://")] == []


def test_who_comes_back_finds_the_table_as_it_was_left(browser, tmp_path):
    write_index_page(made_up_rows(300), tmp_path / "index.html")
    write_study_page(study_of(head((12, 24, 24))), tmp_path / "study.html")
    opened = Opened(browser, tmp_path / "index.html", 1366, 768, "light")
    page = opened.wait()
    page.locator("#kind").select_option("clear")
    page.locator("#rows").select_option("25")
    page.locator("#find").fill("scan")
    page.locator("[data-by=score]").click()
    page.locator("#next").click()
    looks = """[SEEN, document.getElementById('shown').textContent, ['find', 'kind', 'rows'].map(name =>
        document.getElementById(name).value), document.querySelector('th[aria-sort=descending]').innerText.trim()]"""
    left = page.evaluate(looks.replace("SEEN", SEEN))
    assert left[1].startswith("26 to 50 of")
    for away_and_back in (
        lambda: (page.goto((tmp_path / "study.html").as_uri()), page.go_back()),
        page.reload,
    ):
        away_and_back()
        opened.wait()
        page.wait_for_load_state()
        assert page.evaluate(looks.replace("SEEN", SEEN)) == left


def test_a_very_long_name_leaves_room_for_the_table(browser, tmp_path):
    rows = [replace(row, label="n" * 200, patient="p" * 90) for row in made_up_rows(20)]
    write_index_page(rows, tmp_path / "index.html")
    opened = Opened(browser, tmp_path / "index.html", 1366, 768, "light")
    page = opened.wait()
    wide, seen = page.evaluate("(box => [box.scrollWidth, box.clientWidth])(document.querySelector('.scroll'))")
    assert wide <= seen
    widths = page.evaluate("[...document.querySelectorAll('#scans tbody tr:first-child td')].map(td => td.offsetWidth)")
    assert widths[1] > 90
    assert max(widths) < 420
    write_study_page(study_of(head((12, 24, 24)), name="n" * 200), tmp_path / "study.html", identify=True)
    opened = Opened(browser, tmp_path / "study.html", 800, 768, "light")
    assert opened.wait().evaluate("document.documentElement.scrollWidth") <= 800


def test_a_thumbnail_outlines_what_was_found_where_it_is(tmp_path: Path):
    from PIL import Image

    study = study_of(head((12, 24, 48)))
    write_thumbnail(study, tmp_path / "thumbnail.jpg")
    with Image.open(tmp_path / "thumbnail.jpg") as picture:
        seen = np.asarray(picture.convert("RGB")).astype(int)
    assert max(seen.shape[:2]) == 160
    assert (tmp_path / "thumbnail.jpg").stat().st_size < 12_000
    rows, columns = np.nonzero((seen[..., 1] - seen[..., 0] > 90) & (seen[..., 2] > 120))
    index = int(np.argmax(study.result.scores))
    lesion = np.argwhere(study.regions.labels[index] > 0)
    assert len(rows) > 20
    assert rows.mean() / seen.shape[0] == pytest.approx((lesion[:, 0].mean() + 0.5) / 24, abs=0.04)
    assert columns.mean() / seen.shape[1] == pytest.approx((lesion[:, 1].mean() + 0.5) / 48, abs=0.04)
    bare = study_of(head((12, 24, 48)), healthy=BRIGHTER)
    write_thumbnail(bare, tmp_path / "bare.jpg")
    with Image.open(tmp_path / "bare.jpg") as picture:
        assert np.ptp(np.asarray(picture).astype(int), axis=2).max() < 30  # grey alone
