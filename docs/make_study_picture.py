"""Makes docs/pictures/study.png: the page of a made-up scan, flagged by a detector that learned from made-up others.

python docs/make_study_picture.py [FOLDER]      some minutes on two cores; FOLDER keeps scans, store, run and page.
Needs Chromium (Debian: apt-get install chromium) and the extra `dev`.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from anomae.slices.settings import PrepareSettings
from anomae.slices.store import SliceStore
from anomae.stages.fit import fit
from anomae.stages.phantom import phantom
from anomae.stages.prepare import prepare
from anomae.stages.score_scans import score_scans

PICTURE = Path(__file__).resolve().parent / "pictures" / "study.png"
SETTINGS = PrepareSettings(image_size=(96, 96), slices="mid")
FIT = {"sizes": "96", "heads": 1, "pool": 3000, "head.training.steps": 500}
BOUNDS = (0.1, 0.1)  # 10 % of healthy slices, and of healthy scans: what ten healthy patients allow
OPTIONS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-first-run")


def main(folder: Path) -> None:
    """Run the chain in `folder` and photograph the page."""
    if not (folder / "scans").exists():
        phantom(folder / "scans", layout="folder", count=160, file_format="nii.gz", shape=(32, 96, 96))
    prepare("folder", folder / "scans", folder / "store", settings=SETTINGS)
    fit(folder / "store", folder / "run", recipe="small", overrides=FIT)
    scan = unseen(folder)
    score_scans(folder / "run", [scan], folder / "out", bounds=BOUNDS)
    photograph(folder / "out" / "study.html", PICTURE)


def unseen(folder: Path) -> Path:
    """The test scan with the largest lesion: the one with most abnormal slices."""
    store = SliceStore(folder / "store")
    cases, counts = np.unique(store.index.case[store.rows("test", label=1)], return_counts=True)
    return folder / "scans" / str(cases[np.argmax(counts)])


def photograph(page: Path, picture: Path) -> None:
    """The page as it opens, in a window of 1280 x 800."""
    from PIL import Image
    from playwright.sync_api import sync_playwright

    program = next(found for name in ("chromium", "google-chrome") if (found := shutil.which(name)))
    picture.parent.mkdir(exist_ok=True)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=list(OPTIONS))
        opened = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
        opened.goto(page.resolve().as_uri())
        opened.wait_for_selector("body[data-state=ready]")
        opened.wait_for_timeout(500)
        opened.screenshot(path=picture)
        browser.close()
    with Image.open(picture) as taken:
        taken.convert("RGB").save(picture, optimize=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
