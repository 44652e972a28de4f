"""The memory of command and worker together does not grow with the number of scans; counted, not sampled."""

import os
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from anomae.archive.score_archive import score_archive
from anomae.files import read_json
from anomae.runs.model_fingerprint import REFERENCE
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_volume

SHAPE = (4, 80, 80)
ONE_SCAN = 4 * np.prod(SHAPE)  # bytes, as float32


@pytest.fixture(scope="module")
def many_scans(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One scan under forty names."""
    folder = tmp_path_factory.mktemp("many")
    axes = np.meshgrid(*(np.linspace(-1, 1, side) for side in SHAPE), indexing="ij")
    voxels = np.where(sum(axis**2 for axis in axes) < 0.7, 500, 0).astype(np.int16)
    voxels += np.random.default_rng(0).integers(0, 90, SHAPE).astype(np.int16) * (voxels > 0)
    scans = [folder / f"scan-{number:02d}.nii" for number in range(40)]
    write_volume(scans[0], voxels, Grid(SHAPE))
    for scan in scans[1:]:
        os.link(scans[0], scan)
    return scans


def peak_bytes(run: Path, manifest: Path, out: Path) -> int:
    """The most that Python and numpy held at once while the archive was scored."""
    tracemalloc.start()
    try:
        score_archive(manifest, out, run=run, workers=1, shard=4, maps="none")
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_ten_times_as_many_scans_take_no_more_memory(run, manifest, many_scans, here, tmp_path):
    bare = shutil.copytree(run / "fitted", tmp_path / "fitted")
    (bare / REFERENCE).unlink()  # comparing scans with the training scans takes most of the time
    few, many = manifest(tmp_path / "few.csv", many_scans[:4]), manifest(tmp_path / "many.csv", many_scans)
    peak_bytes(bare, few, tmp_path / "first")  # imports, and the model, which is loaded once
    peaks = [peak_bytes(bare, listed, tmp_path / listed.stem) for listed in (few, many)]
    assert read_json(tmp_path / "many" / "archive.json")["slices"] == 40 * SHAPE[0]
    assert peaks[1] < peaks[0] + 2 * ONE_SCAN, peaks  # thirty-six more would hold thirty-six times one
