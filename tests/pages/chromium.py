"""A headless Chromium that draws WebGL in software and is told of every request."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

OPTIONS = (
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-dev-shm-usage",
)
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class Opened:
    """A page in a window, and what it asked for and complained of."""

    def __init__(self, browser: Any, path: Path, width: int, height: int, scheme: str) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        context.set_default_timeout(20_000)
        self.page = context.new_page()
        self.page.on("console", lambda said: self.complaints.append(f"{said.type}: {said.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        context.route(lambda address: not address.startswith("file://"), lambda route: route.abort())
        self.page.goto(path.resolve().as_uri())

    def wait(self) -> Any:
        """Until the scan is shown; the page of playwright."""
        self.until("document.body.dataset.state === 'ready'")
        return self.page

    def until(self, expression: str, seconds: float = 20) -> None:
        """Until a JavaScript expression holds.  (Playwright's own way needs eval, which the pages forbid.)"""
        end = time.monotonic() + seconds
        while not self.page.evaluate(expression):
            assert time.monotonic() < end, f"still not so: {expression}"
            self.page.wait_for_timeout(30)

    def text(self, name: str) -> str:
        """What stands in the element of this id."""
        return str(self.page.locator(f"#{name}").inner_text())

    def is_quiet(self) -> None:
        """Nothing but files was asked for, and nothing complained of."""
        assert self.complaints == []
        assert [address for address in self.requests if not address.startswith("file://")] == []


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser of playwright; skips the test, saying why, where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra dev)")
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=list(OPTIONS))
        yield browser
        browser.close()


def pixels(opened: Opened, folder: Path) -> np.ndarray:
    """The viewer as a person sees it, (h, w, 3).  folder: for the picture of it."""
    path = folder / "seen.png"
    opened.page.wait_for_timeout(60)
    opened.page.locator("#viewer").screenshot(path=path)
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def without_webgl(page: Path, folder: Path) -> Path:
    """A copy of a study page, in `folder`, for which the browser has no WebGL."""
    broken = """<script>HTMLCanvasElement.prototype.getContext = ((before) => function (kind, ...rest) {
        return kind === 'webgl2' ? null : before.call(this, kind, ...rest);
    })(HTMLCanvasElement.prototype.getContext);</script>"""
    copy = folder / "study.html"
    copy.write_text(page.read_text(encoding="utf-8").replace("<body>", f"<body>{broken}", 1), encoding="utf-8")
    return copy
