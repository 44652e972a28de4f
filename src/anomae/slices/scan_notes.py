"""What readers and the preparation noticed of scans, counted over a store: the same but for its numbers is one kind."""

import re
from collections.abc import Iterable, Mapping

MOST_KINDS = 12
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def counted_notes(notes: Iterable[Iterable[str]], besides: Iterable[str] = ()) -> dict[str, int]:
    """The first note of each kind -> of how many scans it is, the most frequent kinds first, MOST_KINDS at most.

    notes: those of each scan.  besides: notes that are told elsewhere.
    """
    first: dict[str, str] = {}
    counted: dict[str, int] = {}
    told = set(besides)
    for each in notes:
        kinds = dict.fromkeys(without_numbers(note) for note in each if note not in told)
        first = {**{without_numbers(note): note for note in reversed([*each])}, **first}
        for kind in kinds:
            counted[kind] = counted.get(kind, 0) + 1
    kept = sorted(counted, key=lambda kind: -counted[kind])[:MOST_KINDS]
    return {first[kind].rstrip("."): counted[kind] for kind in kept}


def without_numbers(note: str) -> str:
    """What notes of one kind have in common: # in the place of every number."""
    return _NUMBER.sub("#", note)


def note_sentences(counted: Mapping[str, int]) -> list[str]:
    """A sentence for each kind: where it has numbers, they are those of one scan."""
    return [
        f"{count} scans: {note}" + (" (in one of them)" if count > 1 and _NUMBER.search(note) else "")
        for note, count in counted.items()
    ]
