"""What pages call a scan, and how they keep quiet about who it is of."""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from anomae.inference.study import Study

_SHORTEST = 3  # letters of a name that is looked for in texts
# Files are called so, and so are things in sentences about them: such a name names nobody.
_WORDS = frozenset(
    [
        "brain",
        "chest",
        "flair",
        "head",
        "image",
        "lung",
        "mask",
        "patient",
        "picture",
        "scan",
        "series",
        "slice",
        "study",
        "volume",
    ]
)


def label_of(name: str, identify: bool) -> str:
    """What a page calls the scan: its name where identifiers are asked for, else a pseudonym made from the name."""
    return name if identify else pseudonym(name)


def pseudonym(name: str) -> str:
    """The word "scan-" and eight digits that depend on `name` alone."""
    return "scan-" + hashlib.blake2b(name.encode(errors="surrogateescape"), digest_size=4).hexdigest()


def names_of(study: Study) -> set[str]:
    """All names of a scan, its files and its patient that a text about it may hold."""
    files = [] if study.volume is None else [each.path for each in study.volume.files]
    source = study.result.case.source
    return {study.patient} | names_in_paths([*files, *([] if source is None else [source])])


def names_in_paths(paths: Iterable[Path]) -> set[str]:
    """The paths, and the names of the files with and without suffixes."""
    return {text for path in paths for text in (str(path), str(path.resolve()), path.name, path.name.split(".")[0])}


def without_identifiers(text: str, name: str, names: Iterable[str]) -> str:
    """`text` about the scan called `name` with its pseudonym in place of that and all `names`, and without UIDs."""
    known = {name, *names}
    for each in sorted((one for one in known - _WORDS if len(one) >= _SHORTEST), key=len, reverse=True):
        text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(each)}(?![A-Za-z0-9])", pseudonym(name), text)
    return re.sub(r"\b\d+(\.\d+){5,}\b", "(UID)", text)
