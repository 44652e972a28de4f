"""The pages in a real browser: what a person sees, and that nothing is asked of the network."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anomae.files import read_json, write_csv, write_json
from anomae.slices.store import SliceStore
from anomae.stages.compare import compare
from anomae.stages.evaluate import evaluate, evaluate_scores

from .browser import Browser, find_browser
from .test_compare import another
from .test_evaluate import anyones_tables, made_up_run

SEEN = """(() => {
  const shown = element => { const box = element.getBoundingClientRect(); return box.width > 40 && box.height > 20; };
  const verdict = document.querySelector('#verdict p'), box = verdict.getBoundingClientRect();
  return {
    verdict: verdict.innerText, top: box.top, bottom: box.bottom, size: parseFloat(getComputedStyle(verdict).fontSize),
    drawn: [...document.querySelectorAll('figure')].filter(figure => {
      const image = figure.querySelector('img');
      return image.complete && image.naturalWidth > 0 && shown(image);
    }).map(figure => figure.id),
    broken: [...document.images].filter(image => !image.complete || image.naturalWidth === 0).length,
    pictures: document.querySelectorAll('.strip img').length,
    wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    text: document.body.innerText,
    rows: Object.fromEntries([...document.querySelectorAll('table[id]')].map(t => [t.id, t.tBodies[0].rows.length])),
  };
})()"""

# Cells of names that stand a word a line.
NARROW = """[...document.querySelectorAll('#baselines tbody th')].filter(each => each.offsetWidth < 120)
    .map(each => each.textContent)"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    opened = Browser(program)
    yield opened
    opened.close()


def with_calibration(run: Path) -> Path:
    """The made-up run with its normal validation slices scored as the stage would."""
    store = SliceStore(run.parent / "store")
    rows, index = store.rows("validation", label=0), store.index
    images = store.select(rows).pictures(slice(None))
    scores = np.clip(images - 0.55, 0, None).max(axis=(1, 2))
    columns = ("row", "case", "patient", "slice", "position_mm", "label", "score")
    lines = [
        [int(r), index.case[r], index.patient[r], int(index.slice[r]), "", 0, repr(float(s))]
        for r, s in zip(rows, scores, strict=True)
    ]
    write_csv(run / "calibration" / "scores.csv", columns, lines)
    write_json(run / "calibration" / "findings.json", {"split": "validation", "images": len(rows)})
    return run


def looked_at(browser: Browser, page: Path) -> dict[str, Any]:
    """What is seen of a page; asserts that it is whole, quiet and alone."""
    browser.open(page)
    seen = browser.ask(SEEN)
    assert browser.complaints() == []
    foreign = [address for address in browser.requests() if not address.startswith(("file://", "data:image/"))]
    assert foreign == []
    assert [address for address in browser.requests() if address.startswith("file://")] == [page.resolve().as_uri()]
    assert seen["broken"] == 0
    assert seen["wide"] <= 0  # nothing sticks out of a laptop's window
    return seen


def test_a_person_sees_the_report_of_a_run(browser, tmp_path):
    run = with_calibration(made_up_run(tmp_path))
    report = evaluate(run, resamples=100)
    page = tmp_path / "alone" / "report.html"
    page.parent.mkdir()
    shutil.copy(run / "report" / "report.html", page)  # the one file is enough
    seen = looked_at(browser, page)
    assert seen["verdict"] == report["verdict"]
    assert 0 < seen["top"] < seen["bottom"] < 400  # without scrolling
    assert seen["size"] >= 18
    plots = ("baselines", "bands", "roc", "precision_recall", "histogram", "position", "loss")
    assert seen["drawn"] == [f"plot-{name}" for name in plots]
    assert seen["pictures"] == 3 * 6 * 4 + 4 * 5
    assert {"baselines", "scores", "operating", "counts"} <= seen["rows"].keys()
    assert seen["rows"]["baselines"] == len(report["scores"]) + len(report["trivial_baselines"]) + 2
    for words in ("per slice needs at least 19 calibration patients", "Which labels were seen"):
        assert words in seen["text"]
    # Of few patients there are no intervals: what stands under a gain may still not push the names together.
    browser.ask("document.querySelectorAll('#baselines .ci').forEach(e => e.textContent.includes('[') && e.remove())")
    assert browser.ask("document.querySelector('#baselines tbody th').offsetWidth") > 150
    assert browser.ask(NARROW) == []
    browser.open(page, 390, 844)
    assert browser.ask("document.documentElement.scrollWidth") <= 390  # wide tables scroll by themselves
    browser.open(page)
    printed = browser.print()
    assert printed.startswith(b"%PDF")
    assert printed.count(b"/Type /Page\n") <= 12


def test_a_person_sees_the_report_of_anyones_scores(browser, tmp_path):
    report = evaluate_scores(*anyones_tables(tmp_path), tmp_path / "out", resamples=100)
    seen = looked_at(browser, tmp_path / "out" / "report.html")
    assert seen["verdict"] == report["verdict"] == read_json(tmp_path / "out" / "report.json")["verdict"]
    assert {"plot-baselines", "plot-roc", "plot-bands", "plot-position"} <= set(seen["drawn"])
    assert "Not audited: trivial baselines from the images" in seen["text"]
    assert report["operating_point"]["sentence"] in seen["text"]


def test_a_person_sees_a_comparison(browser, tmp_path):
    run = made_up_run(tmp_path)
    found = compare([run, another(run, "second", 8)], tmp_path / "out", resamples=100)
    seen = looked_at(browser, tmp_path / "out" / "compare.html")
    assert seen["verdict"] == found["verdict"]
    assert seen["drawn"] == ["plot-runs", "plot-differences", "plot-roc"]
    assert seen["rows"] == {"runs": 3 + len(found["trivial_baselines"]), "pairs": 1, "seeds": 1, "differing": 1}
    assert "the images of one patient taken together" in seen["text"]


def test_a_request_or_an_error_would_be_seen(browser, tmp_path):
    """The watch itself bites: a page that asks for something and throws is noticed."""
    page = tmp_path / "bad.html"
    script = "<script>console.error('x'); undefined_name()</script>"
    page.write_text(f"<p id=verdict><p>x</p><img src='missing.png'>{script}")
    browser.open(page)
    assert len(browser.complaints()) >= 2
    assert any(address.endswith("missing.png") for address in browser.requests())
