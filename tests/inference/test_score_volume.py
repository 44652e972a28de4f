"""A scan scored alone has, to the last bit, what it has as a part of a store; nothing is written, printed or kept."""

import csv
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import anomae.stages.score as score_stage
from anomae.cohorts.channel_slices import read_colour_slices
from anomae.cohorts.scan_slices import scan_slices
from anomae.detectors.protocol import Findings
from anomae.errors import UserError
from anomae.files import read_json, write_json
from anomae.inference.fitted import learned_in_colour, load_preparation
from anomae.inference.score_volume import VolumeResult, score_slices, score_volume
from anomae.phantoms.layouts import write_phantom_data_set
from anomae.slices.preparing import prepare_case
from anomae.slices.settings import PrepareSettings, settings_from
from anomae.slices.store import SliceStore
from anomae.stages.prepare import prepare
from anomae.stages.score import score
from anomae.stages.score_scans import score_scans
from anomae.volumes.orientation import axial_view
from anomae.volumes.read import read_volume
from anomae.volumes.write import write_picture


class Weighted:
    """Each channel counts by its number, so that none can stand for another."""

    name, map_name, description = "weighted", "weighted intensity", ""

    def inspect(self, images: np.ndarray) -> Findings:
        weights = np.arange(1, images.shape[1] + 1, dtype=np.float32)[:, None, None]
        maps = (images * weights).sum(axis=1)
        scores = maps.mean(axis=(1, 2), dtype=np.float64)
        return Findings(scores, maps, images, {"highest": maps.max(axis=(1, 2)).astype(np.float64)})

    def save(self, folder: Path) -> None:
        write_json(folder / "settings.json", {"detector": self.name})


class Beside(Weighted):
    """Looks at neighbours, at the level of the detector."""

    needs_neighbours = True

    def inspect(self, images: np.ndarray, neighbours: np.ndarray) -> Findings:  # type: ignore[override]
        return Findings(super().inspect(images).scores - 3 * super().inspect(neighbours[:, 0]).scores)


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """healthy/ and abnormal/, a NIfTI scan a patient."""
    folder = tmp_path_factory.mktemp("scans") / "scans"
    write_phantom_data_set(folder, "folder", count=6, seed=2, shape=(9, 36, 32), file_format="nii.gz")
    return folder


@pytest.fixture(scope="module")
def coloured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """healthy/ and abnormal/ pictures in colour."""
    folder, rng = tmp_path_factory.mktemp("coloured") / "pictures", np.random.default_rng(0)
    for kind, count in (("healthy", 8), ("abnormal", 4)):
        (folder / kind).mkdir(parents=True)
        for number in range(count):
            picture = np.kron(rng.integers(0, 200, (5, 6, 3)), np.ones((6, 6, 1))).astype(np.uint8)
            Image.fromarray(picture).save(folder / kind / f"{number}.png")
    return folder


def made_run(store: SliceStore, folder: Path) -> Path:
    """What `anomae fit` leaves of a detector that needs no fit."""
    facts = {"store": str(store.folder), "store_fingerprint": store.prepared["fingerprint"], "settings": {}}
    write_json(folder / "run.json", facts)
    Weighted().save(folder / "fitted")
    shutil.copyfile(store.folder / "prepare.json", folder / "fitted" / "prepare.json")
    write_json(folder / "fitted" / "fitted.json", {})
    return folder


def scored_store(
    source: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, detector: Weighted, settings: dict, options: dict
) -> Path:
    chosen = settings_from({"image_size": (24, 20), **settings})
    store = prepare("folder", source, folder / "store", settings=chosen, options=options, workers=0, seed=1)
    run = made_run(store, folder / "run")
    monkeypatch.setattr(score_stage, "load_detector", lambda *_: detector)
    score(run, calibration=False)
    return run


KINDS = [
    ({}, {}, Weighted),
    ({"preparation": "body"}, {}, Weighted),
    ({"slices": "mid"}, {}, Weighted),
    ({"neighbours": 1}, {}, Weighted),
    ({"neighbours": 2, "preparation": "body", "slices": "mid"}, {}, Weighted),
    ({}, {}, Beside),
]


