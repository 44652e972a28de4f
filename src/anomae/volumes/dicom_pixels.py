"""The pixels of DICOM files: judged, decoded, and turned so that more is brighter."""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.volumes.decoder_process import DecoderProcess, is_extended_jpeg
from anomae.volumes.dicom_headers import integer, read_dataset
from anomae.volumes.headers import parsing, unreadable

# Modalities whose numbers are physical whatever MONOCHROME1 says of how to display them.
_PHYSICAL = ("CT", "PT")
# pydicom's decoders that survive damaged streams, best first; python's own is the one for RLE, as pylibjpeg-rle panics.
_PLUGINS = ("pydicom", "pylibjpeg", "pillow")
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_DECOMPRESS = "decompress it first, for example with gdcmconv --raw"


def decode(
    path: Path, numbers: Sequence[int], apart: DecoderProcess
) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[np.bool_] | None, tuple[str, ...]]]:
    """The pictures `numbers` of the file, in that order, as stored (not rescaled): (rows, columns), padding, and notes.

    Padding: (rows, columns), where the picture holds no measurement (PixelPaddingValue); None: nowhere.
    apart: the process that decodes what only GDCM can.  Raises UnreadableScan where a picture cannot be decoded.
    """
    with parsing(path, "DICOM"):
        header = read_dataset(path, pixels=True)
        pictures = _open(path, header, numbers, apart)
        notes = _notes(header)
    while True:
        # Entered anew for each picture: between them the caller's own warnings must not be silenced.
        with parsing(path, "DICOM"):
            try:
                pixels = next(pictures, None)
            except RuntimeError as error:
                text = f"is compressed in a way that could not be decoded: broken, or a rare variety; {_DECOMPRESS}."
                raise unreadable(path, text) from error
            if pixels is None:
                return
            if pixels.shape != (header.Rows, header.Columns) or pixels.dtype.kind not in "iuf":
                raise unreadable(path, "decodes to something other than its header says; it is broken.")
            padded = _padding(header, pixels)
            pixels = _turn(header, pixels)
        yield pixels, padded, notes


