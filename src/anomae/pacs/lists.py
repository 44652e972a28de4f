"""What an archive lists, asked for a page at a time: each entry once, and a sentence where the list is not to trust."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from anomae.pacs.query import Query, is_uid

PAGE = 100
Entry = dict[str, Any]  # an element of a list in DICOM JSON
Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ListedStudy:
    """A study as a list has it.  images: how many instances it has, -1 where the list does not say."""

    uid: str
    images: int
    date: str


@dataclass(frozen=True, slots=True)
class ListedSeries:
    """A series that may hold images.  images: how many instances, -1 where the list does not say."""

    uid: str
    modality: str
    images: int


def entries(
    ask: Callable[[int, int], list[Entry]], tag: str, what: str, note: Note, most: int, too_many: Exception
) -> Iterator[tuple[str, Entry]]:
    """Entries and their UIDs, found under `tag`, each once; those whose UID is none are left out.

    ask: called with where a page begins and how long it may be.  what: of what it is a list.  note: called at the end
    with a sentence each on entries that are left out, and where there may be more.  An archive that repeats a page, or
    ignores where one begins, ends the list.  Raises `too_many` where it lists more than `most`.
    """
    seen: set[str] = set()
    while True:
        page = ask(len(seen), PAGE)
        new: dict[str, Entry] = {}
        for entry in page:
            if (uid := text(entry, tag)) not in seen:
                new.setdefault(uid, entry)
        if not new:
            break
        seen.update(new)
        yield from ((uid, entry) for uid, entry in new.items() if is_uid(uid))
        if len(seen) > most:
            raise too_many
    if improper := sum(not is_uid(uid) for uid in seen):
        note(f"The archive's list of {what} has entries without a proper UID, which are left out: {improper}.")
    if len(page) == PAGE:
        note(f"Doubt: the archive repeats a page of its list of {what}; there may be more than these {len(seen)}.")


def asked_for(query: Query, listed: Iterator[tuple[str, Entry]], note: Note) -> Iterator[ListedStudy]:
    """Studies of a list that `query` asks for: an archive may not heed it.  Ends once all UIDs in it are found."""
    missing, others = set(query.studies), 0
    for uid, entry in listed:
        study = ListedStudy(uid, count(entry, "00201208"), text(entry, "00080020"))
        if not query.fits(uid, study.date):
            others += 1
            continue
        yield study
        missing.discard(uid)
        if query.studies and not missing:
            break
    if others:
        note(f"The archive's list of studies has entries that were not asked for, which are left out: {others}.")


def text(entry: Entry, tag: str) -> str:
    """The first value of an attribute in DICOM JSON; "" where there is none."""
    values = entry.get(tag)
    values = values.get("Value") if isinstance(values, dict) else None
    return str(values[0]) if isinstance(values, list) and values else ""


def count(entry: Entry, tag: str) -> int:
    """The first value of an attribute as a number; -1 where it is none."""
    value = text(entry, tag)
    return int(value) if value.isdecimal() and len(value) < 10 else -1
