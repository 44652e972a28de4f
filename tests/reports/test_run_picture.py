"""The pictures of a run and of its pseudo-lesions: fair samples, whole files, a sentence where nothing can be drawn."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomae.errors import UserError
from anomae.models.pseudo_lesions.families import FAMILIES
from anomae.reports.run_picture import _spread, run_picture
from anomae.slices.store import SliceStore
from anomae.stages.fit import fit
from anomae.stages.pseudo import pseudo
from anomae.stages.score import score

from ..runs.test_pretext import BRIEF


@pytest.fixture(scope="module")
def run(heads: SliceStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "run"
    fit(heads.folder, path, recipe="phantom", overrides=BRIEF)
    score(path)
    return path


def test_slices_are_spread_over_the_scores() -> None:
    scores = np.array([5.0, 1, 4, 2, 3, 0, 9, 8, 7, 6])
    chosen = _spread(np.arange(10), scores, 5)
    assert scores[chosen].tolist() == [1, 3, 5, 7, 9]
    assert _spread(np.array([3]), scores, 5).tolist() == [3]
    assert len(_spread(np.array([], dtype=np.int64), scores, 5)) == 0


def test_a_picture_of_the_run(run: Path, tmp_path: Path) -> None:
    picture = run_picture(run, tmp_path / "picture.png", each=2)
    with Image.open(picture) as drawn:
        assert drawn.width > 200
        assert len(drawn.convert("RGB").getcolors(1 << 20) or []) > 50
    assert run_picture(run) == run / "picture.png"


def test_a_contact_sheet_of_every_family(run: Path, tmp_path: Path) -> None:
    one, same, other = (pseudo(run, tmp_path / f"{n}.png", count=3, seed=s) for n, s in enumerate((0, 0, 1)))
    assert one.read_bytes() == same.read_bytes() != other.read_bytes()
    with Image.open(one) as sheet:
        pixels = np.asarray(sheet.convert("RGB")).astype(int)
    count = 1 + len(FAMILIES)  # untouched, and every family
    orange = (pixels == (255, 140, 40)).all(-1).reshape(count, -1).sum(1)
    assert orange[0] == 0
    assert (orange[1:] > 0).sum() >= count - 3
    assert pseudo(run) == run / "pseudo_lesions.png"


def test_what_cannot_be_drawn_is_said(heads: SliceStore, run: Path, tmp_path: Path) -> None:
    fit(heads.folder, tmp_path / "mean", detector="mean-image", recipe="phantom")
    with pytest.raises(UserError, match="is a run of mean-image"):
        pseudo(tmp_path / "mean")
    with pytest.raises(UserError, match="no finished findings"):
        run_picture(tmp_path / "mean")
    fit(heads.folder, tmp_path / "line", detector="one-line", recipe="phantom")
    score(tmp_path / "line")
    with pytest.raises(UserError, match="has no maps"):
        run_picture(tmp_path / "line")
