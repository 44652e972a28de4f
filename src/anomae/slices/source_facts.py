"""The files a store was made of, as they were: noticed by size and time, and told from a mere touch by their hash."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from anomae.cohorts.brain_files import brain_file
from anomae.cohorts.case import Case
from anomae.errors import UserError
from anomae.files import read_json
from anomae.volumes.detached import files_of
from anomae.volumes.series import folder_and_series

SOURCES = "sources.json"
_BLOCK = 1 << 20


def source_facts(case: Case, brain: bool = False) -> dict[str, list[str | int]]:
    """ "scan", "lesion" and so on -> path, size in bytes, last change (ns since 1970) and BLAKE2b hash.

    Of a folder, and of a series in one: of all files that lie directly in it; of a header whose voxels lie in a file of
    their own: of both.  What is no file (a made-up scan) is left out.  "table": path, and hash of what it says of the
    case.  brain: whether a file beside the scan may tell its brain; where there is none, "brain" -> [] says so.
    """
    scan = folder_and_series(case.source)[0]
    found = {"scan": scan, **_further_of(case), **_masks_of(case), **(_brain_of(case) if brain else {})}
    facts: dict[str, list[str | int]] = {
        role: [str(path.absolute()), *(stamp := _stamp(path)), _hash(path, *stamp)]
        for role, path in found.items()
        if path.exists()
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
    known = read_json(store / SOURCES)
    changed: list[str] = []
    for case in cases:
        was = known.get(case.case)
        if was is None:
            continue
        changed += _changes(case, was)
    if changed:
        raise UserError(
            f"{len(changed)} source file(s) have changed since {store} was prepared (the first: {changed[0]}), so its "
            "slices and labels are old. Remove the store and prepare it again, or give another folder for a new one."
        )


def first_changed(lines: Sequence[Mapping[str, Any]], cases: Sequence[Case]) -> tuple[int, str] | None:
    """Of an unfinished store: the first case that is in and whose files have changed since, and one of these.

    lines: of the journal, one of each of the first `cases`.  None where nothing has changed.  As for `refuse_changed`,
    a file that is gone is not looked at, nor a case without such facts.
    """
    for number, (line, case) in enumerate(zip(lines, cases, strict=False)):
        changed = _changes(case, line["files"]) if line.get("files") else []
        if changed:
            return number, changed[0]
    return None


def _changes(case: Case, was: Mapping[str, Any]) -> list[str]:
    """The files of a case that have changed, or that are its masks now or were so."""
    known = {role: path for role, path in (_further_of(case) | _brain_of(case)).items() if role in was}
    now = {role: str(path.absolute()) for role, path in (_masks_of(case) | known).items()}
    before = {role: facts[0] for role, facts in was.items() if facts and role not in ("scan", "table")}
    changed = []
    if case.table is not None and was.get("table", ["", case.table[1]])[1] != case.table[1]:
        changed.append(str(case.table[0]))
    for role in sorted({*now, *before}):
        path = now.get(role)
        if path != before.get(role) and (path is None or Path(path).exists()):
            changed.append(path or before[role])
    files = (facts for role, facts in was.items() if facts and role != "table")
    return changed + [path for path, *facts in files if _differs(Path(path), *facts)]


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


def _differs(path: Path, size: int, modified_ns: int, digest: str) -> bool:
    if not path.exists() or (now := _stamp(path)) == (size, modified_ns) or _hash(path, *now) == digest:
        return False
    # Earlier versions wrote down the header alone of a scan whose voxels lie beside it.
    return len(files_of(path)) == 1 or _stamp(path, [path]) != (size, modified_ns)


def _files(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_file()) if path.is_dir() else files_of(path)


def _stamp(path: Path, files: Sequence[Path] = ()) -> tuple[int, int]:
    stats = [file.stat() for file in files or _files(path)]
    return sum(each.st_size for each in stats), max((each.st_mtime_ns for each in stats), default=0)


@lru_cache(maxsize=4)  # a folder may hold the slices of many cases
def _hash(path: Path, _size: int, _modified_ns: int) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for file in _files(path):
        digest.update(file.name.encode("utf-8", "surrogateescape") + b"\0")
        with file.open("rb") as content:
            while block := content.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()
