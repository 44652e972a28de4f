"""The checks of headers: sizes, ratios, streams and names; and whose error is whose."""

import io
import re
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

import anomae
from anomae.errors import AnomaeError, UnreadableScan, UserError
from anomae.volumes import nifti
from anomae.volumes.headers import (
    MAX_VOXELS,
    check_ratio,
    check_size,
    check_stored,
    check_stream,
    file_beside,
    parsing,
    unreadable,
)
from anomae.volumes.read import read_volume

SCAN = Path("scan.nii")


def test_sizes() -> None:
    assert check_size(SCAN, (2, 3, 4), 2, 24) == 48
    for shape, voxel_bytes, limit in (
        ((2, 3, 4), 2, 23),
        ((2**11, 2**10, 2**10), 4, MAX_VOXELS),
        ((10**99, 10**99), 1, 9),
    ):
        with pytest.raises(UnreadableScan):
            check_size(SCAN, shape, voxel_bytes, limit)
    for shape in ((0, 3), (-1, -1), ()):
        with pytest.raises(UnreadableScan, match="impossible"):
            check_size(SCAN, shape, 1, MAX_VOXELS)


def test_shares() -> None:
    check_stored(SCAN, 10, 10)
    check_ratio(SCAN, 2**20, 0)
    with pytest.raises(UnreadableScan, match="9 are there"):
        check_stored(SCAN, 10, 9)
    with pytest.raises(UnreadableScan, match="cannot hold"):
        check_ratio(SCAN, 2**31, 2**20)


@pytest.mark.parametrize("size", [0, 1, 1000, 2**20 - 1, 2**20, 2**20 + 1, 3 * 2**20])
@pytest.mark.parametrize("byte", [b"\0", b"x"])
def test_every_true_stream_passes_and_every_cut_one_does_not(size: int, byte: bytes) -> None:
    squeezed = zlib.compress(byte * size)
    check_stream(SCAN, io.BytesIO(squeezed), size)
    with pytest.raises(UnreadableScan):
        check_stream(SCAN, io.BytesIO(squeezed), size + 1)
    for cut in (1, 4, 5, len(squeezed) // 2):
        with pytest.raises(UnreadableScan):
            check_stream(SCAN, io.BytesIO(squeezed[:-cut]), size)


def lines_of(module: str, code: str) -> Callable[[], None]:
    """A function that runs `code` as if it stood in `module`."""
    compiled = compile(code, module, "exec")
    return lambda: exec(compiled, {"__name__": module})


ANYTHING = ("ValueError", "MemoryError", "RecursionError", "KeyError", "TypeError", "AttributeError", "AssertionError")


@pytest.mark.parametrize("name", ANYTHING)
def test_whatever_a_parser_raises_is_a_broken_file(name: str) -> None:
    fail = lines_of("pydicom.filereader", f"raise {name}('patient\\nDoe')")
    with pytest.raises(UnreadableScan) as caught, parsing(SCAN, "NIfTI"):
        fail()
    assert type(caught.value.__cause__).__name__ == name
    assert "Doe" not in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "code",
    [
        "None.x",
        "{}['x']",
        "[][0]",
        "len()",
        "undefined",
        "assert False",
        "import json; json.dumps({1, 2})",
        "import pathlib; pathlib.Path(None)",
        "import no_such_module_of_anyone",
    ],
)
def test_defects_of_our_own_lines_stay_what_they_are(code: str) -> None:
    """Also those that only show in the standard library, which was called wrongly."""
    fail = lines_of("anomae.volumes.made_up", code)
    with pytest.raises(Exception) as expected:
        fail()
    with pytest.raises(type(expected.value)) as caught, parsing(SCAN, "NIfTI"):
        fail()
    assert not isinstance(caught.value, AnomaeError)
    # Called back by a library, our line is still ours.
    library = {"__name__": "numpy.made_up", "fail": fail}
    with pytest.raises(type(expected.value)) as caught, parsing(SCAN, "NIfTI"):
        exec("fail()", library)
    assert not isinstance(caught.value, AnomaeError)


@pytest.mark.parametrize(
    "code", ["int('x')", "import struct; struct.unpack('<i', b'')", "import zlib; zlib.decompress(b'')"]
)
def test_what_our_lines_find_in_broken_content_is_a_broken_file(code: str) -> None:
    with pytest.raises(UnreadableScan, match="cut short or broken"), parsing(SCAN, "NIfTI"):
        lines_of("anomae.volumes.made_up", code)()


def test_a_reader_of_ours_with_a_defect_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2), np.int16), np.eye(4)), tmp_path / "a.nii")
    assert read_volume(tmp_path / "a.nii").voxels.shape == (2, 2, 2)
    monkeypatch.setattr(nifti, "HEADERS", None)
    with pytest.raises(TypeError, match="NoneType"):
        read_volume(tmp_path / "a.nii")


def test_errors_on_purpose_and_interruptions_pass() -> None:
    with pytest.raises(UserError, match="mine"), parsing(SCAN, "NIfTI"):
        raise UserError("mine")
    with pytest.raises(KeyboardInterrupt), parsing(SCAN, "NIfTI"):
        raise KeyboardInterrupt


def test_reading_leaves_the_filters_of_warnings_to_the_program(tmp_path: Path) -> None:
    """catch_warnings holds for all threads of a process, so a reader that used it would silence other requests."""
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2), np.int16), np.eye(4)), tmp_path / "a.nii")
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "a.png")
    before = warnings.filters
    with parsing(SCAN, "NIfTI"), pytest.warns(UserWarning, match="seen"):
        warnings.warn("seen", UserWarning, stacklevel=1)
    seen = []
    for name in ("a.nii", "a.png"):
        with parsing(SCAN, "scan"):
            seen.append(warnings.filters is before)
        read_volume(tmp_path / name)
    assert seen == [True, True]
    assert warnings.filters is before


def test_the_package_sets_nothing_for_the_whole_process() -> None:
    """But the command line and the workers, whose processes they are, and what only a command does."""
    forbidden = re.compile(r"warnings\.(simplefilter|filterwarnings|catch_warnings)|os\.umask|sys\.setrecursionlimit")
    root = Path(anomae.__file__).parent
    found = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if forbidden.search(path.read_text(encoding="utf-8"))
    }
    commands = {"export/writing.py", "pacs/dicomweb.py", "pacs/send.py", "pacs/send_files.py", "serving/serve.py"}
    assert found == {"workers.py"} | commands


def test_names_beside(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    for name in ("a.raw", "below/a.raw", "./a.raw", "my scan (1).raw"):
        (tmp_path / name).write_bytes(b"")
        assert file_beside(tmp_path / "a.mhd", name) == tmp_path / name
    for name in ("", "below", "..", "below/../../x", "a\0.raw", "a\n.raw"):
        with pytest.raises(UnreadableScan):
            file_beside(tmp_path / "a.mhd", name)


def test_messages_are_one_printable_line() -> None:
    assert str(unreadable(Path("a\nb\x1b.nii"), "is missing.")) == "a?b?.nii is missing."
