"""Archives that were sent, unpacked within bounds: nothing outside the folder, and no more than was agreed."""

import os
import re
import stat
import struct
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from anomae.serving.limits import GIB, Limits
from anomae.serving.placing import DEEPEST, may_be_dicom, plain_part, told_apart
from anomae.serving.refusals import Refused

_CHUNK = 1 << 20
_DIRECTORY_BYTES = 4 << 20  # of a table of contents; it is read into memory whole
_END, _END_BYTES = b"PK\x05\x06", 22


def is_archive(file: Path) -> bool:
    """Whether a file is a zip to be unpacked; numpy's .npz is one too, but a scan."""
    if file.suffix.lower() == ".npz":
        return False
    with file.open("rb") as content:
        return content.read(4) in (b"PK\x03\x04", _END)


def unpack(archive: Path, folder: Path, limits: Limits, already: tuple[int, int] = (0, 0)) -> tuple[int, int]:
    """Unpack a zip into `folder`; returns how many files of the study there are now, and their bytes.

    already: files and bytes of the study that are there.  Raises Refused (413) beyond the bounds and (422) for what no
    honest program writes: members outside the folder, links, passwords, uncommon compressions, damage.
    """
    files, size = already
    packed = archive.stat().st_size
    until = time.monotonic() + limits.upload_s
    _check_directory(archive, limits)
    try:
        with zipfile.ZipFile(archive) as opened:
            listed = opened.infolist()
            if any(not one.filename or not 0 <= one.header_offset < packed for one in listed):
                raise zipfile.BadZipFile
            members = [one for one in listed if not one.is_dir() and not one.filename.startswith("__MACOSX/")]
            if files + len(members) > limits.files:
                raise too_many(limits)
            targets = [folder / _safe_path(one) for one in members]
            for member, target in zip(members, told_apart(targets, [*map(may_be_dicom, targets)]), strict=True):
                target.parent.mkdir(parents=True, exist_ok=True)

                def within(total: int, before: int = size) -> None:
                    if before + total > limits.unpacked_bytes:
                        raise too_large_unpacked(limits)
                    unpacked = before + total - already[1]
                    if unpacked > max(limits.ratio_from_bytes, limits.ratio * packed):
                        raise Refused(
                            413, f"The archive unpacks to over {limits.ratio} times its size; send less of it."
                        )
                    if time.monotonic() > until:
                        raise Refused(413, f"The archive takes over {limits.upload_s:g} s to unpack; send less of it.")

                size += _write_member(opened, member, target, within)
                files += 1
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        struct.error,
        ValueError,
    ) as error:
        raise Refused(
            422, "The archive is damaged, or of a kind that is not read; pack it again as a plain zip."
        ) from error
    return files, size


def too_many(limits: Limits) -> Refused:
    """The refusal of a study with too many files."""
    return Refused(413, f"A study may have {limits.files} files at most; send fewer at a time.")


def too_large_unpacked(limits: Limits) -> Refused:
    """The refusal of a study that is too large unpacked."""
    return Refused(413, f"A study may have {limits.unpacked_bytes / GIB:g} GiB unpacked; send less at a time.")


def _write_member(opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, within: Callable[[int], None]) -> int:
    """Write one member; its bytes are counted as they come, whatever the archive says of them."""
    written = 0
    with opened.open(member) as packed, target.open("xb") as file:
        while chunk := packed.read(_CHUNK):
            written += len(chunk)
            within(written)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return written


def _safe_path(member: zipfile.ZipInfo) -> Path:
    """Where a member goes below the folder.  Raises Refused where it wants to go elsewhere, or is no plain file."""
    name = member.filename.replace("\\", "/")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or re.match(r"[A-Za-z]:", name) or len(parts) > DEEPEST or not parts:
        raise Refused(422, "The archive has a member outside its own folder; pack it again, from within the folder.")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise Refused(422, "The archive has a link or a device in it; pack plain files alone.")
    if member.flag_bits & 0x1:
        raise Refused(422, "The archive has a password; pack it without.")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Refused(422, "The archive is compressed in an uncommon way; pack it again as a plain zip.")
    return Path(*(plain_part(part) for part in parts))


def _check_directory(archive: Path, limits: Limits) -> None:
    """Refuse a table of contents that would fill the memory before it is read."""
    size = archive.stat().st_size
    with archive.open("rb") as content:
        content.seek(max(0, size - _END_BYTES - 65_535))
        tail = content.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_BYTES:
        raise Refused(422, "The archive is cut short; send it again.")
    count, directory = struct.unpack("<HI", tail[at + 10 : at + 16])
    # A zip of over 65,534 members, or over 4 GiB, says its sizes elsewhere.
    if count == 0xFFFF or (directory > _DIRECTORY_BYTES and directory != 0xFFFFFFFF):
        raise too_many(limits)
    if directory == 0xFFFFFFFF or tail[:at].rfind(b"PK\x06\x07") >= at - 20 >= 0:
        raise Refused(422, "The archive is of the kind for over 4 GiB (zip64); send less at a time.")
