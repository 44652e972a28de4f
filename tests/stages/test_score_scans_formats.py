"""One made-up scan in each format that is read: the same voxels get the same scores, flags and findings."""

import csv
from pathlib import Path

import numpy as np
import pytest

from anomae.phantoms.dicom_scans import write_dicom_scan
from anomae.phantoms.phantom import Phantom, make_head
from anomae.stages.fit import fit
from anomae.stages.score_scans import score_scans
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_picture, write_volume

FILES = ("nii.gz", "nii", "mha", "mhd", "nrrd")
SERIES = ("axial", "compressed", "enhanced")
PICTURES = ("png", "tif", "tiff", "png, 16 bit")
# Sides and corners that NIfTI's float32 holds exactly: else the geometry of the formats differs, and scores in the
# eighth place with it.
GRID = Grid((10, 40, 40), (4.0, 5.0, 5.0), (-97.5, -97.5, -18.0))


@pytest.fixture(scope="module")
def run(heads, tmp_path_factory) -> Path:
    """A quick baseline, fitted on made-up heads."""
    return Path(fit(heads.folder, tmp_path_factory.mktemp("formats") / "run", detector="pca"))


@pytest.fixture(scope="module")
def head() -> Phantom:
    return make_head(77, shape=GRID.shape, spacing_mm=GRID.spacing_mm, lesions=1)


def scored(run: Path, paths: list[Path], out: Path) -> dict[str, list[tuple[str, ...]]]:
    """By scan: slice number, score and flag of each slice, as the table has them."""
    score_scans(run, paths, out, overlays=0, pages=False, threshold=0.0, force=True)
    found: dict[str, list[tuple[str, ...]]] = {}
    with (out / "scores.csv").open(newline="") as handle:
        for line in csv.DictReader(handle):
            found.setdefault(line["file"], []).append((line["slice"], line["score"], line["flag"]))
    return found


def test_a_scan_in_each_format_has_the_same_scores(run, head, tmp_path):
    voxels = head.voxels.astype(np.int16)
    scans = tmp_path / "scans"
    for suffix in FILES:
        # A folder each: two files of one name beside each other are taken for copies of one scan.
        write_volume(scans / suffix / f"head.{suffix}", voxels, GRID)
    for variant in SERIES:
        phantom = Phantom(voxels, head.lesions, head.body, head.centres, head.radii_mm, head.parts, GRID)
        write_dicom_scan(scans / variant, phantom, modality="MR", patient="made-up", body_part="HEAD", variant=variant)
    found = scored(run, [scans / name for name in (*FILES, *SERIES)], tmp_path / "out")
    assert len(found) == len(FILES) + len(SERIES)
    first = next(iter(found.values()))
    assert len(first) == GRID.shape[0]
    assert len({score for _, score, _ in first}) > GRID.shape[0] // 2  # the slices differ, so equal means something
    for name, lines in found.items():
        assert lines == first, name


def test_a_slice_in_each_format_of_pictures_has_the_same_score(run, head, tmp_path):
    grey = head.voxels[5].astype(np.float64)
    picture = np.rint(255 * grey / grey.max()).astype(np.uint8)
    for name in PICTURES:
        suffix, deep = name.split(",")[0], "16 bit" in name
        path = tmp_path / "pictures" / name / f"slice.{suffix}"
        write_picture(path, picture.astype(np.uint16) if deep else picture, bits=16 if deep else 8)
    found = scored(run, [tmp_path / "pictures" / name for name in PICTURES], tmp_path / "out")
    assert len(found) == len(PICTURES)
    assert len({tuple(lines) for lines in found.values()}) == 1
    # Another picture has another score: equal scores are not all that this can say.
    write_picture(tmp_path / "other.png", picture[::-1].copy())
    [other] = scored(run, [tmp_path / "other.png"], tmp_path / "out2").values()
    assert other != next(iter(found.values()))
