"""Made-up DICOM: every variant lies where it says, and an independent program finds no error in it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from anomae.errors import UserError
from anomae.phantoms.dicom_scans import VARIANTS, write_dicom_scan
from anomae.phantoms.phantom import make_chest, make_head
from anomae.phantoms.shapes import Phantom
from anomae.volumes.read import read_volume


@pytest.fixture(scope="module")
def phantoms() -> dict[str, Phantom]:
    return {"MR": make_head(1, shape=(12, 48, 40)), "CT": make_chest(1, shape=(12, 48, 40))}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("modality", ["MR", "CT"])
def test_every_variant_is_read_as_it_was_meant(
    tmp_path: Path, phantoms: dict[str, Phantom], dciodvfy: Callable[[Path], list[str]], modality: str, variant: str
) -> None:
    phantom = phantoms[modality]
    folder = tmp_path / "scan"
    written = write_dicom_scan(folder, phantom, modality=modality, patient="A^B", body_part="HEAD", variant=variant)
    volume = read_volume(folder)
    np.testing.assert_allclose(volume.grid.affine_lps(), written.grid.affine_lps(), atol=1e-4)
    assert volume.grid.shape == written.lesions.shape
    # Whatever the geometry, the tissue under the lesion mask is the same.
    np.testing.assert_array_equal(np.sort(volume.voxels[written.lesions]), np.sort(phantom.voxels[phantom.lesions]))
    assert volume.dicom is not None
    assert (volume.dicom.modality, volume.dicom.body_part) == (modality, "HEAD")
    assert len(list(folder.iterdir())) == (1 if variant == "enhanced" else len(volume.voxels))
    for path in sorted(folder.iterdir())[:1]:
        assert dciodvfy(path) == []


def test_where_a_variant_leaves_the_patient_alone_its_lesions_stay(
    tmp_path: Path, phantoms: dict[str, Phantom]
) -> None:
    phantom = phantoms["MR"]

    def middle(grid, lesions) -> np.ndarray:
        where = np.argwhere(lesions).mean(axis=0)[::-1]
        return (grid.affine_lps() @ [*where, 1.0])[:3]

    wanted = middle(phantom.grid, phantom.lesions)
    for variant in ("axial", "sagittal", "compressed", "enhanced"):
        folder = tmp_path / variant
        written = write_dicom_scan(folder, phantom, modality="MR", patient="A^B", body_part="HEAD", variant=variant)
        np.testing.assert_allclose(middle(written.grid, written.lesions), wanted, atol=1e-6)


def test_wrong_orders_are_refused(tmp_path: Path, phantoms: dict[str, Phantom]) -> None:
    with pytest.raises(UserError, match="variant"):
        write_dicom_scan(
            tmp_path / "a", phantoms["MR"], modality="MR", patient="A", body_part="HEAD", variant="diagonal"
        )
    with pytest.raises(UserError, match="CT or MR"):
        write_dicom_scan(tmp_path / "a", phantoms["MR"], modality="US", patient="A", body_part="HEAD")
    assert not list(tmp_path.iterdir())
