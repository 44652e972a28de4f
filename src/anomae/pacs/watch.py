"""Studies as they come into an archive: asked for at intervals, by Orthanc's list of changes where there is one."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Protocol

from anomae.pacs.changes import Change, OrthancChanges
from anomae.pacs.desk import Counts, Desk, open_desk
from anomae.pacs.dicomweb import Archive
from anomae.pacs.errors import ArchiveTrouble, Stopped, StudyTrouble
from anomae.pacs.lists import Note
from anomae.pacs.query import Query
from anomae.pacs.remember import study_name
from anomae.pacs.score_study import HowToScore
from anomae.pacs.stopping import Wish
from anomae.progress import say


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
    answer it is asked again, and where it does not answer of one study, others go on; what was done is remembered in
    `out`.  Raises ArchiveRefuses where it does not let us in,
    and UserError as `anomae score`.
    """
    wish = wish or Wish()
    filters = {} if since is None else {"StudyDate": f"{since:%Y%m%d}-"}
    feed: Feed | None = None
    query, silent = Query(filters), False
    with open_desk(how, out, archive.name) as desk:
        if push:
            desk.target, desk.send = archive.name, archive.store
        unsent = desk.unsent()
        while not wish.stopped:
            try:
                if feed is None:
                    feed = OrthancChanges.of(archive, desk.memory, since) or PolledList(archive, query, desk.note)
                    say(f"Watching {archive.name} by {'its changes' if isinstance(feed, OrthancChanges) else 'QIDO'}.")
                _look(desk, archive, query, feed, unsent, wish)
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


def _look(desk: Desk, archive: Archive, query: Query, feed: Feed, unsent: list[str], wish: Wish) -> None:
    """Work on all that is new.

    unsent: studies whose results are to be sent first; those that are leave it, and those that are scored anew.

    Raises ArchiveTrouble at the end where the archive did not answer of one study, at once where it answers nothing.
    """
    worked = False
    trouble: ArchiveTrouble | None = None

    def passed_over(study: str, error: ArchiveTrouble) -> ArchiveTrouble:
        if not archive.answers(query):
            raise error
        return ArchiveTrouble(f"Study {study}: {error}")

    unsent[:] = [study for study in desk.unsent() if study in unsent]
    for study in [*unsent]:
        try:
            desk.deliver(study)
            unsent.remove(study)
        except ArchiveTrouble as error:
            trouble = passed_over(study, error)
    for change in feed.new():
        wish.go_on()
        before = desk.counts.known
        try:
            if desk.from_archive(archive, change.study, wish.go_on):
                feed.handled(change)
        except ArchiveTrouble as error:
            trouble = passed_over(study_name(change.study), error)
        worked = worked or desk.counts.known == before
    if worked:
        desk.memory.write_table()
    if trouble is not None:
        raise trouble
