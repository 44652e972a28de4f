"""A volume is read back before it gets its name: whatever is cut or changed is noticed."""

import numpy as np
import pytest

from anomae.errors import NotWritten
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_volume
from anomae.volumes.written_volume import check_written

VOXELS = np.random.default_rng(0).uniform(0, 99, (3, 5, 7))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".mha", ".nrrd"])
@pytest.mark.parametrize("kind", ["<f4", "<i2", "u1"])
def test_a_whole_file_passes_and_a_cut_or_changed_one_does_not(tmp_path, suffix, kind):
    path, voxels = tmp_path / f"a{suffix}", VOXELS.astype(kind)
    write_volume(path, voxels, Grid(voxels.shape))
    check_written(path, voxels)
    content = path.read_bytes()
    for kept in (0, 1, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:kept])
        with pytest.raises(NotWritten, match="make room"):
            check_written(path, voxels)
    path.write_bytes(content)
    with pytest.raises(NotWritten):
        check_written(path, voxels + voxels.dtype.type(1))
