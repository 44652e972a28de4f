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
_NEW = "NewInstance"
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Change:
    """A study that is new or has new images.  number: its number among the changes, or of its images."""

    study: str
    number: int


@dataclass(slots=True)
class _Open:
    """A study that is not dealt with.

    first, last: numbers of its changes.  rested: whether the last of them says that it came to rest.  updated: when its
    last image came, as Orthanc said at the look before.
    """

    first: int
    last: int
    rested: bool
    updated: str = ""


class OrthancChanges:
    """The changes of one Orthanc; how far they are dealt with is remembered only when all before it are.

    An Orthanc that is killed forgets which studies were about to come to rest, and never says that they did.  So new
    images count too: their study is told of once it rests, by what Orthanc says of the study itself, two looks alike.
    """

    def __init__(self, archive: Archive, root: str, memory: Memory, since: date | None) -> None:
        self._archive, self._root, self._memory = archive, root, memory
        self._since = "" if since is None else f"{since:%Y%m%d}"
        self._at = memory.sequence or 0
        self._open: dict[str, _Open] = {}  # by Orthanc's name

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
        last, _ = self._page(max(self._at - 1, 0))
        if last < self._at:
            say("The archive counts its changes from the beginning again; what is known of its studies still holds.")
            self._at, self._open = 0, {}
            self._memory.reached(0)
        told: set[str] = set()
        while True:
            before = self._at
            reached, changes = self._page(before)
            rested = self._take(changes)
            self._at = max(before, reached)
            yield from self._told(rested)
            self._remember()
            told |= rested
            if reached <= before:
                break
        yield from self._told(set(self._open) - told)
        self._remember()

    def handled(self, change: Change) -> None:
        """See anomae.pacs.watch.Feed."""
        self._open = {name: one for name, one in self._open.items() if one.last != change.number}

    def _remember(self) -> None:
        """What could not be dealt with is told of again, at the next look and at the next start."""
        reached = min((one.first - 1 for one in self._open.values()), default=self._at)
        if reached != (self._memory.sequence or 0):
            self._memory.reached(reached)

    def _page(self, since: int) -> tuple[int, list[tuple[str, int, str]]]:
        """The last number of a page, and kind, number and Orthanc's name of each change in it that counts."""
        page: Any = self._archive.ask_json(f"{self._root}/changes", {"since": str(since), "limit": str(_PAGE)})
        try:
            last = int(page["Last"])
            found = [(str(one["ChangeType"]), int(one["Seq"]), str(one["ID"])) for one in page["Changes"]]
        except (TypeError, KeyError, ValueError) as error:
            raise StudyTrouble(f"{self._archive.name} answers with no list of changes.") from error
        return last, [one for one in found if one[0] in (_STABLE, _NEW) and _is_name(one[2])]

    def _take(self, changes: list[tuple[str, int, str]]) -> set[str]:
        """Enter the studies of a page among the open ones; returns those that the page says came to rest."""
        study_of: dict[str, str] = {}  # image -> study
        rested = set()
        for kind, number, name in changes:
            study = name
            if kind == _NEW:
                if name not in study_of:
                    study_of |= self._beside(name)
                study = study_of.get(name, "")
            if study:
                one = self._open.setdefault(study, _Open(number, number, False))
                one.first, one.last, one.rested = min(one.first, number), number, kind == _STABLE
                if one.rested:
                    rested.add(study)
        return rested & {study for study, one in self._open.items() if one.rested}

    def _beside(self, instance: str) -> dict[str, str]:
        """All images of an image's series, each with the study's name; none where it is gone."""
        series = self._archive.ask_json(f"{self._root}/instances/{instance}/series")
        study = str(series.get("ParentStudy", "")) if isinstance(series, dict) else ""
        if not study or not _is_name(study):
            return {}
        images = series.get("Instances")
        return dict.fromkeys([instance, *map(str, images if isinstance(images, list) else ())], study)

    def _told(self, names: set[str]) -> Iterator[Change]:
        """Those of these open studies that rest; those that are gone, or too old, are open no longer."""
        for name in sorted(names, key=lambda one: self._open[one].last):
            study, one = self._archive.ask_json(f"{self._root}/studies/{name}"), self._open[name]
            uid = self._uid(study)
            if uid is None:
                del self._open[name]
            elif one.rested:
                yield Change(uid, one.last)
            else:
                updated = str(study.get("LastUpdate", "")) if study.get("IsStable") is True else ""
                if updated and updated == one.updated:
                    yield Change(uid, one.last)
                one.updated = updated

    def _uid(self, study: Any) -> str | None:
        """The UID of a study; None where it is gone, is older than was asked for, or has none."""
        tags = study.get("MainDicomTags") if isinstance(study, dict) else None
        if not isinstance(tags, dict) or not is_uid(str(tags.get("StudyInstanceUID", ""))):
            return None
        day = str(tags.get("StudyDate", ""))
        return None if day and day < self._since else str(tags["StudyInstanceUID"])


def _is_name(text: str) -> bool:
    return len(text) <= _LONGEST_NAME and text.replace("-", "").isalnum() and text.isascii()
