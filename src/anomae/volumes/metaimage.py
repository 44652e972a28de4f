"""MetaImage (.mhd with .raw or .zraw, .mha): the header checked here, then read through ITK.

The rules are stricter than ITK's on purpose: a line that ITK could understand in another way than we do is refused.
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

_LINE = re.compile(r"([A-Za-z_]\w*)[ \t]*[=:][ \t]*(.*)")
_BYTES = {
    "MET_CHAR": 1,
    "MET_UCHAR": 1,
    "MET_SHORT": 2,
    "MET_USHORT": 2,
    "MET_INT": 4,
    "MET_UINT": 4,
    "MET_LONG": 4,
    "MET_ULONG": 4,
    "MET_LONG_LONG": 8,
    "MET_ULONG_LONG": 8,
    "MET_FLOAT": 4,
    "MET_DOUBLE": 8,
}
_HEADER_BYTES = 2**16


def read_metaimage(path: Path, max_voxels: int = MAX_VOXELS) -> Volume:
    """Read a .mhd or .mha file.  Raises UnreadableScan where it is broken, hostile or holds several volumes."""
    volume = read_with_itk(path, *check_metaimage(path, max_voxels), "MetaImageIO", "metaimage")
    with parsing(path, "MetaImage"):
        return in_mm(volume, _read_header(path)[0].get("DistanceUnits", ""))


def check_metaimage(path: Path, max_voxels: int) -> tuple[tuple[int, ...], Path]:
    """The (x, y, z, ...) size that the header claims, and the file with the voxels.

    Raises UnreadableScan where the size is not possible.
    """
    with parsing(path, "MetaImage"):
        fields, end = _read_header(path)
        sides = tuple(int(side) for side in fields.get("DimSize", "").split())
        if fields.get("NDims") != str(len(sides)) or not 2 <= len(sides) <= 4:
            raise unreadable(path, "claims a number of dimensions that is not 2 to 4; its header is broken.")
        element = fields.get("ElementType", "")
        if element not in _BYTES:
            raise unreadable(path, "holds voxels of an unknown type (ElementType); its header is broken.")
        if fields.get("ElementNumberOfChannels", "1") != "1":
            raise unreadable(path, "holds several channels in a voxel, which is not supported; save one at a time.")
        wanted = check_size(path, sides, _BYTES[element], max_voxels)
        local = fields["ElementDataFile"].upper() == "LOCAL"
        holder = path if local else file_beside(path, fields["ElementDataFile"])
        start = int(fields.get("HeaderSize", "0")) or (end if local else 0)
        present = holder.stat().st_size - max(start, 0)
        if not _says(fields, "BinaryData", "True"):
            raise unreadable(path, "holds its voxels as text, which is not supported; save it as binary.")
        if not _says(fields, "CompressedData", "False"):
            claimed = int(fields.get("CompressedDataSize", "0"))
            if start < 0 or not 0 <= claimed <= present:
                raise unreadable(path, "is cut short: less compressed voxels are there than promised; copy it again.")
            check_ratio(path, wanted, present)
            with holder.open("rb") as stream:
                stream.seek(start)
                check_stream(path, stream, wanted)
        else:
            check_stored(path, wanted, present)
    return sides, holder


def _read_header(path: Path) -> tuple[dict[str, str], int]:
    """The fields, and the byte at which the voxels of a local file start."""
    with path.open("rb") as handle:
        start = handle.read(_HEADER_BYTES)
    fields: dict[str, str] = {}
    end = 0
    for line in start.splitlines(keepends=True):
        end += len(line)
        text = header_text(line).strip(" \t\r\n")
        found = _LINE.fullmatch(text)
        if not text:
            continue
        if not found or not text.isprintable() or found[1] in fields:
            raise unreadable(path, "has a header that is not a MetaImage's; it is of another kind or broken.")
        fields[found[1]] = found[2]
        if found[1] == "ElementDataFile":
            return fields, end
    raise unreadable(path, "does not say where its voxels are (ElementDataFile); it is cut short or broken.")


def _says(fields: dict[str, str], name: str, expected: str) -> bool:
    return fields.get(name, expected)[:1].upper() == expected[0]


READER = FileReader("metaimage", (".mhd", ".mha"), read_metaimage)
