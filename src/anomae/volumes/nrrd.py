"""NRRD (.nrrd, .nhdr): the header checked here, then read through ITK.

Source: "Definition of NRRD File Format" (teem.sourceforge.net/nrrd/format.html).
"""

import re
from pathlib import Path

from anomae.volumes.headers import (
    MAX_VOXELS,
    check_ratio,
    check_size,
    check_stored,
    check_stream,
    file_beside,
    header_text,
    parsing,
    unreadable,
)
from anomae.volumes.itk import read_with_itk
from anomae.volumes.reader import FileReader
from anomae.volumes.units import in_mm
from anomae.volumes.volume import Volume

_BYTES = {
    1: "signed char|int8|int8_t|uchar|unsigned char|uint8|uint8_t",
    2: "short|short int|signed short|signed short int|int16|int16_t|"
    "ushort|unsigned short|unsigned short int|uint16|uint16_t",
    4: "int|signed int|int32|int32_t|uint|unsigned int|uint32|uint32_t|float",
    8: "longlong|long long|long long int|signed long long|signed long long int|int64|int64_t|"
    "ulonglong|unsigned long long|unsigned long long int|uint64|uint64_t|double",
}
_TYPES = {name: size for size, names in _BYTES.items() for name in names.split("|")}
_HEADER_BYTES = 2**20
_QUOTED = re.compile(r'"([^"]*)"')


def read_nrrd(path: Path, max_voxels: int = MAX_VOXELS) -> Volume:
    """Read a .nrrd or .nhdr file.  Raises UnreadableScan where it is broken, hostile or holds several volumes."""
    volume = read_with_itk(path, *check_nrrd(path, max_voxels), "NrrdImageIO", "nrrd")
    with parsing(path, "NRRD"):
        return in_mm(volume, _unit(path, _read_header(path)[0]))


def check_nrrd(path: Path, max_voxels: int) -> tuple[tuple[int, ...], Path]:
    """The sizes that the header claims, fastest axis first, and the file with the voxels.

    Raises UnreadableScan where they are not possible.
    """
    with parsing(path, "NRRD"):
        fields, end = _read_header(path)
        sides = tuple(int(side) for side in fields.get("sizes", "").split())
        if fields.get("dimension") != str(len(sides)) or not 2 <= len(sides) <= 4:
            raise unreadable(path, "claims a number of dimensions that is not 2 to 4; its header is broken.")
        if fields.get("type", "") not in _TYPES:
            raise unreadable(path, "holds voxels of an unknown type; its header is broken.")
        wanted = check_size(path, sides, _TYPES[fields["type"]], max_voxels)
        named = fields.get("datafile")
        if named is None and end == 0:
            raise unreadable(path, "has no voxels after its header and names no data file; it is cut short or broken.")
        holder = path if named is None else file_beside(path, named)
        skip, lines = int(fields.get("byteskip", "0")), int(fields.get("lineskip", "0"))
        present = holder.stat().st_size - (end if named is None else 0)
        encoding = fields.get("encoding", "").lower()
        if lines != 0 or skip < -1 or (skip != 0 and encoding != "raw"):
            raise unreadable(path, "skips lines or bytes before its voxels, which is not supported; save it anew.")
        if encoding == "raw":
            check_stored(path, wanted, present - max(skip, 0))
        elif encoding in ("gzip", "gz"):
            check_ratio(path, wanted, present)
            with holder.open("rb") as stream:
                stream.seek(end if named is None else 0)
                check_stream(path, stream, wanted)
        else:
            raise unreadable(path, "stores its voxels in an encoding that is not supported; save it as raw or gzip.")
    return sides, holder


def _unit(path: Path, fields: dict[str, str]) -> str:
    """The unit of the header's lengths, "" where it has none.  Raises UnreadableScan where the axes have several."""
    named = fields.get("spaceunits" if "space" in fields or "spacedimension" in fields else "units", "")
    units = {unit.strip().lower() for unit in _QUOTED.findall(named)} - {"", "???", "none"}
    if len(units) > 1:
        raise unreadable(path, "has its lengths in several units (space units), which is not supported; save it anew.")
    return units.pop() if units else ""


def _read_header(path: Path) -> tuple[dict[str, str], int]:
    """The fields (names in lower case, without spaces), and the byte after the blank line; 0 where there is none."""
    with path.open("rb") as handle:
        start = handle.read(_HEADER_BYTES)
    broken = unreadable(path, "has a header that is not an NRRD's; it is of another kind or broken.")
    lines = start.split(b"\n")
    if not lines[0].startswith(b"NRRD000"):
        raise broken
    fields: dict[str, str] = {}
    index = len(lines[0]) + 1
    for line in lines[1:]:
        index += len(line) + 1
        text = header_text(line).rstrip("\r")
        if not text:
            return fields, min(index, len(start))
        if text.startswith("#") or ":=" in text:
            continue
        name, colon, content = text.partition(": ")
        name = name.replace(" ", "").lower()
        if not colon or not name.isalnum() or name in fields:
            raise broken
        fields[name] = content.strip()
    if len(start) == _HEADER_BYTES:
        raise broken
    return fields, 0


READER = FileReader("nrrd", (".nrrd", ".nhdr"), read_nrrd)
