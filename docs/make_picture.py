"""Makes docs/phantom.png, the picture of the README: the whole chain on made-up heads, two slices of them drawn.

python docs/make_picture.py [FOLDER]      about a minute on two cores; FOLDER keeps scans, store and run
"""

import csv
import sys
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from anomae.slices.settings import PrepareSettings
from anomae.slices.store import SliceStore
from anomae.stages.fit import fit
from anomae.stages.phantom import phantom
from anomae.stages.prepare import prepare
from anomae.stages.score import score

COLUMNS = ("slice", "what healthy would look like", "difference", "true lesion")
STEPS = {"autoencoder.training.steps": 1000, "classifier.training.steps": 100}


def main(folder: Path) -> None:
    """Run the chain in `folder` and draw the picture."""
    if not (folder / "scans").exists():
        phantom(folder / "scans", layout="brats2020", count=24)
    settings = PrepareSettings(image_size=(48, 48))
    prepare("brats2020", folder / "scans", folder / "store", modality="flair", settings=settings)
    fit(folder / "store", folder / "run", detector="mae-classifier", recipe="phantom", overrides=STEPS)
    findings = score(folder / "run")

    store = SliceStore(folder / "store")
    rows = store.rows("test")
    with (findings / "scores.csv").open(newline="") as handle:
        scores = np.array([float(line["score"]) for line in csv.DictReader(handle)])
    rebuilt = np.load(findings / "reconstructions.npy", mmap_mode="r")
    maps = np.load(findings / "maps.npy", mmap_mode="r")
    full = store.index.body_fraction[rows] >= 0.8 * np.nanmax(store.index.body_fraction[rows])
    lesion_share = np.where(full, np.nan_to_num(store.index.lesion_fraction[rows]), 0)
    ill = int(np.argmax(lesion_share))
    healthy_places = np.flatnonzero(full & (store.index.label[rows] == 0))
    # A healthy slice of middling score: neither the best nor the worst that can be shown.
    healthy = int(healthy_places[np.argsort(scores[healthy_places])[len(healthy_places) // 2]])

    images = store.select(rows).read(np.array([healthy, ill]))
    lesions = store.lesions(rows[[healthy, ill]])
    top = float(np.percentile(maps[ill].astype(np.float32), 99.8))
    figure = Figure(figsize=(8.4, 4.6), dpi=90, facecolor="white")
    FigureCanvasAgg(figure)
    for line, place in enumerate((healthy, ill)):
        high = float(np.percentile(images, 99.8))
        panels = (
            (images[line], "gray", high),
            (rebuilt[place].astype(np.float32), "gray", high),
            (maps[place].astype(np.float32), "inferno", top),
            (lesions[line].astype(np.float32), "gray", 1.0),
        )
        for column, (panel, colours, highest) in enumerate(panels):
            axes = figure.add_axes((0.03 + column * 0.2425, 0.475 - line * 0.47, 0.2375, 0.44))
            axes.imshow(panel, cmap=colours, vmin=0, vmax=highest, interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
            if line == 0:
                axes.set_title(COLUMNS[column], fontsize=9)
            if column == 0:
                axes.set_ylabel(f"{('healthy', 'with a lesion')[line]}, score {scores[place]:.2f}", fontsize=8)
    figure.savefig(Path(__file__).with_name("phantom.png"), pil_kwargs={"optimize": True})


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
