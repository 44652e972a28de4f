"""A stamp holds as long as the files of a scan are as they were; its brain is one of them where it counts."""

import os
from pathlib import Path

import pytest

from anomae.runs.scan_stamp import stamp_of, still_holds
from anomae.slices.bodies import APART, GIVEN

MADE_NS = 2_000_000_000_000_000_000


def written(path: Path, text: str = "x", modified_ns: int = MADE_NS - 1) -> Path:
    path.write_text(text)
    os.utime(path, ns=(modified_ns, modified_ns))
    return path


CHANGES = {
    "nothing": lambda scan, brain: None,
    "scan": lambda scan, brain: written(scan, "y", MADE_NS - 2),
    "brain corrected": lambda scan, brain: written(brain, "y", MADE_NS + 1),
    "brain gone": lambda scan, brain: brain.unlink(missing_ok=True),
    "brain there": lambda scan, brain: brain if brain.exists() else written(brain),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    ("there", "seeks", "notes"),
    [(there, seeks, ()) for there in (False, True) for seeks in (False, True)]
    + [(True, True, (GIVEN,)), (True, True, (APART,))],
)
def test_a_stamp_holds_unless_a_file_that_counts_has_changed(
    tmp_path: Path, change: str, there: bool, seeks: bool, notes: tuple[str, ...]
) -> None:
    scan, brain = written(tmp_path / "x.nii"), tmp_path / "x_brain.nii"
    if there:
        written(brain)
    before = {path.name: path.read_text() for path in (scan, brain) if path.exists() and (seeks or path == scan)}
    stamp = stamp_of(scan, seeks)
    CHANGES[change](scan, brain)
    after = {path.name: path.read_text() for path in (scan, brain) if path.exists() and (seeks or path == scan)}
    assert still_holds(stamp, scan, seeks, notes, []) == (before == after)
    assert (stamp_of(scan, seeks) == stamp) == (before == after)


@pytest.mark.parametrize("note", [GIVEN, APART])
def test_what_an_earlier_version_scored_with_a_brain_is_left_unless_that_is_gone_or_newer(
    tmp_path: Path, note: str
) -> None:
    scan, brain, heat = written(tmp_path / "x.nii"), written(tmp_path / "x_brain.nii"), tmp_path / "map.nii"
    written(heat, modified_ns=MADE_NS)
    earlier = stamp_of(scan)
    assert earlier != stamp_of(scan, True)
    assert still_holds(earlier, scan, True, ["else", note], [heat])
    assert still_holds(earlier, scan, True, [note], [])
    assert not still_holds(earlier, scan, True, ["else"], [heat])  # there was none then
    written(brain, "y", MADE_NS + 1)
    assert not still_holds(earlier, scan, True, [note], [heat])
    brain.unlink()
    assert still_holds(earlier, scan, True, [note], [heat]) == (note == APART)  # which was not used