@pytest.mark.parametrize(("settings", "options", "kind"), KINDS)
def test_a_scan_alone_is_scored_as_in_its_store(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict, options: dict, kind: type[Weighted]
) -> None:
    run = scored_store(scans, tmp_path, monkeypatch, kind(), settings, options)
    assert read_json(run / "findings" / "findings.json")["map_name"] == Weighted.map_name
    compare_with_store(run, scans, lambda path: score_volume(read_volume(path), kind(), load_preparation(run)))
    out = score_scans(run, [scans], tmp_path / "out", overlays=1, load=lambda *_: kind())
    of_new = {(row["file"], row["slice"]): row for row in rows_of(out / "scores.csv")}
    for row in rows_of(run / "findings" / "scores.csv"):
        again = of_new[str(scans / row["case"]), row["slice"]]
        for name in ("score", "score_neighbours", "position_mm"):
            assert again[name] == row[name]


def test_a_picture_in_colour_alone_is_scored_as_in_its_store(
    coloured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = scored_store(coloured, tmp_path, monkeypatch, Weighted(), {}, {"colour": True})
    store = SliceStore(tmp_path / "store")
    assert store.channels == 3
    assert store.prepared["channel_names"] == ["red", "green", "blue"]
    rebuilt = np.load(run / "findings" / "reconstructions.npy")
    assert rebuilt.shape == (len(store.rows("test")), 3, 24, 20)
    np.testing.assert_array_equal(rebuilt, store.images[store.rows("test")])
    assert np.load(run / "findings" / "maps.npy").shape == (len(rebuilt), 24, 20)
    compare_with_store(
        run, coloured, lambda path: score_slices(read_colour_slices(path), Weighted(), load_preparation(run))
    )
    grey = tmp_path / "grey.png"
    write_picture(grey, np.arange(600, dtype=np.uint8).reshape(20, 30))
    out = score_scans(run, [coloured, grey], tmp_path / "out", overlays=1, load=lambda *_: Weighted())
    assert len(list((out / "maps").glob("*.tiff"))) == len(list((out / "overlays").iterdir())) == 13
    of_new = {row["file"]: row["score"] for row in rows_of(out / "scores.csv")}
    for row in rows_of(run / "findings" / "scores.csv"):
        assert of_new[str(coloured / row["case"])] == row["score"]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


def compare_with_store(run: Path, source: Path, alone: Callable[[Path], VolumeResult]) -> None:
    """Scores, further scores, smoothed scores, images and maps of every test case."""
    rows, store = rows_of(run / "findings" / "scores.csv"), SliceStore(Path(read_json(run / "run.json")["store"]))
    maps = run / "findings" / "maps.npy"
    known = np.load(maps) if maps.exists() else None
    assert rows
    for case in dict.fromkeys(row["case"] for row in rows):
        own = [index for index, row in enumerate(rows) if row["case"] == case]
        result: VolumeResult = alone(source / case)
        assert [int(rows[index]["slice"]) for index in own] == result.slices.tolist()
        assert [float(rows[index]["score"]) for index in own] == result.scores.tolist()
        for name, column in result.other_scores.items():
            assert [float(rows[index][f"score_{name}"]) for index in own] == column.tolist()
        if result.smoothed is not None:
            assert [float(rows[index]["score_neighbours"]) for index in own] == result.smoothed.tolist()
        stored = np.array([int(rows[index]["row"]) for index in own])
        np.testing.assert_array_equal(result.images, store.images[stored].astype(np.float32))
        np.testing.assert_array_equal(result.empty, store.index.empty[stored])
        assert (result.map is None) == (known is None)
        if known is not None:
            inspected = Weighted().inspect(result.images).maps
            np.testing.assert_array_equal(inspected.astype(np.float16), known[own])


@pytest.mark.parametrize("neighbours", [0, 1])
def test_blank_slices_that_are_alike_are_inspected_once(
    scans: Path, monkeypatch: pytest.MonkeyPatch, neighbours: int
) -> None:
    """Where neighbours are channels, only slices whose neighbours are blank too."""
    volume = read_volume(next(scans.rglob("scan.nii.gz")))
    case = scan_slices(volume)
    shown = np.zeros_like(case.images)
    shown[3:6] = case.images[3:6]
    detector, inspected = Weighted(), []
    monkeypatch.setattr(
        Weighted,
        "inspect",
        lambda self, images, inspect=Weighted.inspect: inspected.extend(images) or inspect(self, images),
    )
    result = score_slices(
        replace(case, images=shown), detector, PrepareSettings(image_size=(36, 32), neighbours=neighbours), batch=2
    )
    assert result.empty.sum() == 6
    assert len(inspected) == 3 + 2 * neighbours + 1
    alone = detector.inspect(result.images)
    np.testing.assert_array_equal(result.scores, alone.scores)
    np.testing.assert_array_equal(result.other_scores["highest"], alone.other_scores["highest"])
    assert result.axial_map is not None
    np.testing.assert_allclose(result.axial_map.mean(axis=(1, 2)), alone.maps.mean(axis=(1, 2)), rtol=1e-5)


def test_the_map_lies_on_the_volume_as_read(scans: Path) -> None:
    path = next(scans.rglob("scan.nii.gz"))
    volume, settings = read_volume(path), PrepareSettings(image_size=(36, 32))
    result = score_volume(volume, Weighted(), settings)
    assert result.map is not None
    assert (result.map.shape, result.map.dtype) == (volume.voxels.shape, np.float32)
    np.testing.assert_array_equal(axial_view(volume.grid).apply(result.map), result.axial_map)
    bright = axial_view(volume.grid).apply(volume.voxels).astype(np.float64)
    assert np.corrcoef(result.axial_map.ravel(), bright.ravel())[0, 1] > 0.95
    kept = score_volume(volume, Weighted(), PrepareSettings(image_size=(36, 32), slices="mid"))
    others = np.setdiff1d(np.arange(len(bright)), kept.kept)
    assert not kept.axial_map[others].any()
    np.testing.assert_array_equal(kept.axial_map[kept.kept], result.axial_map[kept.kept])
    assert kept.scores.tolist() == result.scores[kept.kept].tolist()


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_the_batch_changes_nothing_and_nothing_is_written_or_said(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], batch: int
) -> None:
    volume = read_volume(next(scans.rglob("scan.nii.gz")))
    before = volume.voxels.copy()
    expected = score_volume(volume, Beside(), PrepareSettings(image_size=(16, 16)))
    monkeypatch.chdir(tmp_path)
    state = np.random.get_state()[1].copy()  # noqa: NPY002  the global generator must not have moved
    result = score_volume(volume, Beside(), PrepareSettings(image_size=(16, 16)), batch=batch)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert result.scores.tolist() == expected.scores.tolist()
    assert result.map is None
    np.testing.assert_array_equal(volume.voxels, before)
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


