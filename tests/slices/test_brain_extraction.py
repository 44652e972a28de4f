"""deepbet, run as its makers do: the same mask, wherever the head lies; and a sentence where it is not there."""

import sys
import warnings

import nibabel
import numpy as np
import pytest

from anomae.cohorts.scan_slices import scan_slices
from anomae.errors import MissingExtra, UnreadableScan, UserError
from anomae.slices import brain_extraction
from anomae.slices.brain_extraction import extract_brain
from anomae.volumes.orientation import axial_view
from anomae.volumes.read import read_volume


@pytest.fixture
def deepbet():
    return pytest.importorskip("deepbet.bet", reason="deepbet is not installed (pip install 'anomae[brain]')")


@pytest.fixture
def unloaded():
    """The networks are loaded anew before and after."""
    brain_extraction._load.cache_clear()
    yield
    brain_extraction._load.cache_clear()


@pytest.mark.usefixtures("unloaded")
def test_without_the_package_the_extra_and_the_other_way_out_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "deepbet.bet", None)
    with pytest.raises(MissingExtra, match=r"anomae\[brain\].*preparation=plain"):
        extract_brain(np.zeros((4, 8, 8), dtype=np.float32))


@pytest.mark.usefixtures("unloaded")
def test_other_weights_are_refused(monkeypatch, deepbet):
    monkeypatch.setitem(brain_extraction.WEIGHTS, "model.pt", "0" * 64)
    with pytest.raises(UserError, match=r"model\.pt is not the file of deepbet 1\.0\.2"):
        extract_brain(np.zeros((4, 8, 8), dtype=np.float32))


def test_where_there_is_no_brain_a_sentence_says_so(deepbet):
    with pytest.raises(UnreadableScan, match="no brain was found"):
        extract_brain(np.zeros((8, 16, 16), dtype=np.float32))


@pytest.mark.real_data
def test_a_real_head_has_the_mask_that_deepbet_gives_it_mended(development_images, deepbet, tmp_path):
    """The headers of the LGG scans swap front and back: mended, deepbet itself gives the very same mask."""
    import torch

    path = sorted((development_images / "lgg").glob("*/*_flair.nii.gz"))[10]
    stored = nibabel.load(path)
    mended = nibabel.Nifti1Image(np.asarray(stored.dataobj)[:, ::-1], stored.affine, stored.header)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`torch.jit.load` is", category=DeprecationWarning)
        networks = deepbet.BrainExtraction(no_gpu=True)
    expected = np.asarray(networks.run(mended)[1].dataobj)[:, ::-1] > 0
    torch.set_num_threads(threads)
    volume = read_volume(path)
    mask, said = extract_brain(scan_slices(volume).images[:, 0].astype(np.float32))
    assert "front and back swapped" in said
    assert (axial_view(volume.grid).invert(mask).transpose(2, 1, 0) == expected).all()

    # stored sagittally, from left to right and upside down, it lies in the world as it did
    turned = stored.as_reoriented(nibabel.io_orientation(stored.affine)[[1, 2, 0]] * [1, -1])
    nibabel.save(turned, tmp_path / "turned.nii.gz")
    other = read_volume(tmp_path / "turned.nii.gz")
    assert other.grid.shape != volume.grid.shape
    again, _ = extract_brain(scan_slices(other).images[:, 0].astype(np.float32))
    in_file = axial_view(other.grid).invert(again).transpose(2, 1, 0).astype(np.uint8)
    back = nibabel.as_closest_canonical(nibabel.Nifti1Image(in_file, turned.affine))
    here = nibabel.as_closest_canonical(nibabel.Nifti1Image(expected.astype(np.uint8), stored.affine))
    np.testing.assert_allclose(back.affine, here.affine, atol=1e-4)
    assert (np.asarray(back.dataobj) == np.asarray(here.dataobj)).all()
