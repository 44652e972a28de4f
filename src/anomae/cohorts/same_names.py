"""Scans that are one patient's by the names of their files: they differ in the sequence, or in nnU-Net's channel.

Or they do not differ, and lie in several folders of sequences, planes or visits.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

SEQUENCE_WORDS = r"t1|t1n|t1c|t1ce|t1gd|t1w|t2|t2w|t2f|flair|pd|pdw|dwi|adc|swi|ct|cta|mr|mri|pet"
_SEQUENCES = re.compile(rf"(?:[-_. ]+(?:{SEQUENCE_WORDS}))+$", re.IGNORECASE)
_CHANNEL = re.compile(r"_(\d{4})$")
_MOST_CHANNELS = 10  # more numbers than that count pictures

_Key = tuple[str, str]  # the folder of a scan without those that part files, and its name without its ending


class NamedScan(NamedTuple):
    """Where a scan lies and what it is called: above: its class folder, below the source; inside: its folder below
    that; stem: its name."""

    above: PurePosixPath
    inside: PurePosixPath
    stem: str


class SharedName(NamedTuple):
    """name: what the scan shares with others of its patient, with their folders; "" where it shares none.

    unclear: another class folder has this name too, and the scan was told by folders that part files: it may be one
    patient's in both.
    """

    name: str
    unclear: bool = False


def names_shared(
    scans: Sequence[NamedScan], parts: Callable[[str], bool], visits: Callable[[str], bool]
) -> list[SharedName]:
    """Of each scan the name that it shares with others of its patient.

    parts: whether a folder of that name only parts the files of patients ("flair", "ses-1"), so that a scan of the same
    name in another such folder is of the same one.  visits: whether such a folder is a visit: who is called alike at
    several visits is one patient, in whichever class folders; elsewhere each class folder may count from one.
    Two other forms count: "NAME_t1" beside "NAME_flair"; and "NAME_0000" beside "NAME_0001", where the tree holds
    several such names in one folder and no number is above nine: elsewhere such numbers count pictures.
    """
    channels = _channels([(above / inside, stem) for above, inside, stem in scans])
    looked: list[tuple[_Key, _Key, tuple[str, ...], str]] = []
    at_visits: set[_Key] = set()
    for (above, inside, stem), numbered in zip(scans, channels, strict=True):
        base = without_sequence(_CHANNEL.sub("", stem) if numbered else stem) or stem
        key, below = ((_without(folder, parts), base.casefold()) for folder in (above / inside, inside))
        crossed = tuple(part.casefold() for part in (above / inside).parts if parts(part))
        looked.append((key, below, crossed, base))
        if any(map(visits, inside.parts)):
            at_visits.add(key)
    groups: defaultdict[_Key, set[tuple[str, ...]]] = defaultdict(set)
    parted: defaultdict[_Key, set[tuple[str, ...]]] = defaultdict(set)
    alike: defaultdict[_Key, set[_Key]] = defaultdict(set)
    first: dict[_Key, str] = {}
    keys = [below if key in at_visits else key for key, below, _, _ in looked]
    for own, scan, (key, below, crossed, base) in zip(keys, scans, looked, strict=True):
        first.setdefault(own, f"{own[0]}/{base}" if own[0] else base)
        joined = scan.above.parts if key in at_visits else ()
        groups[own].add((*joined, *crossed, scan.stem[len(base) :].casefold()))
        parted[own].add(crossed)
        alike[below].add(own)
    return [
        SharedName(first[own], len(parted[own]) > 1 and len(alike[below]) > 1)
        if len(groups[own]) > 1
        else SharedName("")
        for own, (_, below, _, _) in zip(keys, looked, strict=True)
    ]


def _without(folder: PurePosixPath, parts: Callable[[str], bool]) -> str:
    return "/".join(part for part in folder.parts if not parts(part))


def without_sequence(stem: str) -> str:
    """The stem without the sequences at its end ("P1_t1": "P1", "t1": "t1")."""
    return _SEQUENCES.sub("", stem)


def _channels(scans: Sequence[tuple[PurePosixPath, str]]) -> list[bool]:
    """Whether the four digits at the end of each name number the channels of one case."""
    numbers: defaultdict[tuple[PurePosixPath, str], set[int]] = defaultdict(set)
    keys: list[tuple[PurePosixPath, str] | None] = []
    for folder, stem in scans:
        match = _CHANNEL.search(stem)
        keys.append((folder, stem[: match.start()].casefold()) if match and match.start() else None)
        if match and match.start():
            numbers[folder, stem[: match.start()].casefold()].add(int(match[1]))
    sound = {key: own for key, own in numbers.items() if 0 in own and len(own) > 1 and max(own) < _MOST_CHANNELS}
    beside: defaultdict[PurePosixPath, int] = defaultdict(int)
    for folder, _ in sound:
        beside[folder] += 1
    usual = {number for key, own in sound.items() if beside[key[0]] > 1 for number in own}
    return [key in sound and sound[key] <= usual for key in keys]
