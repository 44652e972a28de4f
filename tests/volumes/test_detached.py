"""Which files a scan is made of, where its header names another."""

import pytest

from anomae.volumes.detached import files_of


@pytest.mark.parametrize(
    ("header", "text", "voxels"),
    [
        ("a.mhd", "NDims = 3\nElementDataFile = deep down.raw\n", "deep down.raw"),
        ("a.MHD", "ElementDataFile=a.zraw\r\n", "a.zraw"),
        ("a.nhdr", "NRRD0004\ntype: short\ndata file: ./b.raw\n", "b.raw"),
        ("a.nhdr", "NRRD0004\nDataFile: b.raw.gz", "b.raw.gz"),
        ("A.hdr", "x", "A.IMG"),
        ("a.hdr.gz", "x", "a.img.gz"),
    ],
)
def test_the_file_that_a_header_names(tmp_path, header, text, voxels):
    path = tmp_path / header
    path.write_text(text)
    assert files_of(path) == [path]
    (tmp_path / voxels).write_bytes(b"x")
    assert [file.resolve() for file in files_of(path)] == [path, tmp_path / voxels]


@pytest.mark.parametrize("content", [b"ElementDataFile = LOCAL\n\0\xff", b"", b"\xff" * 99, b"ElementDataFile = \0\n"])
def test_what_names_none_is_one_file(tmp_path, content):
    for name in ("a.mhd", "a.nhdr", "a.nii"):
        (tmp_path / name).write_bytes(content)
        assert files_of(tmp_path / name) == [tmp_path / name]
    assert files_of(tmp_path / "gone.mhd") == [tmp_path / "gone.mhd"]
