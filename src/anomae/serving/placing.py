"""Where the files of an upload go: safe names, each beside those it came with, so that none finds another's voxels."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from anomae.cohorts.brain_names import ENDINGS
from anomae.cohorts.file_roles import stem_of
from anomae.serving.refusals import Refused
from anomae.volumes.detached import PAIR_HEADERS, files_of
from anomae.volumes.dicom_headers import SUFFIXES

DEEPEST = 20  # folders
_PART_BYTES = 98
_NAME_VOXELS = (".mhd", ".nhdr")


def plain_part(name: str) -> str:
    """One part of a path, safe in any file system: letters of any script, digits and blanks stay, as its ending does.

    Other characters become their numbers ("?" is "%3F"), so that two names never become one: a header could find the
    voxels of another scan.  100 bytes at most, the last ones.
    """
    plain = "".join(one if _is_plain(one) else f"%{ord(one):02X}" for one in name)
    plain = plain.encode()[-_PART_BYTES:].decode(errors="ignore")
    return (f"%2E{plain[1:]}" if plain.startswith(".") else plain) or "file"


def plain_path(sent: str) -> Path:
    """A path as a client sent it, of safe parts, relative; of too many folders the innermost."""
    parts = [plain_part(part) for part in sent.split("/") if part not in ("", ".")]
    return Path(*parts[-DEEPEST:] or ["file"])


def may_be_dicom(path: Path) -> bool:
    """Whether a file of this name, whatever it holds, could be DICOM: other kinds say what they are by their ending."""
    ending = path.suffix.lower()
    return ending in ("", *SUFFIXES) or ending[1:].isdecimal()


def told_apart(targets: Sequence[Path], dicom: Sequence[bool]) -> list[Path]:
    """The same paths; one that another has (in either case), or that is a folder's, gets a number.

    dicom: for each whether it is DICOM: these stay in their folder, by which they are a series, under another name.
    Others keep their names, the n-th of one name in a folder n, so that headers, voxels and masks stay together.
    """
    taken = {_key(parent) for target in targets for parent in target.parents}
    files = {_key(target) for target in targets}
    apart, used = [], dict[str, int]()  # used: up to which number, so that a thousand equal names cost no million looks
    for target, beside in zip(targets, dicom, strict=True):
        chosen, key = target, _key(target)
        while _key(chosen) in taken or (chosen.parent != target.parent and _key(chosen.parent) in files):
            used[key] = used.get(key, 1) + 1
            number = str(used[key])
            chosen = target.with_name(f"{number}_{target.name}") if beside else target.parent / number / target.name
        taken |= {_key(chosen), _key(chosen.parent)}
        files.add(_key(chosen))
        apart.append(chosen)
    return apart


def refuse_unclear(folder: Path, sent: Sequence[Path]) -> None:
    """Raises Refused where of two files that belong together one came more often than the other: whose is it then?

    sent: paths of all files that are no DICOM, as they were before `told_apart`; the first of each name lies there,
    below `folder`.
    """
    seen = Counter(_key(path) for path in sent)
    if max(seen.values(), default=0) < 2:
        return
    by_stem: dict[str, set[int]] = {}
    for path in sent:
        by_stem.setdefault(_stem_key(path), set()).add(seen[_key(path)])
    for path in sent:
        name, stem = path.name.lower(), _stem_key(path)
        counts = {seen[_key(path)]}
        if name.endswith(_NAME_VOXELS):
            counts |= {seen[_key(other.relative_to(folder))] for other in files_of(folder / path)}
        if name.endswith((*_NAME_VOXELS, *PAIR_HEADERS)):
            counts |= by_stem[stem]
        for ending in ENDINGS:
            counts |= by_stem.get(f"{stem}{ending}", set())
        if len(counts) > 1:
            raise Refused(
                422,
                f"Several files are called {path.name}, or what belongs to it, and not equally many: send their folder "
                "packed as a zip.",
            )


def _is_plain(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN" or character in " ._-+,=@()[]"


def _stem_key(path: Path) -> str:
    """As brains beside scans are found: hyphens and blanks are underscores (anomae.cohorts.brain_files)."""
    return _key(path.parent / re.sub(r"[-. ]", "_", stem_of(path)))


def _key(path: Path) -> str:
    return str(path).lower()