def _open(path: Path, header: Any, numbers: Sequence[int], apart: DecoderProcess) -> Iterator[npt.NDArray[Any]]:
    """An iterator over the stored pictures, none decoded yet."""
    from pydicom.pixels import get_decoder, pixel_array
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if "TransferSyntaxUID" not in header.file_meta:
        implicit = header.original_encoding[0]
        header.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    if not any(name in header for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise unreadable(path, "has no pixel data; it is cut short or a mere header: copy it again.")
    try:
        decoder = get_decoder(header.file_meta.TransferSyntaxUID)
    except NotImplementedError as error:
        raise unreadable(path, f"is stored in a transfer syntax that is not supported; {_DECOMPRESS}.") from error
    if not decoder.is_encapsulated:
        bits = integer(header, "BitsStored", 0)
        if bits and integer(header, "HighBit", bits - 1) != bits - 1:
            # DICOM no longer allows it; decoders mask the lowest bits, whatever HighBit says.
            raise unreadable(path, "keeps its numbers in the upper bits (HighBit), which is not supported; convert it.")
        return (pixel_array(header, index=number, raw=True) for number in numbers)
    _check_codestreams(path, header)
    plugin = next((name for name in _PLUGINS if name in decoder.available_plugins), "")
    if not plugin or is_extended_jpeg(header):
        return apart.decode(path, numbers)
    return (pixel_array(header, index=number, raw=True, decoding_plugin=plugin) for number in numbers)


def _notes(header: Any) -> tuple[str, ...]:
    notes = []
    if str(header.get("SOPClassUID", "")).startswith(_SECONDARY_CAPTURE):
        notes.append("It is a secondary capture, a copy of a screen or a film: its numbers may have no unit.")
    if _is_inverted(header):
        notes.append("It is stored with white and black exchanged (MONOCHROME1) and was turned.")
    if header.get("ModalityLUTSequence"):
        notes.append("Its numbers went through the table of the file (modality LUT).")
    return tuple(notes)


def _is_inverted(header: Any) -> bool:
    return header.get("PhotometricInterpretation") == "MONOCHROME1" and header.get("Modality") not in _PHYSICAL


def _turn(header: Any, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Pixels of which more is brighter, through the file's table where it has one.

    Of a table it is what comes out that is shown with white and black exchanged.
    """
    from pydicom.pixels import apply_modality_lut

    inverted = _is_inverted(header)
    if header.get("ModalityLUTSequence"):
        wide = pixels.astype(np.int64) if pixels.dtype.kind in "iu" else pixels  # less the first entry it must not wrap
        pixels = np.asarray(apply_modality_lut(wide, header))
        if not inverted:
            return pixels
        count, first = header.ModalityLUTSequence[0].LUTDescriptor[:2]
        table = apply_modality_lut(np.arange(count or 2**16) + first, header)
        return np.asarray(table.max() - (pixels - table.min()))
    if inverted and pixels.dtype.kind in "iu":
        # -1 - v for signed numbers, 2^bits - 1 - v for the others: the range of BitsStored turned round.
        top = -1 if pixels.dtype.kind == "i" else (1 << integer(header, "BitsStored", 0)) - 1
        pixels = np.subtract(np.array(top).astype(pixels.dtype), pixels)
    return pixels


def _padding(header: Any, pixels: npt.NDArray[Any]) -> npt.NDArray[np.bool_] | None:
    """Where stored pixels lie between PixelPaddingValue and PixelPaddingRangeLimit, both included; None: nowhere."""
    if pixels.dtype.kind not in "iu" or header.get("PixelPaddingValue") in (None, ""):
        return None
    value = integer(header, "PixelPaddingValue", 0)
    # Both tags change their type with PixelRepresentation, and writers mistake it: 63536 is then -2000.
    limits = np.iinfo(np.int16 if pixels.dtype.kind == "i" else np.uint16)
    ends = [
        (end - limits.min) % 2**16 + limits.min for end in (value, integer(header, "PixelPaddingRangeLimit", value))
    ]
    low, high = min(ends), max(ends)
    padded = (pixels >= low) & (pixels <= high)
    return padded if padded.any() else None


def _check_codestreams(path: Path, header: Any) -> None:
    """Raise UnreadableScan where a compressed picture claims another size than the header; decoders believe it."""
    from pydicom.encaps import generate_frames
    from pydicom.uid import RLELossless

    if header.file_meta.TransferSyntaxUID == RLELossless:
        return  # it claims no size
    for frame in generate_frames(header.PixelData, number_of_frames=integer(header, "NumberOfFrames", 1) or 1):
        if _codestream_size(frame) != (header.Rows, header.Columns, 1):
            raise unreadable(path, "holds a compressed picture of another size than its header says; it is broken.")


def _codestream_size(frame: bytes) -> tuple[int, int, int] | None:
    """(rows, columns, components) that a JPEG, JPEG-LS or JPEG 2000 stream claims; None where it is none of these."""
    start = frame.find(b"\xff\x4f\xff\x51", 0, 4096)
    if start >= 0 and len(frame) >= start + 42:
        right, bottom, left, top = struct.unpack_from(">4I", frame, start + 8)
        return (bottom - top, right - left, int.from_bytes(frame[start + 40 : start + 42], "big"))
    index = 2 if frame.startswith(b"\xff\xd8") else len(frame)
    while index + 10 <= len(frame) and frame[index] == 0xFF:
        marker = frame[index + 1]
        if marker == 0xFF:
            index += 1
        elif marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            rows, columns, components = struct.unpack_from(">2HB", frame, index + 5)
            return (rows, columns, components)
        else:
            index += 2 + int.from_bytes(frame[index + 2 : index + 4], "big")
    return None
