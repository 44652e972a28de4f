"""Orthanc's list of changes: which studies came to rest since the last look, in order, none left out."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, Self

from anomae.pacs.dicomweb import Archive
from anomae.pacs.errors import ArchiveRefuses, StudyTrouble
from anomae.pacs.query import is_uid
from anomae.pacs.remember import Memory
from anomae.progress import say

_PAGE = 100
_STABLE = "StableStudy"  # no image came for a while, Orthanc's setting StableAge, 60 s if nobody changed it
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Change:
    """A study that is new or has new images.  number: its number among the changes, or of its images."""

    study: str
    number: int


class OrthancChanges:
    """The changes of one Orthanc; how far they are dealt with is remembered only when all before it are."""

    def __init__(self, archive: Archive, root: str, memory: Memory, since: date | None) -> None:
        self._archive, self._root, self._memory = archive, root, memory
        self._since = "" if since is None else f"{since:%Y%m%d}"
        self._open: set[int] = set()

    @classmethod
    def of(cls, archive: Archive, memory: Memory, since: date | None) -> Self | None:
        """The changes of the Orthanc whose DICOMweb `archive` is; None where it is none, or does not show them."""
        root = archive.url.rpartition("/")[0]
        if root.endswith("/"):
            return None
        try:
            system = archive.ask_json(f"{root}/system")
            found = isinstance(system, dict) and "DatabaseVersion" in system
            found = found and isinstance(archive.ask_json(f"{root}/changes", {"limit": "1"}), dict)
        except (ArchiveRefuses, StudyTrouble):  # not an Orthanc, or DICOMweb alone is open to us
            return None
        return cls(archive, root, memory, since) if found else None

    def new(self) -> Iterator[Change]:
        """See anomae.pacs.watch.Feed.  A study with several changes in one look is told of once, the last time."""
        at = self._memory.sequence or 0
        last, _ = self._page(max(at - 1, 0))
        if last < at:
            say("The archive counts its changes from the beginning again; what is known of its studies still holds.")
            at = 0
            self._memory.reached(0)
        while True:
            reached, changes = self._page(at)
            latest = {name: number for number, name in changes}
            self._open = set(latest.values())
            for name, number in sorted(latest.items(), key=lambda item: item[1]):
                uid = self._uid(name)
                if uid is None:
                    self._open.discard(number)
                else:
                    yield Change(uid, number)
            if self._open or reached <= at:  # what could not be dealt with is told of again at the next look
                return
            at = reached
            self._memory.reached(at)

    def handled(self, change: Change) -> None:
        """See anomae.pacs.watch.Feed."""
        self._open.discard(change.number)

    def _page(self, since: int) -> tuple[int, list[tuple[int, str]]]:
        """The last number of a page, and number and Orthanc's name of each study in it that came to rest."""
        page: Any = self._archive.ask_json(f"{self._root}/changes", {"since": str(since), "limit": str(_PAGE)})
        try:
            last = int(page["Last"])
            found = [(int(one["Seq"]), str(one["ID"])) for one in page["Changes"] if one["ChangeType"] == _STABLE]
        except (TypeError, KeyError, ValueError) as error:
            raise StudyTrouble(f"{self._archive.name} answers with no list of changes.") from error
        return last, [(number, name) for number, name in found if _is_name(name)]

    def _uid(self, name: str) -> str | None:
        """The UID of a study; None where it is gone, is older than was asked for, or has none."""
        study = self._archive.ask_json(f"{self._root}/studies/{name}")
        tags = study.get("MainDicomTags") if isinstance(study, dict) else None
        if not isinstance(tags, dict) or not is_uid(str(tags.get("StudyInstanceUID", ""))):
            return None
        day = str(tags.get("StudyDate", ""))
        return None if day and day < self._since else str(tags["StudyInstanceUID"])


def _is_name(text: str) -> bool:
    return len(text) <= _LONGEST_NAME and text.replace("-", "").isalnum() and text.isascii()
