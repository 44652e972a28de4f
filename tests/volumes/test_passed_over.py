"""A search for scans tells what it passed over, each kind with its reason."""

from pathlib import Path

import numpy as np
import pytest

from anomae.volumes.passed_over import NOT_READ, UNREAD
from anomae.volumes.read import look_for_scans


@pytest.mark.parametrize("ending", sorted(NOT_READ))
def test_every_kind_of_image_that_is_not_read_is_named_with_what_to_do(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"Scan{ending.upper()}").write_bytes(b"x")
    (note,) = look_for_scans(tmp_path).notes()
    assert note == f"{UNREAD}1 file(s), {ending}: {NOT_READ[ending]}."


def test_no_file_is_lost_between_scans_and_what_was_passed_over(tmp_path: Path) -> None:
    for name in ("a.json", "b.JSON", "c.txt", "README", "d.mgz", ".hidden"):
        (tmp_path / name).write_bytes(b"x")
    np.save(tmp_path / "e.npy", np.zeros((3, 4, 5)))
    found = look_for_scans(tmp_path)
    assert len(found.scans) + found.passed_over.total() == 6
    assert found.notes()[-1] == "Passed over as no scans: 2 .json, 1 .txt, 1 without an ending."


def test_the_voxels_of_a_header_are_its_part(tmp_path: Path) -> None:
    (tmp_path / "a.mhd").write_text("x")
    (tmp_path / "a.raw").write_bytes(b"x")
    (tmp_path / "b.raw").write_bytes(b"x")
    found = look_for_scans(tmp_path)
    assert found.scans == [tmp_path / "a.mhd"]
    assert found.notes() == ["Passed over as no scans: 1 .raw."]
