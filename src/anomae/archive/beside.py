"""What belongs to a scan in one remote file, by the names beside it: voxels, the other half of a pair, its brain."""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from anomae.cohorts.brain_files import brain_file
from anomae.cohorts.brain_names import brain_base
from anomae.cohorts.file_roles import stem_of_file
from anomae.volumes.detached import PAIR_HEADERS, PAIR_VOXELS

_WITH_VOXELS_BESIDE = (".mhd", ".nhdr")
_HALVES = (*PAIR_HEADERS, *PAIR_VOXELS)


def may_need_others(name: str) -> bool:
    """Whether a file of this name is no whole scan without another."""
    return name.lower().endswith((*_WITH_VOXELS_BESIDE, *_HALVES))


def belonging_to(name: str, others: Iterable[str], folder: Path) -> list[str]:
    """Which of `others`, names in the same remote folder, have to be fetched with the file `name`.

    folder: an empty one on this machine, in which names are tried out; it is empty afterwards.
    """
    others = [other for other in others if other != name]
    brain = _brain_of(name, others, folder)
    found = [*_rest_of(name, others), *([brain, *_rest_of(brain, others)] if brain else [])]
    return sorted({*found} - {name})


def _rest_of(name: str, others: Iterable[str]) -> list[str]:
    """The files that make a scan together with `name`."""
    if name.lower().endswith(_WITH_VOXELS_BESIDE):
        stem = PurePosixPath(name).stem
        return [other for other in others if PurePosixPath(other).stem == stem]
    ending = max((half for half in _HALVES if name.lower().endswith(half)), key=len, default="")
    stem = name[: len(name) - len(ending)]
    return [other for other in others if ending and other.startswith(stem) and other[len(stem) :].lower() in _HALVES]


def _brain_of(name: str, others: Iterable[str], folder: Path) -> str | None:
    """The file that `anomae score` would take for the brain of `name`: asked with empty files of these names."""
    stem = stem_of_file(name).casefold()
    subject = stem.partition("_")[0] if stem.startswith("sub-") else stem
    names = [other for other in others if other.casefold().startswith((stem, subject))]
    tried = [folder / each for each in (name, *names) if each == name or brain_base(stem_of_file(each)) is not None]
    for path in tried:
        path.touch()
    found = brain_file(tried[0])
    for path in tried:
        path.unlink()
    return None if found is None else found.name
