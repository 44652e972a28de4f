"""Uploads: the bytes that were sent are the bytes on the disk, however they are cut; bounds hold while they come."""

import asyncio
import io
import tempfile
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomae.serving.limits import Limits
from anomae.serving.refusals import Refused
from anomae.serving.uploads import Received, laid_out, receive

LIMITS = Limits(upload_bytes=20_000, files=5, unpacked_bytes=50_000, upload_s=5, free_bytes=0)


def form(*files: tuple[str, bytes], **fields: str) -> tuple[str, bytes]:
    request = httpx.Request("POST", "http://x/", files=[("file", file) for file in files], data=fields)
    return request.headers["content-type"], request.read()


def received(
    content_type: str, body: bytes, folder: Path, cut: int = 65_536, limits: Limits = LIMITS, length: int | None = None
) -> Received:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), cut):
            yield body[start : start + cut]

    return asyncio.run(receive(content_type, length, chunks(), folder, limits))


def status(*arguments, **options) -> int:
    with pytest.raises(Refused) as told:
        received(*arguments, **options)
    assert str(told.value).endswith(".")
    return told.value.status


@settings(max_examples=40)
@given(
    contents=st.lists(st.binary(max_size=300).filter(lambda content: content[:2] != b"PK"), min_size=1, max_size=5),
    cut=st.integers(1, 97),
)
def test_what_is_sent_is_what_lies_there(contents: list[bytes], cut: int):
    kind, body = form(*(("same.dcm", content) for content in contents), run="heads")
    with tempfile.TemporaryDirectory() as made:
        came = received(kind, body, Path(made), cut)
        assert [file.read_bytes() for file in came.files] == contents
        assert came.fields == {"run": "heads"}
        assert came.bytes == len(body)
        files, size = laid_out(came, Path(made) / "upload", LIMITS)
        assert (files, size) == (len(contents), sum(map(len, contents)))
        there = [file for file in (Path(made) / "upload").rglob("*") if file.is_file()]
        assert sorted(file.read_bytes() for file in there) == sorted(contents)


SCANS = {
    f"{folder}/{name}": f"{folder} {name}".encode() for folder in "ab" for name in ("scan.mhd", "scan.raw", "x_seg.nii")
}


@settings(max_examples=40)
@given(order=st.permutations([*SCANS]), folders=st.booleans())
def test_two_scans_of_one_name_keep_their_own_files(order: list[str], folders: bool):
    """In whatever order a browser sends two folders: with their paths, or each folder's files in one order."""
    if not folders:
        order = [f"{folder}/{name}" for name in dict.fromkeys(path[2:] for path in order) for folder in "ab"]
    with tempfile.TemporaryDirectory() as made:
        sent = [(path if folders else path[2:], SCANS[path]) for path in order]
        limits = replace(LIMITS, files=9)
        laid_out(received(*form(*sent), Path(made), limits=limits), Path(made) / "upload", limits)
        places: dict[Path, set[bytes]] = {}
        for file in (Path(made) / "upload").rglob("*.*"):
            places.setdefault(file.parent, set()).add(file.read_bytes()[:1])
        assert sorted(map(sorted, places.values())) == [[b"a"], [b"b"]]


def test_dicom_is_laid_out_without_its_folders(tmp_path: Path):
    image = bytes(128) + b"DICM"
    came = received(*form(("a/IM1", image), ("b/IM1", image), ("b/scan.nii", b"1")), tmp_path)
    laid_out(came, tmp_path / "upload", LIMITS)
    there = [file for file in (tmp_path / "upload").rglob("*") if file.is_file()]
    assert sorted(str(file.relative_to(tmp_path / "upload")) for file in there) == ["2_IM1", "IM1", "b/scan.nii"]


def test_voxels_that_could_be_of_either_header_are_refused(tmp_path: Path):
    came = received(*form(("s.mhd", b"1"), ("s.mhd", b"2"), ("s.raw", b"2")), tmp_path)
    with pytest.raises(Refused, match=r"called s\.mhd") as told:
        laid_out(came, tmp_path / "upload", LIMITS)
    assert told.value.status == 422


def test_what_lies_beside_an_archive_overwrites_nothing_of_it(tmp_path: Path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as opened:
        opened.writestr("scan.nii", "packed")
    came = received(*form(("all.zip", packed.getvalue()), ("archive1/scan.nii", b"sent"), ("archive1", b"x")), tmp_path)
    assert laid_out(came, tmp_path / "upload", LIMITS)[0] == 3
    assert (tmp_path / "upload" / "archive1" / "scan.nii").read_text() == "packed"


@pytest.mark.parametrize(
    "name", ["../../x.dcm", "..", "/etc/x.dcm", "a\\..\\x.dcm", ".bashrc", "\u00e4 b.dcm", "x" * 300]
)
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str):
    came = received(*form((name, b"1")), tmp_path)
    assert [file.parent.parent for file in came.files] == [tmp_path]
    assert not came.files[0].name.startswith(".")


@settings(max_examples=40)
@given(body=st.binary(max_size=200), cut=st.integers(1, 50))
def test_no_body_is_an_error_of_ours(body: bytes, cut: int):
    with tempfile.TemporaryDirectory() as made:
        whole = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + body
        for content in (body, whole, whole + b"\r\n--b--\r\n"):
            folder = Path(made) / str(len(content))
            folder.mkdir(exist_ok=True)
            refusal = None
            try:
                received("multipart/form-data; boundary=b", content, folder, cut)
            except Refused as told:
                refusal = told.status
            assert refusal in (None, 400, 413, 422)


def test_bounds_hold_while_it_comes(tmp_path: Path):
    large = form(("a", bytes(30_000)))
    assert status(*large, tmp_path) == 413
    assert status(*large, tmp_path, length=30_000) == 413
    assert status(*form(*[("a", b"1")] * 6), tmp_path) == 413
    assert status(*form(("a", b"1"), note="x" * 2000), tmp_path) == 413
    assert status(*form(("a", bytes(9_000))), tmp_path, limits=replace(LIMITS, free_bytes=1 << 60)) == 507


def test_what_is_no_form_is_refused(tmp_path: Path):
    kind, body = form(("a", b"12345"))
    assert status("application/json", b"{}", tmp_path) == 422
    assert status("multipart/form-data", body, tmp_path) == 422
    assert status(f"multipart/form-data; boundary={'b' * 500}", body, tmp_path) == 400
    assert status(kind, body[:-20], tmp_path) == 400
    assert status(*form(run="heads", **{"other": "1"}), tmp_path) == 422
    other = httpx.Request("POST", "http://x/", files={"image": ("a", b"1")})
    assert status(other.headers["content-type"], other.read(), tmp_path) == 422


def test_one_who_sends_slowly_is_told_so(tmp_path: Path):
    async def slow() -> AsyncIterator[bytes]:
        while True:
            yield b"--b\r\n"
            await asyncio.sleep(0.05)

    with pytest.raises(Refused) as told:
        asyncio.run(receive("multipart/form-data; boundary=b", None, slow(), tmp_path, replace(LIMITS, upload_s=0.02)))
    assert told.value.status in (400, 408)
