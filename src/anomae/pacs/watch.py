"""Studies as they come into an archive: asked for at intervals, by Orthanc's list of changes where there is one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Protocol

from anomae.errors import UserError
from anomae.pacs.changes import Change, OrthancChanges
from anomae.pacs.desk import Counts, Desk, open_desk
from anomae.pacs.dicomweb import Archive
from anomae.pacs.errors import ArchiveTrouble, Stopped, StudyRefused, StudyTrouble
from anomae.pacs.lists import Note
from anomae.pacs.query import Query
from anomae.pacs.remember import study_name
from anomae.pacs.score_study import HowToScore
from anomae.pacs.stopping import Wish
from anomae.progress import say

_MOST_IN_A_ROW = 3  # studies that are passed over in one look


class Feed(Protocol):
    """What says which studies are new."""

    def new(self) -> Iterator[Change]:
        """Studies that are complete as far as can be told; `handled` is called of each before the next."""
        ...

    def handled(self, change: Change) -> None:
        """This study is dealt with."""
        ...


class PolledList:
    """New studies of any DICOMweb archive: listed by QIDO each time; new is one whose images were the same twice."""

    def __init__(self, archive: Archive, query: Query, note: Note = say) -> None:
        self._archive, self._query, self._note = archive, query, note
        self._before: dict[str, int] = {}
        self._handled: dict[str, int] = {}

    def new(self) -> Iterator[Change]:
        """See `Feed`.  A study whose number of images is not told counts as complete at the second look."""
        listed = {study.uid: study.images for study in self._archive.studies(self._query, self._note)}
        before, self._before = self._before, listed
        for uid, images in listed.items():
            if before.get(uid) == images and (images < 0 or self._handled.get(uid) != images):
                yield Change(uid, images)

    def handled(self, change: Change) -> None:
        """See `Feed`."""
        self._handled[change.study] = change.number


def watch(
    archive: Archive,
    how: HowToScore,
    out: Path,
    *,
    push: bool = False,
    every_s: float = 30.0,
    since: date | None = None,
    wish: Wish | None = None,
    looked: Callable[[], None] | None = None,
) -> Counts:
    """Score every study that comes into `archive`, and those that are there, until `wish` is expressed.

    since: studies of this day and later alone.  looked: called after each look, for tests.  While the archive does not
    answer it is asked again, and where it does not answer of one study, or refuses it, others go on; what was done is
    remembered in `out`.  Raises ArchiveRefuses where it does not let us in, and UserError as `anomae score`.
    """
    wish = wish or Wish()
    filters = {} if since is None else {"StudyDate": f"{since:%Y%m%d}-"}
    feed: Feed | None = None
    query, silent = Query(filters), False
    with open_desk(how, out, archive.name) as desk:
        if push:
            desk.target, desk.send = archive.name, archive.store
        looks = _Looks(desk, archive, query, desk.unsent())
        while not wish.stopped:
            try:
                if feed is None:
                    feed = OrthancChanges.of(archive, desk.memory, since) or PolledList(archive, query, desk.note)
                    say(f"Watching {archive.name} by {'its changes' if isinstance(feed, OrthancChanges) else 'QIDO'}.")
                looks.look(feed, wish.go_on)
                if silent:
                    say(f"{archive.name} answers again.")
                silent = False
            except (ArchiveTrouble, StudyTrouble) as error:
                if not silent:
                    say(f"{error} It is asked again every {every_s:g} s.")
                silent = True
            except Stopped:
                break
            if looked is not None:
                looked()
            wish.wait(every_s)
        say("Stopped. Give the same command again to go on from here.")
        return desk.counts


@dataclass
class _Looks:
    """One look after the other: work on all that is new.

    unsent: studies whose results are to be sent first; those that are leave it, and those that are scored anew.
    missed: UIDs of studies that were not obtained, the longest ago first, as keys.  trouble: what is raised at
    the end of a look.
    """

    desk: Desk
    archive: Archive
    query: Query
    unsent: list[str] = field(default_factory=list)
    missed: dict[str, None] = field(default_factory=dict)
    trouble: ArchiveTrouble | None = None

    def look(self, feed: Feed, go_on: Callable[[], None]) -> None:
        """Raises ArchiveTrouble where the archive did not answer of a study, or refused it; at once where of none."""
        self.trouble, before = None, replace(self.desk.counts)
        self._deliver()
        self._obtain(feed, go_on)
        if self.trouble is not None or replace(self.desk.counts, known=before.known) != before:
            self.desk.memory.write_table()
        if self.trouble is not None:
            raise self.trouble

    def _deliver(self) -> None:
        in_a_row, left = 0, set(self.desk.unsent())
        self.unsent = [study for study in self.unsent if study in left]
        for study in [*self.unsent]:
            self.unsent.remove(study)
            try:
                self.desk.deliver(study)
                in_a_row = 0
            except ArchiveTrouble as error:
                self.unsent.append(study)
                self._pass_over(study, error)
                in_a_row += 1
            if in_a_row > _MOST_IN_A_ROW:
                break

    def _obtain(self, feed: Feed, go_on: Callable[[], None]) -> None:
        """Of those missed before a few are asked for again, and all once one comes.

        Ends early where the archive does not answer of more new ones in a row; the next look goes on behind them.
        """
        few = frozenset(islice(self.missed, _MOST_IN_A_ROW))
        due, seen, in_a_row = set(few), set(), 0
        for change in feed.new():
            go_on()
            uid = change.study
            seen.add(uid)
            if uid in self.missed and uid not in due:
                continue
            try:
                dealt_with = self.desk.from_archive(self.archive, uid, go_on)
                in_a_row = 0
            except (ArchiveTrouble, StudyRefused) as error:
                self._pass_over(study_name(uid), error)
                dealt_with = False
                in_a_row += uid not in few
            if uid in self.missed:
                del self.missed[uid]
                due.update(self.missed if dealt_with else ())
            if dealt_with:
                feed.handled(change)
            else:
                self.missed[uid] = None
            if in_a_row > _MOST_IN_A_ROW:
                return
        for uid in self.missed.keys() - seen:  # it is there no longer, or not at rest
            del self.missed[uid]

    def _pass_over(self, study: str, error: UserError) -> None:
        """Raises ArchiveTrouble where the archive answers nothing now, ArchiveRefuses where it lets us in no longer."""
        if not self.archive.answers(self.query):
            raise ArchiveTrouble(str(error)) from error
        self.trouble = ArchiveTrouble(f"Study {study}: {error}")
