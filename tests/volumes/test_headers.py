"""The judges: sizes, ratios, streams and names."""

import io
import warnings
import zlib
from pathlib import Path

import pytest

from anomae.errors import UnreadableScan, UserError
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


def test_errors_and_warnings_of_parsers() -> None:
    with parsing(SCAN, "NIfTI"):
        warnings.warn("patient Doe", UserWarning, stacklevel=1)
    for error in (ValueError("patient\nDoe"), MemoryError(), RecursionError(), KeyError("Doe")):
        with pytest.raises(UnreadableScan) as caught, parsing(SCAN, "NIfTI"):
            raise error
        assert caught.value.__cause__ is error
        assert "Doe" not in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="mine"), parsing(SCAN, "NIfTI"):
        raise UserError("mine")
    with pytest.raises(KeyboardInterrupt), parsing(SCAN, "NIfTI"):
        raise KeyboardInterrupt


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