def test_what_cannot_be_scored_is_said_in_one_sentence(scans: Path, tmp_path: Path) -> None:
    picture = tmp_path / "two.npy"
    np.save(picture, np.ones((2, 20, 20), np.float32))
    with pytest.raises(UserError, match="slices=mid") as refused:
        score_volume(read_volume(picture), Weighted(), PrepareSettings(slices="mid"))
    assert "\n" not in str(refused.value)
    with pytest.raises(UserError, match="nothing fitted"):
        load_preparation(tmp_path)


def test_a_new_scan_has_no_modalities_beside_it(tmp_path: Path) -> None:
    assert not learned_in_colour({})
    assert learned_in_colour({"channel_names": ["red", "green", "blue"]})
    source = tmp_path / "brats"
    write_phantom_data_set(source, "brats2020", count=5, seed=0, shape=(8, 24, 24))
    first = sorted(source.glob("*_002/*_t1ce.nii.gz"))[0]
    first.unlink()
    settings = settings_from({"image_size": (24, 24)})
    store = prepare(
        "brats2020", source, tmp_path / "store", modality="flair,t1,t1ce,t2", settings=settings, workers=0, seed=0
    )
    assert store.channels == store.prepared["channels"] == store.prepared["request"]["channels"] == 4
    assert store.modality == "flair,t1,t1ce,t2"
    assert store.prepared["channel_names"] == ["flair", "t1", "t1ce", "t2"]
    (skipped,) = store.prepared["skipped"]
    assert (skipped["case"], "no t1ce scan" in skipped["reason"]) == ("volume_2", True)
    run = made_run(store, tmp_path / "run")
    with pytest.raises(UserError, match="4 modalities as channels") as refused:
        score_scans(run, [source], tmp_path / "out", load=lambda *_: Weighted())
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()
    rows = np.flatnonzero(store.index.case == "volume_1")
    alone = scan_slices(read_volume(source / "BraTS20_Training_001" / "BraTS20_Training_001_t2.nii.gz"))
    expected = prepare_case(alone, settings).images[store.index.slice[rows], 0]
    np.testing.assert_array_equal(store.images[rows, 3], expected)
    assert store.numbered_in_order
    assert store.recipe == "brats2020"
