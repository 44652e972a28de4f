"""A study that is sent as a form, written to the disk as it comes: within bounds, whatever the client says of it."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from anomae.extras import require
from anomae.serving.limits import GIB, Limits
from anomae.serving.placing import plain_part, plain_path, refuse_unclear, told_apart
from anomae.serving.refusals import NO_ROOM, Refused
from anomae.serving.unpack import is_archive, too_large_unpacked, too_many, unpack
from anomae.volumes.dicom_headers import is_dicom

_FIELD_BYTES = 1000


@dataclass(slots=True)
class Received:
    """What came: files in the order they were sent, further form fields, and how many bytes it was.

    sent: what the client calls each file, with its folders where it says them; safe in any file system.
    """

    files: list[Path] = field(default_factory=list)
    sent: list[Path] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)
    bytes: int = 0


async def receive(
    content_type: str, length: int | None, body: AsyncIterator[bytes], folder: Path, limits: Limits
) -> Received:
    """Write the files of a multipart form (field "file", repeatable) into `folder`.

    content_type, length: the request's headers.  Raises Refused: 413 too much, 408 too slow, 422 no form or no file in
    it, 400 a broken one, 507 no room.
    """
    if length is not None and length > limits.upload_bytes:
        raise _too_large(limits)
    room = shutil.disk_usage(folder).free - limits.free_bytes
    if room < (length or 0):
        raise Refused(507, NO_ROOM)
    form = _Form(content_type, folder, limits)
    try:
        async with asyncio.timeout(limits.upload_s):
            async for chunk in body:
                form.received.bytes += len(chunk)
                if form.received.bytes > limits.upload_bytes:
                    raise _too_large(limits)
                if form.received.bytes > room:
                    raise Refused(507, NO_ROOM)
                form.write(chunk)
            form.finish()
    except TimeoutError as error:
        raise Refused(408, f"The study did not arrive within {limits.upload_s:g} s; send it again.") from error
    finally:
        form.close()
    if not form.received.files:
        raise Refused(422, "The form has no file; send at least one in the form field `file`.")
    return form.received


def laid_out(received: Received, folder: Path, limits: Limits) -> tuple[int, int]:
    """Move what came into `folder`, archives unpacked; returns how many files and bytes it is.

    Files of one name, as the folders of several scans have, stay beside those they came with (anomae.serving.placing).
    Raises Refused (413, 422) as `unpack` does, and (422) where it is unclear which of them belong together.
    """
    folder.mkdir(parents=True)
    files = size = 0
    plain: dict[Path, Path] = {}  # where it lies, and what the client calls it
    for number, (file, sent) in enumerate(zip(received.files, received.sent, strict=True), 1):
        if is_archive(file):
            files, size = unpack(file, folder / f"archive{number}", limits, (files, size))
            file.unlink()
        else:
            files, size = files + 1, size + _to_disk(file)
            plain[file] = sent
        if files > limits.files:
            raise too_many(limits)
        if size > limits.unpacked_bytes:
            raise too_large_unpacked(limits)
    _move_in(plain, folder)
    if not files:
        raise Refused(422, "The archive is empty; pack the files of the study into it.")
    return files, size


def _move_in(files: Mapping[Path, Path], folder: Path) -> None:
    """Move files into `folder`, each to the path it was sent under; DICOM, told by its headers, without its folders.

    What lies in `folder` already stays as it is.
    """
    dicom = [is_dicom(file) for file in files]
    sent = [Path(path.name) if alone else path for path, alone in zip(files.values(), dicom, strict=True)]
    there = {path.name for path in folder.iterdir()}
    sent = [Path("sent", path) if path.parts[0].lower() in there else path for path in sent]
    for file, target in zip(files, told_apart(sent, dicom), strict=True):
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        file.rename(folder / target)
    refuse_unclear(folder, [path for path, alone in zip(sent, dicom, strict=True) if not alone])


class _Form:
    """A multipart form, parsed as it comes; python-multipart calls the methods `_on_...`."""

    def __init__(self, content_type: str, folder: Path, limits: Limits) -> None:
        parsing = require("python_multipart", "serve")
        self._errors: Any = require("python_multipart.exceptions", "serve").FormParserError
        self._options = require("python_multipart.multipart", "serve").parse_options_header
        kind, options = self._options(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise Refused(422, "Send the study as a form (multipart/form-data) with its files in the field `file`.")
        self.received = Received()
        self._folder, self._limits = folder, limits
        self._file: IO[bytes] | None = None
        self._names: dict[str, int] = {}
        self._headers: dict[bytes, bytes] = {}
        self._header, self._value, self._name, self._text = b"", b"", "", bytearray()
        self._ended = False
        names = (
            "header_field",
            "header_value",
            "header_end",
            "headers_finished",
            "part_begin",
            "part_data",
            "part_end",
        )
        callbacks = {f"on_{name}": getattr(self, f"_on_{name}") for name in (*names, "end")}
        try:
            self._parser = parsing.MultipartParser(boundary, callbacks)
        except self._errors as error:
            raise _broken() from error

    def write(self, chunk: bytes) -> None:
        """Take the next bytes of the body.  Raises Refused where they are no form."""
        try:
            self._parser.write(chunk)
        except self._errors as error:
            raise _broken() from error

    def finish(self) -> None:
        """The body is at its end.  Raises Refused where the form is not."""
        try:
            self._parser.finalize()
        except self._errors as error:
            raise _broken() from error
        if not self._ended:
            raise _broken()

    def close(self) -> None:
        """Close the file that is being written, if there is one."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _on_part_begin(self) -> None:
        self._headers, self._name, self._text = {}, "", bytearray()
        self._header = self._value = b""

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header = self._value = b""

    def _on_headers_finished(self) -> None:
        _, options = self._options(self._headers.get(b"content-disposition", b""))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" not in options:
            if len(self.received.fields) >= 20:
                raise Refused(413, "The form has too many fields; send files in the field `file`.")
            return
        if self._name != "file":
            raise Refused(422, "The form has a file in another field than `file`; name the field `file`.")
        if len(self.received.files) >= self._limits.files:
            raise too_many(self._limits)
        sent = options[b"filename"].decode("utf-8", "replace").replace("\\", "/")
        name = plain_part(sent.rsplit("/", 1)[-1])
        number = self._names[name.lower()] = self._names.get(name.lower(), 0) + 1
        # What one browser sends as a folder has the same names in its folders; each gets a folder of its own here.
        path = self._folder / str(number) / name
        self.received.sent.append(plain_path(sent))
        path.parent.mkdir(exist_ok=True)
        self._file = path.open("xb")
        self.received.files.append(path)

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(data[start:end])
        else:
            self._text += data[start:end]
            if len(self._text) > _FIELD_BYTES:
                raise Refused(413, "A field of the form is too long; send files in the field `file`, with a file name.")

    def _on_part_end(self) -> None:
        if self._file is None:
            self.received.fields[self._name] = self._text.decode("utf-8", "replace")
            return
        self.close()

    def _on_end(self) -> None:
        self._ended = True


def _to_disk(file: Path) -> int:
    """Hand a file to the disk, so that a power cut loses nothing of what was taken; returns its bytes."""
    with file.open("rb") as content:
        os.fsync(content.fileno())
        return os.fstat(content.fileno()).st_size


def _broken() -> Refused:
    return Refused(400, "The form is broken or was cut short; send it again.")


def _too_large(limits: Limits) -> Refused:
    return Refused(413, f"An upload may have {limits.upload_bytes / GIB:g} GiB at most; send less at a time.")
