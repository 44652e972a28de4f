"""Headers whose voxels lie in a file of their own: a scan has changed where either has."""

import re
from pathlib import Path

from anomae.volumes.headers import header_text

PAIR_HEADERS = (".hdr", ".hdr.gz")
PAIR_VOXELS = (".img", ".img.gz")
_NAMED = {
    ".mhd": re.compile(rb"^[ \t]*ElementDataFile[ \t]*[=:][ \t]*(.+?)[ \t]*\r?$", re.MULTILINE),
    ".nhdr": re.compile(rb"^data ?file:[ \t]*(.+?)[ \t]*\r?$", re.MULTILINE | re.IGNORECASE),
}
_HEADER_BYTES = 1 << 16


def files_of(path: Path) -> list[Path]:
    """The file itself, and behind it that with its voxels where its header names one which is there.  Never raises."""
    name = path.name.lower()
    if name.endswith(PAIR_HEADERS):
        return [path, *beside(path, PAIR_VOXELS)]
    pattern = _NAMED.get(path.suffix.lower())
    if pattern is None or not path.is_file():
        return [path]
    try:
        with path.open("rb") as header:
            found = pattern.search(header.read(_HEADER_BYTES))
        named = path.parent / header_text(found[1]) if found else path
        return [path, named] if named != path and named.is_file() else [path]
    except (OSError, ValueError):  # what is broken in it is for the reader to say
        return [path]


def beside(path: Path, endings: tuple[str, ...]) -> list[Path]:
    """The files in the same folder with the stem of a half of a pair and one of `endings`, in any case; sorted."""
    own = next((each for each in (*PAIR_HEADERS, *PAIR_VOXELS)[::-1] if path.name.lower().endswith(each)), "")
    stem = path.name[: len(path.name) - len(own)]
    wanted = {f"{stem}{ending}" for ending in endings}
    if not path.parent.is_dir():
        return []
    return sorted(
        entry
        for entry in path.parent.iterdir()
        if entry.is_file() and entry.name[: len(stem)] == stem and stem + entry.name[len(stem) :].lower() in wanted
    )
