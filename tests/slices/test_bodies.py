"""Which brain is taken: the one given, else the skull-stripped scan's own, else the extracted one."""

from dataclasses import replace

import numpy as np
import pytest

from anomae.cohorts.scan_slices import read_scan_slices
from anomae.errors import UnreadableScan
from anomae.phantoms.phantom import imagine_head, make_head, scan_head
from anomae.slices import brain_extraction
from anomae.slices.bodies import find_body
from anomae.slices.intensity import measure_scale
from anomae.slices.settings import PrepareSettings
from anomae.volumes.write import write_volume


def body_of(case, **settings):
    wanted = PrepareSettings(**{"preparation": "brain", **settings})
    return find_body(case, wanted, measure_scale(case.images[:, 0], wanted))


@pytest.fixture
def scans(tmp_path):
    """A head and a brain alone, read from disk, and where the brain of the head is."""
    head = imagine_head(1, shape=(16, 48, 48))
    write_volume(tmp_path / "head.nii.gz", scan_head(head, "t1").voxels, head.grid)
    stripped = make_head(1, shape=(16, 48, 48), skull=False)
    write_volume(tmp_path / "stripped.nii.gz", stripped.voxels, stripped.grid)
    return {name: read_scan_slices(tmp_path / f"{name}.nii.gz") for name in ("head", "stripped")}, head


@pytest.fixture
def extracted(monkeypatch):
    """In place of the networks: everything brighter than the mean, and a sentence."""
    monkeypatch.setattr(brain_extraction, "extract_brain", lambda voxels: (voxels > voxels.mean(), "swapped"))


def test_a_skull_stripped_scan_needs_no_extraction(scans):
    cases, _ = scans
    body = body_of(cases["stripped"])
    assert body.found == "nonzero"
    assert (body.where >= (cases["stripped"].images[:, 0] > 0)).mean() > 0.999
    assert (body.where == body_of(cases["stripped"], brain_mask="nonzero").where).all()


def test_a_head_that_is_said_to_be_skull_stripped_is_doubted(scans):
    cases, _ = scans
    assert "does not look skull-stripped" in body_of(cases["head"], brain_mask="nonzero").notes[-1]
    assert len(body_of(cases["stripped"], brain_mask="nonzero").notes) == 1


def test_the_brain_of_a_head_is_extracted(scans, extracted):
    cases, _ = scans
    body = body_of(cases["head"])
    assert body.found == "extracted"
    assert (body.where == (cases["head"].images[:, 0] > cases["head"].images.mean())).all()
    assert body.notes[-1] == "swapped"
    assert body_of(cases["stripped"], brain_mask="extract").found == "extracted"


def test_a_given_brain_comes_first(scans, tmp_path, extracted):
    cases, head = scans
    with pytest.raises(UnreadableScan, match="no brain mask lies beside it"):
        body_of(cases["head"], brain_mask="given")
    write_volume(tmp_path / "head_brain.nii.gz", head.brain.astype(np.uint8), head.grid)
    write_volume(tmp_path / "stripped_bet_mask.nii.gz", head.brain.astype(np.uint8), cases["stripped"].grid)
    for wanted in ("auto", "given"):
        assert body_of(cases["head"], brain_mask=wanted).found == "given"
        assert body_of(cases["head"], brain_mask=wanted).where.sum() == head.brain.sum()
        assert body_of(cases["stripped"], brain_mask=wanted).found == "given"
    assert body_of(cases["head"], brain_mask="extract").found == "extracted"
    assert body_of(cases["stripped"], brain_mask="nonzero").found == "nonzero"


def test_the_body_is_its_largest_piece_without_holes(make_case):
    case = make_case(count=3, shape=(30, 30))
    images = np.zeros((3, 30, 30))
    images[:, 5:20, 5:20] = 100
    images[:, 10:12, 10:12] = 0
    images[1, 25:28, 25:28] = 100
    body = body_of(replace(case, images=images), preparation="body")
    expected = np.zeros((3, 30, 30), dtype=np.bool_)
    expected[:, 5:20, 5:20] = True
    assert body.found == "level"
    assert (body.where == expected).all()


def test_a_mask_of_the_subject_that_does_not_lie_on_a_scan_is_passed_by_and_that_is_said(scans, tmp_path, extracted):
    _, head = scans
    (tmp_path / "head.nii.gz").rename(tmp_path / "sub-1_FLAIR.nii.gz")
    case = read_scan_slices(tmp_path / "sub-1_FLAIR.nii.gz")
    write_volume(tmp_path / "sub-1_desc-brain_mask.nii.gz", head.brain.astype(np.uint8), head.grid)
    assert body_of(case).where.sum() == head.brain.sum()
    other = replace(head.grid, origin_mm=(99.0, 0.0, 0.0))
    write_volume(tmp_path / "sub-1_desc-brain_mask.nii.gz", head.brain.astype(np.uint8), other)
    body = body_of(case)
    assert body.found == "extracted"
    assert "the brain mask of its subject does not lie on it and was not used" in body.notes
    with pytest.raises(UnreadableScan, match=r"brain mask .*desc-brain_mask.* mm away"):
        body_of(case, brain_mask="given")


def test_a_single_picture_has_no_brain_to_be_searched(make_case):
    case = make_case(count=3)
    case = replace(case, images=case.images + np.random.default_rng(0).integers(0, 50, case.images.shape))
    with pytest.raises(UnreadableScan, match="preparation=body"):
        body_of(replace(case, images=case.images[1:2]))
