"""A search for scans tells what it passed over, each kind with its reason."""

from collections.abc import Callable
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


def scattered(folder: Path) -> list[str]:
    return [note for note in look_for_scans(folder).notes() if "lie in several folders" in note]


def test_a_series_that_is_scattered_over_folders_is_said(tmp_path: Path, write_slice: Callable[..., Path]) -> None:
    for study in ("1.1", "1.2"):
        for z in range(4):
            place = {"ImagePositionPatient": [0, 0, 2.0 * z], "SeriesInstanceUID": f"{study}.5"}
            write_slice(tmp_path / study / f"IM{z:02d}/I", np.full((4, 5), z, np.uint16), **place)
    (note,) = scattered(tmp_path)
    assert note.startswith("2 DICOM series lie in several folders each, and every folder counts as a scan of its own;")
    assert note.endswith("put the files of a series into one folder.")
    assert len(look_for_scans(tmp_path).scans) == 8


def test_copies_of_a_series_and_other_series_are_not_scattered(
    tmp_path: Path, write_series: Callable[..., Path]
) -> None:
    voxels = np.zeros((4, 4, 5), np.uint16)
    for name, uid in (("a", "1.1"), ("copy", "1.1"), ("b", "1.2"), ("anonymous", ""), ("nobody", "")):
        write_series(tmp_path / name, voxels, depths=range(len(name), len(name) + 4), SeriesInstanceUID=uid)
    write_series(tmp_path / "copy", voxels, depths=range(1, 5), SeriesInstanceUID="1.1")
    assert scattered(tmp_path) == []
