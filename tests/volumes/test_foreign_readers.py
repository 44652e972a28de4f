"""A package of someone else's reads a format of its own, wherever scans are read or searched for."""

import subprocess
import sys
from pathlib import Path

import pytest

READER = """
import numpy as np
from anomae.volumes.headers import check_size, unreadable
from anomae.volumes.volume import Grid, Volume


class Lines:
    name = "lines"
    suffixes = (".lines", ".LINES.txt".lower(), ".nii")

    def sniff(self, path):
        with path.open("rb") as content:
            return content.read(5) == b"LINES"

    def read(self, path, max_voxels):
        lines = path.read_text().split()
        if lines[0] != "LINES":
            raise unreadable(path, "does not begin with LINES.")
        if lines[1] == "defect":
            raise KeyError("patient Doe")
        if lines[1] == "nothing":
            return None
        check_size(path, (1, len(lines) - 1, 3), 8, max_voxels)
        rows = [[float(entry) for entry in line.split(",")] for line in lines[1:]]
        return Volume(np.array([rows]), Grid((1, len(rows), 3), (2.0, 1.0, 1.0)), path, self.name)


reader = Lines()
half = "no reader"
"""
PROGRAM = """
from pathlib import Path
import numpy as np
from anomae.cohorts.scan_slices import read_scan_slices
from anomae.errors import UnreadableScan
from anomae.volumes.read import READERS, all_readers, find_scans, is_readable_name, read_volume

def sentence(name, **options):
    try:
        read_volume(Path(name), **options)
    except UnreadableScan as error:
        return str(error)

Path("a.lines").write_text("LINES 1,2,3 4,nan,6")
Path("b.odd").write_text("LINES 1,2,3")
Path("c.lines").write_text("NO")
Path("d.lines").write_text("LINES defect")
Path("e.lines").write_text("LINES nothing")
Path("f.nii").write_text("LINES 1,2,3")
Path("notes.txt").write_text("LIN")
assert [reader.name for reader in all_readers()] == [*(reader.name for reader in READERS), "lines"]
volume = read_volume("a.lines")
assert (volume.kind, volume.voxels.dtype, volume.voxels.tolist()) == ("lines", np.float32, [[[1, 2, 3], [4, 1, 6]]])
assert [file.path for file in volume.files] == [Path("a.lines")]
assert len(volume.notes) == 1
assert read_volume("b.odd").voxels.shape == (1, 1, 3)
assert read_scan_slices(Path("b.odd")).file_slices.tolist() == [0]
assert is_readable_name(Path("x.lines.txt")) and not is_readable_name(Path("b.odd"))
assert [path.name for path in find_scans(Path("."))] == ["a.lines", "b.odd", "c.lines", "d.lines", "e.lines", "f.nii"]
assert sentence("c.lines") == "c.lines does not begin with LINES."
assert sentence("a.lines", max_voxels=5).startswith("a.lines claims 1x2x3 voxels, more than the limit")
assert sentence("d.lines").startswith("d.lines is not a readable lines file (KeyError)")
assert "e.lines is not a readable lines file (ValueError)" in sentence("e.lines")
assert "NIfTI" in sentence("f.nii")  # a suffix of ours stays ours
"""


def installed(folder: Path, entry: str) -> None:
    (folder / "lines_reader.py").write_text(READER)
    (folder / "lines_reader-1.dist-info").mkdir()
    (folder / "lines_reader-1.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: lines-reader\nVersion: 1"
    )
    (folder / "lines_reader-1.dist-info" / "entry_points.txt").write_text(f"[anomae.readers]\nlines = {entry}\n")


def run(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    (folder / "work").mkdir()
    program = f"import sys; sys.path.insert(0, {str(folder)!r})\n{program}"
    command = [sys.executable, "-W", "error", "-c", program]
    return subprocess.run(command, cwd=folder / "work", capture_output=True, encoding="utf-8", check=False)


def test_it_is_read_found_and_held_to_what_ours_are(tmp_path: Path) -> None:
    installed(tmp_path, "lines_reader:reader")
    done = run(tmp_path, PROGRAM)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("no_such_module:reader", "cannot be imported"),
        ("lines_reader:nothing", "cannot be imported"),
        ("lines_reader:half", "is no reader: it lacks name, suffixes, sniff, read"),
    ],
)
def test_one_that_is_broken_is_named_and_stops_no_other_format(tmp_path: Path, entry: str, said: str) -> None:
    installed(tmp_path, entry)
    program = (
        "from pathlib import Path; import numpy as np; from anomae.errors import UserError\n"
        "from anomae.volumes.read import read_volume\n"
        "np.save('a.npy', np.zeros((2, 2))); read_volume('a.npy'); Path('b.odd').write_text('?')\n"
        "try:\n    read_volume('b.odd')\nexcept UserError as error:\n    print(error)\n"
    )
    done = run(tmp_path, program)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
    assert "lines" in done.stdout
