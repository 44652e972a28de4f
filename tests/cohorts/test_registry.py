import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from anomae.cohorts.array_cohort import Arrays
from anomae.cohorts.folder import Folder
from anomae.cohorts.luna16 import Luna16
from anomae.cohorts.registry import COHORTS, cohort_options, open_cohort
from anomae.errors import UserError


def test_texts_are_read_as_the_type_of_the_option():
    luna = open_cohort("luna16", "x", patch_side="32", patch_spacing_mm="0.7", rows=np.array([3, 1]))
    assert isinstance(luna, Luna16)
    assert (luna.side, luna.spacing_mm, luna.rows.tolist()) == (32, 0.7, [1, 3])
    folder = open_cohort("folder", Path("x"), near_duplicates="true", per_cluster="2")
    assert isinstance(folder, Folder)
    assert (folder.near_duplicates, folder.per_cluster) == (True, 2)
    arrays = open_cohort("arrays", "x", images=7)
    assert isinstance(arrays, Arrays)
    assert arrays.told["images"] == "7"


def test_near_misses_are_named():
    with pytest.raises(UserError, match=r"no cohort 'luna'. Did you mean luna16"):
        open_cohort("luna", "x")
    with pytest.raises(UserError, match=r"no cohort 'zzz'. There are: brats, brats2020, luna16"):
        open_cohort("zzz", "x")
    with pytest.raises(UserError, match=r"no option 'modalty'. Did you mean modality"):
        open_cohort("lgg", "x", modalty="t1")
    with pytest.raises(UserError, match="patch_side cannot be 'wide'"):
        open_cohort("luna16", "x", patch_side="wide")


def test_options_are_listed():
    assert cohort_options("lgg") == ("modality",)
    assert cohort_options("brats2020") == ("modality", "channel", "channels")
    for name in COHORTS:
        assert "source" not in cohort_options(name)


def test_looking_up_cohorts_is_light():
    heavy = "torch SimpleITK h5py scipy sklearn skimage pydicom PIL matplotlib"
    code = f"import anomae.cohorts.registry, sys; sys.exit(str([m for m in {heavy.split()} if m in sys.modules] or ''))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False)
    assert done.stderr.strip() == ""
