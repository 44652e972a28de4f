"""Several modalities, neighbouring slices and colour pictures as channels: from the scans to the scores of new ones."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomae.errors import UserError
from anomae.inference.fitted import load, load_preparation
from anomae.inference.score_volume import score_volume
from anomae.phantoms.layouts import write_phantom_data_set
from anomae.slices.settings import settings_from
from anomae.slices.store import SliceStore
from anomae.stages.fit import fit
from anomae.stages.prepare import prepare
from anomae.stages.score import score
from anomae.stages.score_scans import score_scans
from anomae.volumes.read import read_volume

SMALL = {"image_size": (24, 20)}


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans") / "scans"
    write_phantom_data_set(folder, "folder", count=6, seed=2, shape=(9, 36, 32), file_format="nii.gz")
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grey ramps with a little noise; the abnormal ones have a red square that leaves their brightness as it was."""
    folder, rng = tmp_path_factory.mktemp("pictures") / "pictures", np.random.default_rng(0)
    for kind, count in (("healthy", 30), ("abnormal", 10)):
        (folder / kind).mkdir(parents=True)
        for number in range(count):
            ramp = rng.uniform(-1, 1) * np.arange(24) + rng.uniform(100, 140)
            picture = np.repeat((ramp + rng.normal(0, 2, (20, 24))).astype(np.int64)[..., None], 3, axis=-1)
            if kind == "abnormal":
                picture[6:12, 8:14] += np.array([80, -40, -40])
            Image.fromarray(picture.astype(np.uint8)).save(folder / kind / f"{number}.png")
    return folder


def fitted(store: SliceStore, run: Path) -> Path:
    fit(store.folder, run, detector="pca", recipe="phantom", seed=0)
    score(run)
    return run


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


def assert_new_scans_are_scored_as_in_the_store(run: Path, source: Path, out: Path) -> None:
    score_scans(run, [source], out, overlays=1)
    of_new = {(row["file"], row["slice"]): row["score"] for row in rows_of(out / "scores.csv")}
    known = rows_of(run / "findings" / "scores.csv")
    assert known
    for row in known:
        assert of_new[str(source / row["case"]), row["slice"]] == row["score"]
    assert list((out / "overlays").iterdir())


def test_neighbouring_slices(scans: Path, tmp_path: Path) -> None:
    settings = settings_from({**SMALL, "neighbours": 1})
    store = prepare("folder", scans, tmp_path / "store", settings=settings, workers=0, seed=1)
    assert store.channels == 3
    assert store.prepared["channel_names"] == ["intensity"]
    run = fitted(store, tmp_path / "run")
    assert np.load(run / "findings" / "reconstructions.npy").shape[1:] == (3, 24, 20)
    assert_new_scans_are_scored_as_in_the_store(run, scans, tmp_path / "out")
    result = score_volume(read_volume(next(scans.rglob("scan.nii.gz"))), load(run), load_preparation(run))
    assert result.images.shape[1:] == (3, 24, 20)
    assert result.map_name


def test_colour_pictures(pictures: Path, tmp_path: Path) -> None:
    options = {"colour": "true"}
    store = prepare("folder", pictures, tmp_path / "store", settings=settings_from(SMALL), options=options, workers=0)
    assert store.channels == 3
    run = fitted(store, tmp_path / "run")
    assert_new_scans_are_scored_as_in_the_store(run, pictures, tmp_path / "out")
    scored = rows_of(run / "findings" / "scores.csv")
    ill, healthy = ([float(row["score"]) for row in scored if row["label"] == label] for label in "10")
    assert min(ill) > max(healthy), "the colour is what tells them apart"


@pytest.mark.parametrize(
    ("cohort", "modality"), [("brats2020", "flair,t1,t1ce,t2"), ("lgg", "t1,flair"), ("phantom", "t2,flair")]
)
def test_modalities(tmp_path: Path, cohort: str, modality: str) -> None:
    layout = "lgg" if cohort == "phantom" else cohort
    source = tmp_path / "data"
    write_phantom_data_set(source, layout, count=8, seed=1, shape=(10, 28, 28))
    place = "heads:6" if cohort == "phantom" else source
    store = prepare(cohort, place, tmp_path / "store", modality=modality, settings=settings_from(SMALL), workers=0)
    assert store.channels == len(modality.split(","))
    run = fitted(store, tmp_path / "run")
    assert {row["case"] for row in rows_of(run / "findings" / "scores.csv")}
    with pytest.raises(UserError, match="modalities as channels"):
        score_scans(run, [source], tmp_path / "out")
