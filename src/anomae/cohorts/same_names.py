"""Scans that are one patient's by the names of their files: they differ in the sequence, or in nnU-Net's channel."""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

SEQUENCE_WORDS = r"t1|t1n|t1c|t1ce|t1gd|t1w|t2|t2w|t2f|flair|pd|pdw|dwi|adc|swi|ct|cta|mr|mri|pet"
_SEQUENCES = re.compile(rf"(?:[-_. ]+(?:{SEQUENCE_WORDS}))+$", re.IGNORECASE)
_CHANNEL = re.compile(r"_(\d{4})$")
_MOST_CHANNELS = 10  # more numbers than that count pictures


def names_shared(scans: Sequence[tuple[PurePosixPath, str]], parts: Callable[[str], bool]) -> list[str]:
    """Of each scan the name that it shares with others of its patient, with their folders; "" where it shares none.

    scans: the folder below the source and the stem of each.  parts: whether a folder of that name only parts the files
    of patients ("flair", "ses-1"), so that a scan of the same name in another such folder is of the same one.
    Two forms count: "NAME_t1" beside "NAME_flair"; and "NAME_0000" beside "NAME_0001", where the tree holds several
    such names in one folder and no number is above nine: elsewhere such numbers count pictures.
    """
    channels = _channels(scans)
    groups: defaultdict[tuple[str, str], set[tuple[str, ...]]] = defaultdict(set)
    known: list[tuple[str, str]] = []
    first: dict[tuple[str, str], str] = {}
    for (folder, stem), numbered in zip(scans, channels, strict=True):
        home = "/".join(part for part in folder.parts if not parts(part))
        base = without_sequence(_CHANNEL.sub("", stem) if numbered else stem) or stem
        key = home, base.casefold()
        first.setdefault(key, f"{home}/{base}" if home else base)
        told = *(part.casefold() for part in folder.parts if parts(part)), stem[len(base) :].casefold()
        groups[key].add(told)
        known.append(key)
    return [first[key] if len(groups[key]) > 1 else "" for key in known]


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
