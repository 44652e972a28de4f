"""One study after the other: asked for, fetched, scored, its results sent; each step remembered before the next."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from anomae.errors import FULL_DISK, MissingExtra, NotWritten, UserError
from anomae.extras import require
from anomae.locks import locked
from anomae.pacs.dicomweb import Archive, content
from anomae.pacs.errors import ArchiveRefuses, ArchiveTrouble, Stopped, StudyRefused, StudyTrouble
from anomae.pacs.remember import (
    BEGUN,
    EMPTY,
    FAILED,
    MOST_TRIES,
    PUT_BACK,
    SCORED,
    SENT,
    Memory,
    Remembered,
    study_name,
)
from anomae.pacs.score_study import HowToScore, Scorer, results_of
from anomae.progress import say

Send = Callable[[Sequence[Path]], int]  # files that are to arrive somewhere -> how many were new there


@dataclass
class Counts:
    """What came of the studies of one command."""

    scored: int = 0
    known: int = 0
    failed: int = 0
    empty: int = 0
    flagged: int = 0
    sent: int = 0
    reasons: list[str] = field(default_factory=list)


@dataclass
class Desk:
    """Works on studies in one folder, whose lock it holds; see `open_desk`.

    target: name of where results go, and send, which brings them there; None: nowhere.  left: studies whose results
    this command has tried to send, and does not again unless they are scored anew.
    """

    memory: Memory
    scorer: Scorer
    target: str = ""
    send: Send | None = None
    retry: bool = False
    left: frozenset[str] = frozenset()
    counts: Counts = field(default_factory=Counts)
    _refused: dict[str, int] = field(default_factory=dict)

    def incoming(self, study: str) -> Path:
        """Where the images of a study lie until it is scored."""
        return self.memory.folder / "incoming" / study

    def results(self, study: str) -> Path:
        """Where what came of a study lies."""
        return self.memory.folder / "studies" / study

    def from_archive(self, archive: Archive, uid: str, go_on: Callable[[], None]) -> bool:
        """Work on a study of an archive, unless that was done; returns whether it is dealt with, for now or for good.

        Raises ArchiveTrouble and ArchiveRefuses where it is not about this study, StudyRefused where it may be, Stopped
        where `go_on` does.
        """
        study = study_name(uid)
        what = "unknown"
        try:
            with _of_one_study():
                series = archive.series(uid, lambda sentence: self.note(f"Study {study}: {sentence}"))
            what = content(series)
            known = self.memory.of(study)
            if not self.memory.is_wanted(study, what, retry=self.retry):
                return self._known(known)
            if known is None or (known.state, known.content) != (PUT_BACK, what):
                self.memory.begin(study, what)
            if not series:
                return self._empty(study, what)

            def came() -> None:
                go_on()
                self._begin(study, what)

            shutil.rmtree(self.incoming(study), ignore_errors=True)
            with _of_one_study():
                kept = archive.download(uid, series, self.incoming(study), came)
            if not kept:
                return self._empty(study, what)
            self._set_aside(study)
        except (ArchiveTrouble, ArchiveRefuses, NotWritten, Stopped) as error:
            self.memory.put_back(study, what, str(error))
            raise
        except OSError as error:
            self._put_back_where_full(study, what, error)
            raise
        except StudyTrouble as error:
            if what == "unknown" and self._is_over(study):  # it may not have changed, so what was said of it stands
                if f"Study {study}: {error}" not in self.counts.reasons:
                    self._skipped(study, error)
                return False
            self._begin(study, what)
            self._failed(study, what, error, again=True)
            return (self.memory.of(study) or Remembered(study, what, FAILED)).tries >= MOST_TRIES
        try:
            return self.score(study, what)
        finally:
            self._settle(study)
            shutil.rmtree(self.incoming(study), ignore_errors=True)

    def score(self, study: str, what: str, images: Path | None = None) -> bool:
        """Score a begun study and send what came of it; returns as `from_archive`.

        images: where they lie, if not in `incoming`.  Raises NotWritten where the disk is full.
        """
        try:
            facts = self.scorer.score(images or self.incoming(study), self.results(study))
        except (MissingExtra, NotWritten) as error:  # of no study alone
            self.memory.put_back(study, what, str(error))
            raise
        except OSError as error:
            self._put_back_where_full(study, what, error)
            raise
        except UserError as error:
            self._failed(study, what, error, again=False)
            return True
        self.memory.scored(study, what, facts)
        self.counts.scored += 1
        self.counts.flagged += bool(facts["flag"])
        flag = {None: "no flag", True: "FLAGGED", False: "not flagged"}[facts["flag"]]
        say(f"Study {study}: {flag}, score {facts['score']:.4g}, findings {facts['findings']}.")
        return self.deliver(study)

    def deliver(self, study: str) -> bool:
        """Send the results of a scored study; returns False where that is to be tried again.

        What was not taken five times waits for the next start.

        Raises ArchiveTrouble and ArchiveRefuses where it is not about this study.
        """
        if self.send is None or self._refused.get(study, 0) >= MOST_TRIES:
            return True
        try:
            self.counts.sent += self.send(results_of(self.results(study)))
        except StudyTrouble as error:
            self._not_sent(study, error)
            return self._refused[study] >= MOST_TRIES
        self.memory.sent(study, self.target)
        return True

    def unsent(self) -> list[str]:
        """Studies whose results an earlier command left unsent."""
        return [] if self.send is None else [one.study for one in self.memory.unsent(self.target)]

    def deliver_all(self) -> None:
        """Send what an earlier command left unsent."""
        for study in self.unsent():
            self.deliver(study)

    def passed_over(self, study: str, error: UserError) -> None:
        """The archive refuses this study, or does not answer of it, or given its results, but does otherwise."""
        trouble = StudyTrouble(f"Asked for this study alone, {error}")
        known = self.memory.of(study)
        if study in self.unsent():
            self._not_sent(study, trouble)
        elif known is None or known.state == PUT_BACK:
            what = "unknown" if known is None else known.content
            self.memory.begin(study, what)
            self._failed(study, what, trouble, again=True)
        else:  # what was said of it before stands
            self._skipped(study, trouble)

    def note(self, sentence: str) -> None:
        """Say what is wrong beside the studies, once."""
        if sentence not in self.counts.reasons:
            self.counts.reasons.append(sentence)
            say(sentence)

    def _not_sent(self, study: str, error: StudyTrouble) -> None:
        say(f"Study {study}: its results were not sent. {error}")
        self.counts.reasons.append(f"Study {study}: not sent. {error}")
        self._refused[study] = self._refused.get(study, 0) + 1

    def _put_back_where_full(self, study: str, what: str, error: OSError) -> None:
        """A disk that another program filled is no fault of the study, nor a try of it."""
        if error.errno in FULL_DISK:
            self.memory.put_back(study, what, "there was no room on the disk")

    def _known(self, known: Remembered | None) -> bool:
        self.counts.known += 1
        if known is not None and known.state in (SCORED, SENT) and self.target not in known.sent:
            return known.study in self.left or self.deliver(known.study)
        return True

    def _begin(self, study: str, what: str) -> None:
        """Begin a study that is not begun; one that was put back is once something of it comes, not at each look."""
        known = self.memory.of(study)
        if known is None or (known.state, known.content) != (BEGUN, what):
            self.memory.begin(study, what)

    def _is_over(self, study: str) -> bool:
        """Whether a study came to an end, good or bad, that is not to be tried again."""
        known = self.memory.of(study)
        if known is None or (known.state == FAILED and known.again and known.tries < MOST_TRIES):
            return False
        return known.state in (SCORED, SENT, EMPTY, FAILED)

    def _earlier(self, study: str) -> Path:
        """Where earlier results of a study lie while it is scored anew."""
        return self.memory.folder / "earlier" / study

    def _set_aside(self, study: str) -> None:
        """Take earlier results away: they may be of series that the archive no longer has."""
        if self.results(study).exists():
            self._earlier(study).parent.mkdir(exist_ok=True)
            self.results(study).rename(self._earlier(study))

    def settle_all(self) -> None:
        """Put back, or remove, the earlier results that a command left when it was killed."""
        for folder in (self.memory.folder / "earlier").glob("*"):
            self._settle(folder.name)

    def _settle(self, study: str) -> None:
        """Once the study is scored remove its earlier results; else put them back, so that nothing good is lost."""
        if not self._earlier(study).exists():
            return
        known = self.memory.of(study)
        if known is not None and known.state in (SCORED, SENT):
            shutil.rmtree(self._earlier(study))
        else:
            shutil.rmtree(self.results(study), ignore_errors=True)
            self._earlier(study).rename(self.results(study))

    def _empty(self, study: str, what: str) -> bool:
        for folder in (self.results(study), self._earlier(study)):  # of what is no longer there nothing is told
            shutil.rmtree(folder, ignore_errors=True)
        self.memory.empty(study, what, "no series of images that a scanner made")
        self.counts.empty += 1
        say(f"Study {study}: {EMPTY}.")
        return True

    def _failed(self, study: str, what: str, error: UserError, *, again: bool) -> None:
        self.memory.failed(study, what, str(error), again=again)
        self._skipped(study, error)

    def _skipped(self, study: str, error: UserError) -> None:
        self.counts.failed += 1
        self.counts.reasons.append(f"Study {study}: {error}")
        say(f"Study {study}: skipped. {error}")


@contextmanager
def _of_one_study() -> Iterator[None]:
    try:
        yield
    except ArchiveRefuses as error:
        raise StudyRefused(str(error)) from error


@contextmanager
def open_desk(how: HowToScore, out: Path, source: str) -> Iterator[Desk]:
    """A desk in the folder `out`, which no other process writes meanwhile; studies.csv is written at the end.

    source: where its studies come from, for people.  Raises UserError where the run holds nothing fitted, or `out`
    something else, and MissingExtra where DICOM results cannot be written.
    """
    require("highdicom", "dicom")
    scorer = Scorer(how)
    model = scorer.fingerprint()
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; name a folder for what is written.")
    with locked(out):
        memory = Memory(out, model, source)
        desk = Desk(memory, scorer)
        desk.settle_all()
        try:
            yield desk
        finally:
            memory.write_table()
