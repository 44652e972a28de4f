"""Scans that are byte for byte copies of another, under other names: counted twice, or called otherwise."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from anomae.volumes.detached import files_of

_BLOCK = 1 << 20


def content_hash(scan: Path) -> str:
    """BLAKE2b of what a file holds, whatever it is called; "" of a folder, or of what is no file.

    Of a header whose voxels lie in a file of their own: of these.
    """
    if not scan.is_file():
        return ""
    holder = files_of(scan)[-1]
    stat = holder.stat()
    return _hashed(holder, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=4)  # one file may hold many cases
def _hashed(scan: Path, size: int, modified_ns: int) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with scan.open("rb") as content:
        while block := content.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def copy_notes(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Sentences on copies among the cases of a store, without names; [] where there are none.

    lines: of its journal, with "source", "content" (`content_hash`), "abnormal_patients" and "columns"; without one are
    older ones, and what was skipped.  Cases of one file are no copies.
    """
    groups: dict[str, dict[str, Mapping[str, Any]]] = {}
    for line in lines:
        if line.get("content") and line.get("columns"):
            groups.setdefault(line["content"], {}).setdefault(line["source"], line)
    copies = [[*group.values()] for group in groups.values() if len(group) > 1]
    if not copies:
        return []
    said = [f"{sum(map(len, copies)) - len(copies)} scan(s) are copies of another, byte for byte, under another name"]
    apart = sum(_in_several_splits(group) for group in copies)
    if apart:
        said.append(f"{apart} scan(s) lie in several splits, as copies under other patients: the figures are leaking")
    doubted = sum(len({bool(line.get("abnormal_patients")) for line in group}) > 1 for group in copies)
    if doubted:
        said.append(f"{doubted} scan(s) are called healthy in one copy and abnormal in another; look which is right")
    return said


def _in_several_splits(group: Sequence[Mapping[str, Any]]) -> bool:
    return len({split for line in group for split in line["columns"]["split"]}) > 1
