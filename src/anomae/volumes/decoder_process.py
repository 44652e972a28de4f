"""GDCM in a process of its own, for it takes the process with it when it meets a damaged JPEG stream.

Seen with python-gdcm 3.2: of 400 damaged JPEG lossless files 4 ended the process by abort or segmentation fault, of as
many JPEG-LS files 2.  Nothing else that is free decodes JPEG lossless.  The file is also the program of that process:
it takes a line of JSON (file, picture numbers) and answers with a line of JSON and the bytes of the pictures.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

_PATIENCE_S = 120.0


class DecoderProcess:
    """Decodes with GDCM, apart; the process starts with the first picture and ends with the `with` block."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def decode(self, path: Path, numbers: Sequence[int]) -> Iterator[npt.NDArray[Any]]:
        """The pictures `numbers` of the file, (rows, columns) each.  Raises RuntimeError where GDCM cannot or dies."""
        if self._process is None:
            pipe = subprocess.PIPE
            # -P: no folder of the caller's may stand in for a module of ours.
            command = [sys.executable, "-P", __file__]
            self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        alarm = threading.Timer(_PATIENCE_S, process.kill)
        alarm.start()
        try:
            process.stdin.write(json.dumps([str(path.resolve()), list(numbers)]).encode() + b"\n")
            process.stdin.flush()
            for _ in numbers:
                answer = json.loads(process.stdout.readline() or "null")
                content = process.stdout.read(answer["bytes"]) if answer and "bytes" in answer else b""
                if not content or len(content) != answer["bytes"]:
                    self._stop()
                    raise RuntimeError("GDCM could not decode it")
                yield np.frombuffer(content, answer["dtype"]).reshape(answer["shape"])
        except OSError as error:
            self._stop()
            raise RuntimeError("GDCM died of it") from error
        finally:
            alarm.cancel()

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def is_extended_jpeg(header: Any) -> bool:
    """Whether the pictures are JPEG Extended of more than 8 bits.

    GDCM decodes them, but pydicom never asks it to.  Pictures that GDCM 3.2 wrote come back within 1 of 4,095, and the
    two such files that pydicom ships show the same as their near-duplicate in JPEG 2000.
    """
    return bool(header.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.51" and header.BitsStored != 8)


def _twelve_bits(header: Any, path: str) -> npt.NDArray[Any]:
    """All pictures of such a file, [picture, row, column], as GDCM alone reads them."""
    import gdcm

    reader = gdcm.ImageReader()
    reader.SetFileName(path)
    if not reader.Read():
        raise RuntimeError("GDCM cannot read it")
    content = reader.GetImage().GetBuffer().encode("utf-8", "surrogateescape")  # GDCM gives bytes as text
    kind = "<i2" if header.PixelRepresentation else "<u2"
    return np.frombuffer(content, kind).reshape(-1, header.Rows, header.Columns)


def _serve() -> None:
    """Answer requests until the input ends; an error is answered with an empty object."""
    import os

    import gdcm
    import pydicom
    from pydicom.pixels import pixel_array

    # What GDCM prints may not stand between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    gdcm.Trace.WarningOff()
    for line in sys.stdin.buffer:
        path, numbers = json.loads(line)
        try:
            header = pydicom.dcmread(path, force=True)
            frames = _twelve_bits(header, path) if is_extended_jpeg(header) else None
            for number in numbers:
                if frames is None:
                    pixels = pixel_array(header, index=number, raw=True, decoding_plugin="gdcm")
                else:
                    pixels = frames[number]
                content = np.ascontiguousarray(pixels).tobytes()
                answer = {"dtype": pixels.dtype.str, "shape": pixels.shape, "bytes": len(content)}
                answers.write(json.dumps(answer).encode() + b"\n" + content)
        except Exception as error:  # noqa: BLE001  the other side refuses the file
            answers.write(json.dumps({"error": type(error).__name__}).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    _serve()
