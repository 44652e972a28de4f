"""What was done with which study: a journal that survives a crash, so that nothing is done twice and nothing is lost.

OUT of `anomae pull`, `watch` and `receive`:
  journal.jsonl     a line a step, handed to the disk before the next step begins
  studies.csv       a line a study: what came of it, its flag; written from the journal
  studies/<study>/  the scores, maps and DICOM results of a study, see anomae.runs.scoring_folder
  incoming/<study>/ the images of a study, until it is scored
  earlier/<study>/  its earlier results while it is scored anew, which come back where that fails
A study is called by a digest of its UID: neither the journal nor a name of a folder holds an identifier.  What comes
to `receive` once a study has been scored is a part of its own: <study>-2, -3, ...
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from anomae.errors import UserError
from anomae.files import append_json_line, read_json_lines, write_csv
from anomae.locks import LOCK

FORMAT = "anomae pacs 1"
COLUMNS = ("study", "state", "flag", "score", "scans", "findings", "sent", "reason", "folder")
MOST_TRIES = 5  # a study that the archive could not give so often is left alone
# So is one during which the program ended so often.  Not fewer: who kills the program at random hits the same study
# again and again, as it is the first to be begun at the next start; benchmarks/pacs_faults.py lost some with five.
MOST_ENDS = 20
BEGUN, SCORED, SENT, FAILED, EMPTY = "begun", "scored", "sent", "failed", "nothing to score"
PUT_BACK = "put back"


@dataclass(frozen=True, slots=True)
class Remembered:
    """The last that is known of a study.

    content: a digest of which images it had.  state: see above.  tries: how often it was begun, or not obtained, since
    it last came to an end.  again: whether a failure may go away by itself.  facts: of its results, see
    anomae.pacs.score_study; while it is scored anew, and where that fails, of the earlier ones, which stay.  sent: to
    where these went.
    """

    study: str
    content: str
    state: str
    tries: int = 0
    again: bool = False
    reason: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    sent: tuple[str, ...] = ()


def study_name(uid: str) -> str:
    """What a study is called in logs, tables and folders: says nothing of its UID to who does not know it."""
    return hashlib.blake2b(b"anomae study " + uid.encode(), digest_size=8).hexdigest()


def content_of(parts: Sequence[tuple[str, int | str]]) -> str:
    """A digest of which images a study has.  parts: names with a number or a digest each, in any order."""
    return hashlib.blake2b(repr(sorted(parts)).encode(), digest_size=8).hexdigest()


class Memory:
    """The journal of one folder; whoever writes it holds the lock of the folder."""

    def __init__(self, folder: Path, model: str, source: str) -> None:
        """Open `folder`, making it where it is absent.

        model: a fingerprint of what scores.  source: where the studies come from.  Raises UserError where the folder
        holds something else, or what was done with another model or source.
        """
        self.folder, self._journal = folder, folder / "journal.jsonl"
        lines = read_json_lines(self._journal)
        _check(folder, lines, model, source)
        if not lines:
            folder.mkdir(parents=True, exist_ok=True)
            append_json_line(self._journal, {"format": FORMAT, "model": model, "source": source})
        self._studies: dict[str, Remembered] = {}
        self.sequence: int | None = None
        for line in lines[1:]:
            if "sequence" in line:
                self.sequence = int(line["sequence"])
            else:
                self._take(line)

    def of(self, study: str) -> Remembered | None:
        """What is known of a study."""
        return self._studies.get(study)

    def all(self) -> list[Remembered]:
        """All studies, in the order in which they were first begun."""
        return list(self._studies.values())

    def is_wanted(self, study: str, content: str, *, retry: bool = False) -> bool:
        """Whether a study is to be scored: new or changed, or left unfinished and not too often.

        retry: those too that failed, or ended the program too often.
        """
        known = self._studies.get(study)
        if known is None or known.content != content or (retry and known.state in (FAILED, BEGUN, PUT_BACK)):
            return True
        if known.state in (BEGUN, PUT_BACK):
            return known.tries < MOST_ENDS
        return known.state == FAILED and known.again and known.tries < MOST_TRIES

    def part_of(self, study: str, content: str) -> str:
        """What images of a study are called: as the study, or <study>-2, -3, ... where it came to an end without them.

        So what was said of the images before, which are gone by then, still stands.
        """
        name, number = study, 1
        while (known := self._studies.get(name)) is not None and known.content != content and _is_over(known):
            number += 1
            name = f"{study}-{number}"
        return name

    def has_had(self, study: str, content: str) -> bool:
        """Whether a study, or a part of it, was begun with these images."""
        return any(one.content == content for one in self.all() if one.study.partition("-")[0] == study)

    def unsent(self, target: str) -> list[Remembered]:
        """Scored studies whose results have not gone to `target`."""
        return [one for one in self._studies.values() if one.state in (SCORED, SENT) and target not in one.sent]

    def begin(self, study: str, content: str) -> None:
        """A study is begun.  Raises nothing; `is_wanted` says whether it was begun too often."""
        self._add({"study": study, "content": content, "state": BEGUN})

    def put_back(self, study: str, content: str, reason: str = "") -> None:
        """A study that was begun is left for another time, for a reason that is not its own; this is no try."""
        known = self._studies.get(study)
        if known is None or known.content != content:
            return
        if known.state == BEGUN or (known.state == PUT_BACK and reason not in ("", known.reason)):
            self._add({"study": study, "content": content, "state": PUT_BACK, "reason": reason})

    def scored(self, study: str, content: str, facts: Mapping[str, Any]) -> None:
        """Its results are on the disk."""
        self._add({"study": study, "content": content, "state": SCORED, "facts": dict(facts)})

    def sent(self, study: str, target: str) -> None:
        """Its results have arrived at `target`."""
        self._add({"study": study, "content": self._studies[study].content, "state": SENT, "sent": target})

    def failed(self, study: str, content: str, reason: str, *, again: bool) -> None:
        """It could not be scored.  again: it may be another time."""
        self._add({"study": study, "content": content, "state": FAILED, "reason": reason, "again": again})

    def empty(self, study: str, content: str, reason: str) -> None:
        """It holds no image that is to be scored."""
        self._add({"study": study, "content": content, "state": EMPTY, "reason": reason})

    def reached(self, sequence: int) -> None:
        """All changes of the archive up to this one are dealt with."""
        if sequence != self.sequence:
            append_json_line(self._journal, {"sequence": sequence})
            self.sequence = sequence

    def write_table(self) -> None:
        """Write studies.csv."""
        write_csv(self.folder / "studies.csv", COLUMNS, [_row(one) for one in self._studies.values()])

    def _add(self, line: dict[str, Any]) -> None:
        append_json_line(self._journal, line)
        self._take(line)

    def _take(self, line: Mapping[str, Any]) -> None:
        study, state = str(line["study"]), str(line["state"])
        known = self._studies.get(study)
        same = known is not None and known.content == line["content"]
        tries = known.tries if known is not None and same else 0
        if state == SENT:
            if known is not None and known.state in (SCORED, SENT):  # else these were results of fewer images
                self._studies[study] = replace(known, state=SENT, sent=(*known.sent, str(line["sent"])))
            return
        tries += (state == BEGUN) - (state == PUT_BACK and known is not None and known.state == BEGUN)
        again = bool(line.get("again", False))
        keeps = known is not None and state in (BEGUN, PUT_BACK, FAILED)
        self._studies[study] = Remembered(
            study,
            str(line["content"]),
            state,
            tries if state in (BEGUN, PUT_BACK) or again else 0,
            again,
            str(line.get("reason", "")),
            known.facts if known is not None and keeps else line.get("facts", {}),
            known.sent if known is not None and keeps else (),
        )


def _check(folder: Path, lines: Sequence[Mapping[str, Any]], model: str, source: str) -> None:
    if not lines:
        others = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        if folder.exists() and (not folder.is_dir() or others - {"journal.jsonl", LOCK}):
            raise UserError(f"{folder} holds something else; name another folder for what is written.")
        return
    if lines[0].get("format") != FORMAT:
        raise UserError(f"{folder} holds something else than studies of an archive; name another folder.")
    if lines[0].get("model") != model:
        raise UserError(f"{folder} holds studies that another fitted model scored; name another folder.")
    if lines[0].get("source") != source:
        raise UserError(f"{folder} holds studies from {lines[0].get('source')}; name another folder for {source}.")


def _is_over(one: Remembered) -> bool:
    return one.state not in (BEGUN, PUT_BACK) or one.tries >= MOST_ENDS


def _row(one: Remembered) -> tuple[Any, ...]:
    facts = one.facts
    flag = facts.get("flag")
    gave_up = f"begun {one.tries} times and never ended" if one.state == BEGUN and one.tries >= MOST_ENDS else ""
    first, _, part = one.study.partition("-")
    came_later = f"images of {first} that came once it had been dealt with; see its other lines" if part else ""
    why = one.reason or gave_up
    if facts and one.state not in (SCORED, SENT):
        why = f"earlier result; scoring anew {f'failed: {why}' if why else 'is still to come'}"
    return (
        one.study,
        one.state,
        "" if flag is None else int(flag),
        facts.get("score", ""),
        facts.get("scans", ""),
        facts.get("findings", ""),
        " ".join(one.sent),
        "; ".join(filter(None, (came_later, why, facts.get("reason", "")))),
        f"studies/{one.study}" if facts else "",
    )
