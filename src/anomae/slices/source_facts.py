"""The files a store was made of, as they were: noticed by size and time, and told from a mere touch by their hash."""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from anomae.cohorts.brain_files import brain_file
from anomae.cohorts.case import Case
from anomae.errors import UserError
from anomae.files import is_left_by_system, read_json
from anomae.volumes.detached import files_of
from anomae.volumes.series import folder_and_series

SOURCES = "sources.json"
_BLOCK = 1 << 20


def source_facts(case: Case, brain: bool = False) -> dict[str, list[str | int]]:
    """ "scan", "lesion" and so on -> path, size in bytes, last change (ns since 1970) and BLAKE2b hash.

    Of a folder, and of a series in one: of all files that lie directly in it, but what systems leave there; of a header
    whose voxels lie in a file of their own: of both; behind it then a hash of name, size and time of each.  What is no
    file (a made-up scan) is left out.  "table": path, and hash of what it says of the case.  brain: whether a file
    beside the scan may tell its brain; where there is none, "brain" -> [] says so.
    """
    scan = folder_and_series(case.source)[0]
    found = {"scan": scan, **_further_of(case), **_masks_of(case), **(_brain_of(case) if brain else {})}
    facts: dict[str, list[str | int]] = {
        role: [str(path.absolute()), seen.size, seen.modified_ns, _hash(path, seen.each), *seen.each_of_several()]
        for role, path in found.items()
        if path.exists() and (seen := _seen(path))
    }
    if brain and scan.exists():
        facts.setdefault("brain", [])
    if case.table is not None:
        facts["table"] = [str(case.table[0].absolute()), case.table[1]]
    return facts


def refuse_changed(store: Path, cases: Iterable[Case]) -> None:
    """Raises UserError where files of a finished store have changed since, or a case has another mask now.

    A store that was made without such facts is not looked at, nor a kind of file that its version did not write down
    (masks of the brain, further modalities, tables), nor a file that is gone.
    """
    if not (store / SOURCES).exists():
        return
    known, differs = read_json(store / SOURCES), cache(_differs)  # a folder of many cases is looked at once
    found = (_changes(case, known[case.case], differs) for case in cases if known.get(case.case) is not None)
    changed = [*dict.fromkeys(path for of_case in found for path in of_case)]
    if changed:
        raise UserError(
            f"{len(changed)} source file(s) or folder(s) have changed since {store} was prepared (the first: "
            f"{changed[0]}), so its slices and labels are old. Remove the store and prepare it again, or give another "
            "folder for a new one."
        )


def first_changed(lines: Sequence[Mapping[str, Any]], cases: Sequence[Case]) -> tuple[int, str] | None:
    """Of an unfinished store: the first case that is in and whose files have changed since, and one of these.

    lines: of the journal, one of each of the first `cases`.  None where nothing has changed.  As for `refuse_changed`,
    a file that is gone is not looked at, nor a case without such facts.
    """
    differs = cache(_differs)
    for number, (line, case) in enumerate(zip(lines, cases, strict=False)):
        changed = _changes(case, line["files"], differs) if line.get("files") else []
        if changed:
            return number, changed[0]
    return None


def _changes(case: Case, was: Mapping[str, Any], differs: Callable[..., bool]) -> list[str]:
    """The files of a case that have changed, or that are its masks now or were so.  differs: `_differs`, or as it."""
    known = {role: path for role, path in (_further_of(case) | _brain_of(case)).items() if role in was}
    now = {role: str(path.absolute()) for role, path in (_masks_of(case) | known).items()}
    before = {role: facts[0] for role, facts in was.items() if facts and role not in ("scan", "table")}
    changed = []
    if case.table is not None and was.get("table", ["", case.table[1]])[1] != case.table[1]:
        changed.append(str(case.table[0]))
    for role in sorted({*now, *before}):
        path, old = now.get(role), before.get(role)
        if not _is_same(path, old) and (path is None or Path(path).exists()):
            changed.append(path or before[role])
    files = (facts for role, facts in was.items() if facts and role != "table")
    return changed + [path for path, *facts in files if differs(Path(path), *facts)]


