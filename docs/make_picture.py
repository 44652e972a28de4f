"""Makes docs/found.png and docs/pseudo_lesions.png: the chain on made-up heads, what it found, what it learned from.

python docs/make_picture.py [FOLDER]      some minutes on two cores; FOLDER keeps scans, store and run
"""

import sys
import tempfile
from pathlib import Path

from anomae.reports.run_picture import run_picture
from anomae.slices.settings import PrepareSettings
from anomae.stages.fit import fit
from anomae.stages.phantom import phantom
from anomae.stages.prepare import prepare
from anomae.stages.pseudo import pseudo
from anomae.stages.score import score

DOCS = Path(__file__).resolve().parent
SETTINGS = PrepareSettings(image_size=(96, 96), preparation="brain", brain_mask="nonzero")
FIT = {"sizes": "96", "heads": 1, "pool": 3000, "head.training.steps": 500}


def main(folder: Path) -> None:
    """Run the chain in `folder` and draw the pictures."""
    if not (folder / "scans").exists():
        phantom(folder / "scans", layout="brats2020", count=24)
    prepare("brats2020", folder / "scans", folder / "store", modality="flair", settings=SETTINGS)
    fit(folder / "store", folder / "run", recipe="small", overrides=FIT)
    score(folder / "run")
    run_picture(folder / "run", DOCS / "found.png")
    pseudo(folder / "run", DOCS / "pseudo_lesions.png")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
