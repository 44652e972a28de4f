"""Studies that an archive lists, each fetched, scored and, if asked for, its results stored beside it."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from anomae.errors import UserError
from anomae.pacs.desk import Counts, Desk, open_desk
from anomae.pacs.dicomweb import Archive
from anomae.pacs.errors import ArchiveTrouble, Stopped
from anomae.pacs.query import STUDY, Query
from anomae.pacs.score_study import HowToScore
from anomae.pacs.stopping import Wish
from anomae.progress import say

Result = TypeVar("Result")
_WAITS_S = (2.0, 5.0, 15.0)


def pull(
    archive: Archive,
    how: HowToScore,
    out: Path,
    query: Query,
    *,
    push: bool = False,
    retry: bool = False,
    wish: Wish | None = None,
    waits_s: tuple[float, ...] = _WAITS_S,
) -> Counts:
    """Score all studies of `archive` that fit `query` into `out`; what was done before is not done again.

    push: store segmentations and reports in the archive.  retry: studies too that failed before.  waits_s: how long to
    wait, each time that the archive does not answer, before it is asked again.
    A study that is broken is listed and skipped.  Raises UserError where the archive has not the one study that is
    asked for, ArchiveTrouble where it does not answer for longer, ArchiveRefuses where it does not let us in, UserError
    as `anomae score`; the same command then goes on.
    """
    wish = wish or Wish()
    with open_desk(how, out, archive.name) as desk:
        desk.retry = retry
        if push:
            desk.target, desk.send = archive.name, archive.store
        try:
            _patiently(desk.deliver_all, wish, waits_s)
            studies = _patiently(lambda: list(archive.studies(query)), wish, waits_s)
            if not studies and STUDY in query.filters:
                raise UserError(f"{archive.name} has no study of this UID (--study) that fits what else is asked for.")
            for study in studies:
                wish.go_on()
                _patiently(_work_on(desk, archive, study.uid, wish), wish, waits_s)
        except Stopped:
            say("Stopped. Give the same command again to go on from here.")
        return desk.counts


def _work_on(desk: Desk, archive: Archive, uid: str, wish: Wish) -> Callable[[], bool]:
    return lambda: desk.from_archive(archive, uid, wish.go_on)


def _patiently(ask: Callable[[], Result], wish: Wish, waits_s: tuple[float, ...]) -> Result:
    for seconds in waits_s:
        try:
            return ask()
        except ArchiveTrouble as error:
            say(f"{error} It is asked again in {seconds:.0f} s.")
            wish.wait(seconds)
            wish.go_on()
    return ask()
