"""A disk that runs full under `anomae score`: no scan is scored in vain, and the same command goes on."""

import errno
import os

import pytest

from anomae.errors import NotWritten
from anomae.stages import score_scans as module

from .test_score_scans import Brightness, a_scan, rows_of, run, score

__all__ = ["run"]


@pytest.mark.parametrize("what", ["write_study", "pages"])
def test_no_scan_is_scored_in_vain(run, tmp_path, monkeypatch, what):
    for number in range(4):
        a_scan(tmp_path / "in" / f"{number}.nii.gz", seed=number)
    left = 1

    def writing(write):
        def written(*given):
            nonlocal left
            left -= 1
            if left < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "the/map.nii.gz")
            return write(*given)

        return written

    out, detector = tmp_path / "out", Brightness()
    with monkeypatch.context() as patched:
        if what == "pages":
            patched.setattr(module.Pages, "write", writing(module.Pages.write))
        else:
            patched.setattr(module, "write_study", writing(module.write_study))
        with pytest.raises(NotWritten, match=r"the/map\.nii\.gz could not be .* make room"):
            score(run, [tmp_path / "in"], out, detector)
    assert detector.seen == 12  # the first and the one that found no room
    score(run, [tmp_path / "in"], out, detector)
    assert detector.seen == 12 + 18
    assert len(rows_of(out)) == 24
