"""Archives: what is packed comes out unchanged and inside, whatever the archive says; bounds hold."""

import io
import os
import struct
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from anomae.serving.limits import Limits
from anomae.serving.refusals import Refused
from anomae.serving.unpack import is_archive, unpack

LIMITS = Limits(files=50, unpacked_bytes=1 << 20, ratio=20, ratio_from_bytes=1 << 16)


def archive(folder: Path, members: dict, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    file = folder / "sent.zip"
    with zipfile.ZipFile(file, "w", compression) as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return file


def status(file: Path, folder: Path, limits: Limits = LIMITS) -> int:
    with pytest.raises(Refused) as told:
        unpack(file, folder, limits)
    assert str(told.value).endswith(".")
    return told.value.status


def test_what_was_packed_comes_out(tmp_path: Path):
    members = {"a/one.dcm": os.urandom(3000), "a/b/two.dcm": b"", "three.nii": os.urandom(10)}
    file = archive(tmp_path, members)
    assert unpack(file, tmp_path / "out", LIMITS, (2, 5)) == (5, 3015)
    for name, content in members.items():
        assert (tmp_path / "out" / name).read_bytes() == content


@settings(max_examples=30)
@given(names=st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=12), min_size=1, max_size=8))
def test_nothing_lands_outside_and_no_member_is_lost(names: list[str]):
    import tempfile

    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        file = archive(folder, {f"n{number}{name}": str(number) for number, name in enumerate(names)})
        refusal, count = None, 0
        try:
            count, _ = unpack(file, folder / "in" / "out", LIMITS)
        except Refused as told:
            refusal = told.status
        assert refusal in (None, 422)
        if refusal is None:
            inside = [path for path in (folder / "in" / "out").rglob("*") if path.is_file()]
            assert count == len(inside) == sum(not name.endswith("/") for name in names)
        everything = {path for path in folder.rglob("*") if path.is_file()}
        assert all(path == file or path.is_relative_to(folder / "in" / "out") for path in everything)


@pytest.mark.parametrize(
    "name", ["../out.txt", "a/../../b", "/etc/x", "C:\\x", "..\\x", "a\\..\\..\\b", "d/" * 30 + "x"]
)
def test_members_outside_are_refused(tmp_path: Path, name: str):
    file = tmp_path / "sent.zip"
    with zipfile.ZipFile(file, "w") as opened:
        member = zipfile.ZipInfo("x")
        member.filename = name
        opened.writestr(member, b"x")
    assert status(file, tmp_path / "out") == 422


def test_links_are_refused(tmp_path: Path):
    member = zipfile.ZipInfo("link")
    member.external_attr = 0o120777 << 16
    assert status(archive(tmp_path, {member: "/etc/passwd"}), tmp_path / "out") == 422


def test_other_compressions_and_passwords_are_refused(tmp_path: Path):
    assert status(archive(tmp_path, {"a": b"x" * 99}, zipfile.ZIP_LZMA), tmp_path / "out") == 422
    file = archive(tmp_path, {"a": b"x"}, zipfile.ZIP_STORED)
    content = bytearray(file.read_bytes())
    content[content.rfind(b"PK\x01\x02") + 8] |= 1
    file.write_bytes(content)
    assert status(file, tmp_path / "out2") == 422


def test_names_that_fall_together_stay_apart(tmp_path: Path):
    file = archive(tmp_path, {"A?.dcm": b"1", "a_.dcm": b"2", "A!.dcm": b"3", "x": b"4", "x/y": b"5"})
    assert unpack(file, tmp_path / "out", LIMITS)[0] == 5
    assert sorted(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()) == [
        bytes([48 + n]) for n in range(1, 6)
    ]


def test_names_come_out_as_headers_name_them(tmp_path: Path):
    """A header beside voxels of its own name, twice in one archive; and a name of letters that are not of ASCII."""
    file = tmp_path / "sent.zip"
    with zipfile.ZipFile(file, "w") as opened, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of equal names
        for content in ("1", "2"):
            for name in ("a/scan.mhd", "a/scan.raw", "a/IM1", "b/my scan \u00e9.mhd"):
                opened.writestr(name, content)
    assert unpack(file, tmp_path / "out", LIMITS)[0] == 8
    for name, content in {"scan": "1", "2/scan": "2"}.items():
        assert [(tmp_path / "out" / "a" / f"{name}{end}").read_text() for end in (".mhd", ".raw")] == [content] * 2
    assert (tmp_path / "out" / "a" / "2_IM1").read_text() == "2"
    assert (tmp_path / "out" / "b" / "my scan \u00e9.mhd").read_text() == "1"


def test_bombs_are_stopped_on_the_way(tmp_path: Path):
    ratio = archive(tmp_path, {"a": bytes(900_000)})
    assert status(ratio, tmp_path / "out") == 413
    assert sum(path.stat().st_size for path in (tmp_path / "out").rglob("*") if path.is_file()) < 900_000
    loose = replace(LIMITS, ratio=10_000)
    assert status(archive(tmp_path, {"a": bytes(3 << 20)}), tmp_path / "out2", loose) == 413
    assert status(archive(tmp_path, {str(n): b"" for n in range(51)}), tmp_path / "out3") == 413


def test_what_an_archive_says_of_its_sizes_is_not_believed(tmp_path: Path):
    """The central directory says 10 bytes; 900,000 come."""
    file = archive(tmp_path, {"a": bytes(900_000)})
    content = bytearray(file.read_bytes())
    for mark, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", content, content.find(mark) + at, 10)
    file.write_bytes(content)
    assert status(file, tmp_path / "out") in (413, 422)


def test_a_table_of_contents_that_fills_the_memory_is_refused_unread(tmp_path: Path):
    file = tmp_path / "sent.zip"
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 60_000, 60_000, 0x7FFFFFFF, 0, 0)
    file.write_bytes(b"PK\x03\x04" + bytes(100) + end)
    assert status(file, tmp_path / "out") == 413


@settings(max_examples=60)
@example(at=235, value=255)
@given(st.integers(0, 400), st.integers(0, 255))
def test_damage_never_is_an_error_of_ours(at: int, value: int):
    import tempfile

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("a/b.dcm", bytes(range(200)))
        opened.writestr("c", b"x" * 50)
    content = bytearray(packed.getvalue())
    content[at % len(content)] = value
    with tempfile.TemporaryDirectory() as made:
        file = Path(made) / "sent.zip"
        file.write_bytes(content)
        refusal = None
        try:
            unpack(file, Path(made) / "out", LIMITS)
        except Refused as told:
            refusal = told.status
        assert refusal in (None, 413, 422)


def test_an_npz_is_a_scan_and_no_archive(tmp_path: Path):
    file = archive(tmp_path, {"a": b"x"})
    assert is_archive(file)
    assert not is_archive(file.rename(tmp_path / "a.npz"))
