"""The contact sheet of pseudo-lesions, of stores of one channel and of three."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomae.detectors.anomae.method import anomae_recipe
from anomae.detectors.method import Situation
from anomae.files import write_json
from anomae.models.pseudo_lesions.families import FAMILIES
from anomae.phantoms.head import make_head
from anomae.slices.index import COLUMNS
from anomae.stages.pseudo import pseudo

COUNT = 12


def make_run(folder: Path, channels: int) -> Path:
    """A run begun on slices of made-up heads that were stored in so many channels of other ranges."""
    scans = [make_head(seed, shape=(10, 32, 32), lesions=0, skull=False).voxels[3:7] for seed in range(3)]
    heads = np.concatenate(scans).astype(np.float32) / 1000
    store, run = folder / "store", folder / "run"
    store.mkdir()
    run.mkdir()
    scales = np.array([1, 50, 0.2][:channels], np.float32)[:, None, None]
    np.save(store / "slices.npy", heads[:, None] * scales)
    with (store / "index.csv").open("w", newline="") as handle:
        lines = csv.DictWriter(handle, COLUMNS, restval="")
        lines.writeheader()
        for row in range(COUNT):
            known = {"case": f"c{row // 4}", "patient": f"p{row // 4}", "slice": row % 4, "split": "train"}
            lines.writerow({**known, "row": row, "label": 0, "empty": 0, "filled": 0.5})
    write_json(store / "prepare.json", {"format": 2, "fingerprint": "f"})
    settings = anomae_recipe(Situation("phantom", "paper", (32, 32), channels)).model_dump(mode="json")
    facts = {"detector": "anomae", "settings": settings, "store": str(store), "store_fingerprint": "f"}
    write_json(run / "run.json", facts)
    return run


@pytest.mark.parametrize("channels", [1, 3])
def test_a_row_of_pictures_for_every_family(channels: int, tmp_path: Path) -> None:
    sheet = pseudo(make_run(tmp_path, channels), count=4)
    assert sheet == tmp_path / "run" / "pseudo_lesions.png"
    with Image.open(sheet) as drawn:
        pixels = np.asarray(drawn.convert("RGB")).astype(int)
    rows = 1 + len(FAMILIES)
    assert pixels.shape[0] % rows == 0
    outlined = (pixels == (255, 140, 40)).all(-1).reshape(rows, -1).sum(1)
    assert outlined[0] == 0  # the healthy ones
    assert (outlined[1:] > 0).sum() >= 7
