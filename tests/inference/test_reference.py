"""What is kept of the training scans comes back from disk as it was, names nobody, and reads names and grids right."""

import sys
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from anomae.errors import UserError
from anomae.files import read_json, write_json
from anomae.inference.features import Features
from anomae.inference.inspect import Model
from anomae.inference.reference import geometry_of, reference_from, reference_of, region_of
from anomae.runs.model_fingerprint import REFERENCE, REFERENCE_FEATURES
from anomae.runs.reference_file import write_reference
from anomae.slices.settings import PrepareSettings
from anomae.volumes.volume import Grid

AXIAL = Grid((10, 64, 64), (5.0, 1.0, 1.2))
SAGITTAL = Grid((10, 64, 64), (5.0, 1.0, 1.2), direction=(0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0))
CORONAL = Grid((10, 64, 64), (5.0, 1.0, 1.2), direction=(1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, -1.0, 0.0))
FINE = Grid((64, 64, 64), (1.0, 1.0, 1.0))


def made(features=True):
    rng = np.random.default_rng(0)
    precision = rng.normal(size=(4, 4)).astype(np.float32).astype(np.float64)
    kept = Features(0.1, 0.9, rng.normal(size=4), rng.uniform(1, 2, 4), precision, np.sort(rng.uniform(1, 2, 9)))
    levels = [(0.1, 0.5, 0.9), (0.2, 0.4, 0.8)]
    return reference_of(
        [AXIAL, FINE], scans=2, modalities=["MR", ""], levels=levels, features=kept if features else None
    )


@pytest.mark.parametrize("features", [True, False])
def test_it_comes_back_as_it_was(tmp_path, features):
    reference = made(features)
    write_reference(tmp_path, reference.to_json(), reference.arrays())
    read = reference_from(tmp_path)
    assert read.digest == reference.digest
    assert read.to_json() == reference.to_json()
    assert read.levels == ((0.1, 0.2), (0.4, 0.5), (0.8, 0.9))
    assert (read.features is not None) == features
    assert made(not features).digest != reference.digest
    assert not read.lost


@pytest.mark.parametrize("earlier", [False, True])
def test_features_that_are_gone_are_told(tmp_path, earlier):
    """Earlier versions did not say whether there were any: then many scans do."""
    reference = replace(made(), scans=42)
    write_reference(tmp_path, reference.to_json(), reference.arrays())
    (tmp_path / REFERENCE_FEATURES).unlink()
    facts = read_json(tmp_path / REFERENCE)
    assert facts.pop("has_features") is True
    if earlier:
        write_json(tmp_path / REFERENCE, facts)
    read = reference_from(tmp_path)
    assert read.lost
    model = Model(None, PrepareSettings(image_size=(8, 8)), None, read)
    assert any("reference_features.npz of this model is missing" in said for said in model.lacks())


def test_what_is_not_compared_without_torch_is_told(monkeypatch):
    model = Model(None, PrepareSettings(image_size=(8, 8)), None, made())
    assert len(model.lacks()) == 1
    monkeypatch.setitem(sys.modules, "torch", None)
    assert made().features.distance(np.zeros((3, 8, 8), np.float32)) is None
    assert "looks unlike the training scans is not checked: that needs torch" in model.lacks()[1]


def test_none_is_none_and_damage_is_said(tmp_path):
    assert reference_from(tmp_path) is None
    write_reference(tmp_path, made().to_json(), made().arrays())
    (tmp_path / REFERENCE_FEATURES).write_bytes(b"PK")
    with pytest.raises(UserError, match=r"reference_features\.npz is damaged"):
        reference_from(tmp_path)
    write_reference(tmp_path, made().to_json(), made().arrays())
    whole = (tmp_path / REFERENCE_FEATURES).read_bytes()
    for at in range(0, len(whole), 7):
        (tmp_path / REFERENCE_FEATURES).write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        with suppress(UserError):
            reference_from(tmp_path)
    write_reference(tmp_path, {"scans": 2}, None)
    with pytest.raises(UserError, match=rf"{REFERENCE} is damaged"):
        reference_from(tmp_path)


def test_ranges_and_planes():
    reference = reference_of([AXIAL, FINE], scans=2)
    assert reference.planes == ("", "axial")
    assert reference.slice_mm == (1.0, 5.0)
    assert reference.field_mm == (64.0, 64 * 1.2)
    assert reference_of([], scans=2).pixel_mm is None


@pytest.mark.parametrize(
    ("grid", "plane", "slice_mm"),
    [(AXIAL, "axial", 5), (SAGITTAL, "sagittal", 1), (CORONAL, "coronal", 1), (FINE, "", 1)],
)
def test_planes(grid, plane, slice_mm):
    found = geometry_of(grid)
    assert (found.plane, found.slice_mm) == (plane, pytest.approx(slice_mm))
    assert found.tilt == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("degrees", [5, 20, 40])
def test_a_tilt_is_the_angle_of_the_slice_axis(degrees):
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    grid = Grid((10, 64, 64), (5.0, 1.0, 1.0), direction=(1, 0, 0, 0, cosine, -sine, 0, sine, cosine))
    assert geometry_of(grid).tilt == pytest.approx(degrees)


@pytest.mark.parametrize(
    ("text", "region"),
    [("BRAIN", "head"), ("Head", "head"), ("LUNG", "chest"), ("CHEST/ABDOMEN", ""), ("", ""), ("KNEE", "")],
)
def test_regions(text, region):
    assert region_of(text) == region


def test_sequences_count_only_where_every_scan_has_one():
    assert reference_of([], scans=2, sequences=["T1", "T1"]).sequences == ("T1",)
    assert reference_of([], scans=2, sequences=["T1", ""]).sequences == ()