def _is_same(path: str | None, other: str | None) -> bool:
    """Whether both lead to one file, be it through a link."""
    if path is None or other is None:
        return False
    return path == other or Path(path).resolve() == Path(other).resolve()


def _further_of(case: Case) -> dict[str, Path]:
    """Role -> file: "scan 2", and so on."""
    return {f"scan {number}": path for number, path in enumerate(case.further, 2)}


def _brain_of(case: Case) -> dict[str, Path]:
    """ "brain" -> the file beside the scan that tells its brain; {} where there is none, or no such scan."""
    path = brain_file(case.source) if folder_and_series(case.source)[0].exists() else None
    return {} if path is None else {"brain": path}


def _masks_of(case: Case) -> dict[str, Path]:
    """Role -> file: "lesion", "lesion 2", and so on; "ignored", "ignored 2", and so on."""
    named = (("lesion", case.lesion_files), ("ignored", case.ignored))
    return {
        role if number == 1 else f"{role} {number}": path
        for role, paths in named
        for number, path in enumerate(paths, 1)
    }


def _differs(path: Path, size: int, modified_ns: int, content: str, each: str = "") -> bool:
    """Whether what lies at a path is another than `source_facts` found.  each: "" of one file, and in earlier stores.

    A path where nothing lies does not differ.
    """
    if not path.exists():
        return False
    now = _seen(path)
    if _is_as_it_was(now, size, modified_ns, each) or _hash(path, now.each) == content:
        return False
    # Earlier versions wrote down what systems leave in a folder too, and the header alone where voxels lie beside it.
    before = now if each else _seen(path, earlier=True)
    if before.each == now.each:
        return True
    return not _is_as_it_was(before, size, modified_ns) and _hash(path, before.each, earlier=True) != content


class _Seen(NamedTuple):
    """The files of a source as the system tells of them: sizes in bytes together, and the last change of any.

    each: a hash of name, size and time of each; a file that takes another's place may be as large and older.
    """

    files: Sequence[str]
    size: int
    modified_ns: int
    each: str
    several: bool

    def each_of_several(self) -> list[str]:
        return [self.each] if self.several else []


def _is_as_it_was(now: _Seen, size: int, modified_ns: int, each: str = "") -> bool:
    return now.each == each if each else (now.size, now.modified_ns) == (size, modified_ns)


def _seen(path: Path, earlier: bool = False) -> _Seen:
    """earlier: the files that earlier versions counted."""
    if path.is_dir():
        with os.scandir(path) as entries:
            counted = (entry for entry in entries if earlier or not is_left_by_system(entry.name))
            found = sorted((entry.name, entry.path, *_size_and_time(entry)) for entry in counted if entry.is_file())
    else:
        files = [path] if earlier else files_of(path)
        found = [(file.name, str(file), *_size_and_time(file)) for file in files]
    each = hashlib.blake2b(digest_size=16)
    for name, _, size, modified_ns in found:
        each.update(f"{name}\n{size}\n{modified_ns}\n".encode(errors="surrogateescape"))
    _, paths, sizes, times = zip(*found, strict=True) if found else ((), (), (), ())
    return _Seen(paths, sum(sizes), max(times, default=0), each.hexdigest(), path.is_dir() or len(paths) > 1)


def _size_and_time(file: Path | os.DirEntry[str]) -> tuple[int, int]:
    stat = file.stat()
    return stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=4)  # a folder may hold the slices of many cases
def _hash(path: Path, _each: str, earlier: bool = False) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for file in map(Path, _seen(path, earlier).files):
        digest.update(file.name.encode("utf-8", "surrogateescape") + b"\0")
        with file.open("rb") as content:
            while block := content.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()
