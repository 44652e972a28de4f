"""The contact sheet of pseudo-lesions: of stores of one channel and of three, of an ensemble, of candidates."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from anomae.detectors.method import Situation
from anomae.detectors.registry import method_named
from anomae.errors import UserError
from anomae.files import write_json
from anomae.models.pseudo_lesions.families import FAMILIES
from anomae.phantoms.head import make_head
from anomae.recipes.overrides import overridden
from anomae.reports.contact_sheet import ABNORMAL, NORMAL
from anomae.slices.index import COLUMNS
from anomae.stages.pseudo import pseudo

COUNT = 12


def make_run(
    folder: Path,
    channels: int = 1,
    detector: str = "anomae",
    recipe: str = "phantom",
    **changed: Any,
) -> Path:
    """A run begun on slices of made-up heads that were stored in so many channels of other ranges.

    changed: settings of the detector on top of its recipe.
    """
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
    situation = Situation(recipe, "paper", (32, 32), channels)
    settings = overridden(method_named(detector).settings(situation), changed).model_dump(mode="json")
    facts = {"detector": detector, "settings": settings, "store": str(store), "store_fingerprint": "f"}
    write_json(run / "run.json", facts)
    return run


@pytest.mark.parametrize("channels", [1, 3])
def test_a_row_of_pictures_for_every_family(channels: int, tmp_path: Path) -> None:
    sheet = pseudo(make_run(tmp_path, channels), count=4)
    assert sheet == tmp_path / "run" / "pseudo_lesions.png"
    outlined = outlined_pixels(sheet, rows=1 + len(FAMILIES), colour=ABNORMAL)
    assert outlined[0] == 0  # the healthy ones
    assert (outlined[1:] > 0).sum() >= 7


def outlined_pixels(sheet: Path, rows: int, colour: tuple[int, int, int]) -> "np.ndarray[Any, Any]":
    """How many pixels of a colour each row of a sheet has."""
    with Image.open(sheet) as drawn:
        pixels = np.asarray(drawn.convert("RGB")).astype(int)
    assert pixels.shape[0] % rows == 0
    return (pixels == colour).all(-1).reshape(rows, -1).sum(1)


def test_an_ensemble_with_anomae_among_its_members_draws_what_that_learns_from(tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    (tmp_path / "member").mkdir()
    alone = pseudo(make_run(tmp_path / "alone", **{"lesions.families": ["blob", "deform"]}), count=3)
    members = {"members": "anomae,rd4ad", "anomae.lesions.families": ["blob", "deform"]}
    member = pseudo(make_run(tmp_path / "member", detector="ensemble", **members), count=3)
    assert member.read_bytes() == alone.read_bytes()


@pytest.mark.parametrize(("detector", "changed"), [("rd4ad", {}), ("ensemble", {"members": "rd4ad,dae"})])
def test_a_run_that_learns_from_no_pseudo_lesions_is_refused(
    detector: str, changed: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=f"is a run of {detector}"):
        pseudo(make_run(tmp_path, detector=detector, **changed))


def test_of_candidates_the_blobs_and_vessels_that_count_as_healthy_are_drawn_too(tmp_path: Path) -> None:
    """Rows: healthy, a blob beside, a vessel, a nodule."""
    sheet = pseudo(make_run(tmp_path, recipe="luna16-patches"), count=4)
    assert (outlined_pixels(sheet, 4, ABNORMAL) > 0).tolist() == [False, False, False, True]
    assert (outlined_pixels(sheet, 4, NORMAL) > 0).tolist() == [False, True, True, False]
