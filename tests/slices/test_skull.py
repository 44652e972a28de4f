"""Whether a scan is skull-stripped is told from its voxels, at any scale, size and contrast."""

import numpy as np
import pytest

from anomae.cohorts.scan_slices import read_scan_slices, scan_slices
from anomae.phantoms.phantom import imagine_head, scan_head
from anomae.slices.intensity import measure_scale
from anomae.slices.settings import PrepareSettings
from anomae.slices.skull import background_of, is_stripped
from anomae.volumes.read import read_volume

MODALITIES = ("t1", "t2", "flair")


def stripped(voxels):
    return is_stripped(voxels, measure_scale(voxels, PrepareSettings()))


@pytest.fixture(scope="module", params=[(40, 64, 64), (16, 32, 32)], ids=str)
def heads(request):
    return {skull: imagine_head(3, shape=request.param, lesions=2, skull=skull) for skull in (False, True)}


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_brain_alone_is_told_from_a_head(heads, modality):
    brain, head = (scan_head(heads[skull], modality).voxels for skull in (False, True))
    assert stripped(brain)
    assert not stripped(head)


@pytest.mark.parametrize("modality", ["t1", "flair"])
def test_a_head_whose_air_was_blackened_is_no_brain(modality):
    head = imagine_head(4, shape=(40, 64, 64), skull=True)
    voxels = np.where(head.body, scan_head(head, modality).voxels, 0)
    assert not stripped(voxels)


def test_neither_scale_nor_offset_nor_the_value_of_the_background_matters(heads):
    brain = scan_head(heads[False], "t1").voxels
    inside = brain > 0
    standardised = (brain - brain[inside].mean()) / brain[inside].std()
    for changed in (brain * 3 + 100, brain / 1000, standardised, np.where(inside, standardised, 0)):
        assert stripped(changed)
    level = np.float32(standardised[~inside][0])
    scale = measure_scale(standardised, PrepareSettings())
    assert background_of(standardised, scale) == pytest.approx(level)


def test_what_shows_nothing_is_not_stripped():
    assert not stripped(np.zeros((5, 20, 20), dtype=np.int16))
    assert not stripped(np.random.default_rng(0).integers(0, 255, (5, 20, 20)))


@pytest.mark.real_data
def test_real_scans(development_images):
    case = sorted((development_images / "brats_case").glob("*.nii.gz"))
    assert case
    assert all(stripped(scan_slices(read_volume(path)).images[:, 0]) for path in case)
    scans = sorted(path for path in (development_images / "lgg").glob("*/*_*.nii.gz") if "_seg." not in path.name)
    # every fifth, and the two whose air is one value
    odd = [
        path for path in scans if path.name in ("TCGA_FG_5962_20000626_t1.nii.gz", "TCGA_FG_A4MU_20030903_t1.nii.gz")
    ]
    assert len(odd) == 2
    assert not any(stripped(read_scan_slices(path).images[:, 0]) for path in [*scans[::5], *odd])
