"""NIfTI in two files: the header in .hdr, the voxels in .img (either may end in .gz).

Analyze 7.5, the older format of the same endings, is refused: it does not say which side is left, and programs that
wrote it did not agree on what its bytes mean.
"""

from pathlib import Path

from anomae.volumes.detached import PAIR_HEADERS, PAIR_VOXELS, beside
from anomae.volumes.headers import MAX_VOXELS, parsing, unreadable
from anomae.volumes.identity import SourceFile
from anomae.volumes.nifti import opened, read_header, volume_of
from anomae.volumes.reader import FileReader
from anomae.volumes.volume import Volume

_MAGIC = {348: (344, b"ni1"), 540: (4, b"ni2")}


def read_nifti_pair(path: Path, max_voxels: int = MAX_VOXELS) -> Volume:
    """Read one NIfTI volume by its .hdr, or by its .img; its source is `path`.

    Raises UnreadableScan where either is broken, hostile or missing, or there are several of a name.
    """
    with parsing(path, "NIfTI"):
        headers, voxels = beside(path, PAIR_HEADERS), beside(path, PAIR_VOXELS)
        if len(headers) != 1 or len(voxels) != 1:
            text = f"is one of {len(headers)} .hdr and {len(voxels)} .img of its name, where one of each makes a scan."
            raise unreadable(path, text)
        (header_file,), (holder,) = headers, voxels
        if not is_nifti_pair(header_file):
            text = "is no NIfTI header but, it seems, of Analyze 7.5, which does not say which side is left; "
            raise unreadable(header_file, text + "convert it to .nii.gz with a program that knows who wrote it.")
        files = tuple(SourceFile.at(file) for file in (header_file, holder))
        with opened(header_file) as stream:
            header, order = read_header(header_file, stream, pair=True)
    return volume_of(path, header, order, holder, max_voxels, files)


def is_nifti_pair(path: Path) -> bool:
    """Whether a file is the .hdr of a pair, by its ending and its first bytes.  Never raises."""
    if not path.name.lower().endswith(PAIR_HEADERS):
        return False
    try:
        with opened(path) as stream:
            start = stream.read(540)
    except (OSError, EOFError):
        return False
    sizes = int.from_bytes(start[:4], "little"), int.from_bytes(start[:4], "big")
    return any(start[at : at + 3] == magic for size, (at, magic) in _MAGIC.items() if size in sizes)


READER = FileReader("nifti", (), read_nifti_pair, is_nifti_pair)
