"""Studies that an archive lists, each fetched, scored and, if asked for, its results stored beside it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from anomae.errors import UserError
from anomae.pacs.desk import Counts, Desk, open_desk
from anomae.pacs.dicomweb import Archive
from anomae.pacs.errors import ArchiveTrouble, Stopped, StudyRefused
from anomae.pacs.query import STUDY, Query
from anomae.pacs.remember import study_name
from anomae.pacs.score_study import HowToScore
from anomae.pacs.stopping import Wish
from anomae.progress import say

Result = TypeVar("Result")
_WAITS_S = (2.0, 5.0, 15.0)
_MOST_IN_A_ROW = 3  # studies that are passed over; more of them are no fault of a study


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
    A study that is broken is listed and skipped, and so is one of which the archive does not answer while it lists
    others.  Raises UserError where the archive has not the one study that is asked for, ArchiveTrouble where it does
    not answer for longer, ArchiveRefuses where it does not let us in, UserError as `anomae score`; the same command
    then goes on.
    """
    wish = wish or Wish()
    patience = _Patience(archive, query, wish, waits_s)
    with open_desk(how, out, archive.name) as desk:
        desk.retry = retry
        if push:
            desk.target, desk.send = archive.name, archive.store
        try:
            patience.work(desk, ((name, partial(desk.deliver, name)) for name in desk.unsent()))
            desk.left = frozenset(desk.unsent())
            studies = patience.ask(lambda: list(archive.studies(query, desk.note)))
            if not studies and STUDY in query.filters:
                raise UserError(f"{archive.name} has no study of this UID (--study) that fits what else is asked for.")
            fetch = partial(desk.from_archive, archive, go_on=wish.go_on)
            patience.work(desk, ((study_name(study.uid), partial(fetch, study.uid)) for study in studies))
        except Stopped:
            say("Stopped. Give the same command again to go on from here.")
        return desk.counts


@dataclass
class _Patience:
    """Asks an archive again where it does not answer; what it does not answer of one study keeps no other waiting."""

    archive: Archive
    query: Query
    wish: Wish
    waits_s: tuple[float, ...]

    def ask(self, ask: Callable[[], Result]) -> Result:
        """Raises ArchiveTrouble where there is no answer at last."""
        for seconds in self.waits_s:
            try:
                return ask()
            except ArchiveTrouble as error:
                say(f"{error} It is asked again in {seconds:.0f} s.")
                self.wish.wait(seconds)
                self.wish.go_on()
        return ask()

    def work(self, desk: Desk, studies: Iterable[tuple[str, Callable[[], object]]]) -> None:
        """As `ask` of each study, by its name, but passes over those where the archive answers otherwise.

        Raises ArchiveRefuses at the end where it refused studies and gave none.
        """
        in_a_row, given = 0, False
        refusal: StudyRefused | None = None
        for study, ask in studies:
            self.wish.go_on()
            try:
                self.ask(ask)
                in_a_row, given = 0, True
                continue
            except ArchiveTrouble as error:
                trouble: ArchiveTrouble | StudyRefused = error
                in_a_row += 1
            except StudyRefused as error:
                trouble = refusal = error
            if in_a_row > _MOST_IN_A_ROW or not self.archive.answers(self.query):
                raise trouble
            desk.passed_over(study, trouble)
        if refusal is not None and not given:
            raise refusal
