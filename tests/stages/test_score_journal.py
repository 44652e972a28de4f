"""The journals of scoring that the disk damaged: what another line vouches for is not scored again."""

from pathlib import Path

import numpy as np
import pytest

from anomae.detectors.protocol import Findings
from anomae.errors import UserError
from anomae.runs.scoring_folder import ScoredScan, ScoringFolder
from anomae.runs.scoring_rows import GrowingFindings, scored_before


def scored(folder: Path, blocks: int, earlier: dict | None = None) -> np.ndarray:
    growing = GrowingFindings(folder, (4, 4), earlier, False, False)
    start = growing.rows // 3
    for block in range(start, start + blocks):
        growing.append(Findings(np.arange(3.0) + 3 * block), "test", 12)
    growing.close()
    return growing.scores[:, 0]


@pytest.mark.parametrize(("damaged", "kept"), [(1, 9), (2, 9), (3, 6)])
def test_rows_that_a_later_line_vouches_for_are_kept(tmp_path: Path, damaged: int, kept: int) -> None:
    scored(tmp_path, 3)
    lines = (tmp_path / "journal.jsonl").read_bytes().split(b"\n")
    lines[damaged - 1] = b"\x00\x00"
    (tmp_path / "journal.jsonl").write_bytes(b"\n".join(lines))
    earlier = scored_before(tmp_path, 12, "test", False)
    assert earlier is not None
    assert earlier["rows"] == kept
    assert scored(tmp_path, 4 - kept // 3, earlier).tolist() == list(range(12))


def scan(folder: Path, name: str) -> ScoredScan:
    path = folder / f"{name}.nii"
    path.write_bytes(name.encode())
    facts = dict.fromkeys(ScoredScan.__dataclass_fields__, ())
    known = {"path": str(path), "file": name, "name": name, "stamp": "", "patient": "", "pictured": 0, "heat_top": None}
    return ScoredScan(**{**facts, **known})


def test_a_damaged_line_of_scored_scans_costs_that_scan_alone(tmp_path: Path) -> None:
    folder = ScoringFolder(tmp_path / "out", "model")
    scans = [scan(tmp_path, name) for name in "abc"]
    for one in scans:
        folder.add(one)
    lines = (tmp_path / "out" / "journal.jsonl").read_bytes().split(b"\n")
    (tmp_path / "out" / "journal.jsonl").write_bytes(b"\n".join([*lines[:2], b"{", *lines[3:]]))
    assert [found.name for found in ScoringFolder(tmp_path / "out", "model").scans.values()] == ["a", "c"]
    (tmp_path / "out" / "journal.jsonl").write_bytes(b"\n".join([b"{", *lines[1:]]))
    with pytest.raises(UserError, match="something else than scores"):
        ScoringFolder(tmp_path / "out", "model")
