"""Shards to an engine's workers and back; one that ends its worker is taken apart until the file is found."""

from collections import deque
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from anomae.archive.engines.engine import Engine, Outcome
from anomae.archive.folder import ArchiveFolder
from anomae.archive.manifest import Entry
from anomae.archive.score_shard import ShardFacts
from anomae.archive.tables import DEFECT, KILLED, Row, failed_row, told
from anomae.archive.worker import Piece, was_at
from anomae.errors import AnomaeError, UserError
from anomae.progress import say

_ATTEMPTS = 2  # of one file alone, as a worker may also be ended from outside
_LOSSES = 4  # of one piece with a machine that went; after so many one of its files may be what takes machines down

Shard = tuple[int, tuple[Entry, ...]]


@dataclass(slots=True)
class _Open:
    """A shard that is under way.  tried: lines of it that failed and are tried again; None: it is scored as a whole."""

    entries: tuple[Entry, ...]
    under_way: int
    whole: bool
    tried: frozenset[int] | None = None
    slices: int = 0  # scored by this command
    parts: dict[int, Path] = field(default_factory=dict)  # by first line
    ended: list[Row] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Finished:
    """A shard that is on the disk.

    process: of the worker that scored it, or its last piece; loads: its models.  files, slices: tried, and scored, by
    this command.
    """

    number: int
    facts: ShardFacts
    process: str
    loads: int
    files: int
    slices: int


def scored_shards(shards: Iterable[Shard], engine: Engine, folder: ArchiveFolder, retry: bool) -> Iterator[Finished]:
    """Score `shards`, no more at once than the engine has workers; yields each when it is on the disk.

    retry: of a shard that is there try the lines again that failed; also files that are known to have ended their
    worker.  Raises UserError for what is no file's fault: a worker that ends while it loads the model, a package that
    is missing, a full disk.
    """
    _try_the_model(engine, folder)
    waiting: deque[Piece] = deque()
    suspects: deque[Piece] = deque()  # tried one by one with nothing beside them: then it is known which is fatal
    under_way: dict[int, _Open] = {}
    rest, busy = iter(shards), 0
    while True:
        alone = bool(suspects)
        if alone and not busy:
            engine.submit(suspects.popleft())
            busy += 1
        while busy < engine.slots and not alone:
            if not waiting:
                shard = next(rest, None)
                if shard is None:
                    break
                number, entries = shard
                known = {} if retry else folder.ended(entries)
                tried = folder.to_retry(number, entries) if retry else None
                pieces = _pieces(number, entries, known, tried, folder)
                whole = not known and tried is None
                under_way[number] = _Open(entries, len(pieces), whole, tried, ended=list(known.values()))
                waiting.extend(pieces)
                if not pieces:
                    yield _finished(number, under_way.pop(number), None, "", 0, folder)
                continue
            engine.submit(waiting.popleft())
            busy += 1
        if not busy:
            return
        for outcome in engine.outcomes():
            busy -= 1
            piece, shard_open = outcome.piece, under_way[outcome.piece.shard]
            again = _again(outcome, shard_open, folder)
            shard_open.under_way += len(again) - 1
            suspected = engine.shared and any(left.attempts for left in again)
            (suspects if suspected else waiting).extendleft(reversed(again))  # before new shards: few are open at once
            if not shard_open.under_way:
                answer = outcome.answer
                facts = answer.facts if answer and shard_open.whole else None
                process, loads = (answer.process, answer.loads) if answer else ("", 0)
                yield _finished(piece.shard, under_way.pop(piece.shard), facts, process, loads, folder)


def _try_the_model(engine: Engine, folder: ArchiveFolder) -> None:
    """A piece without entries: what stops all workers stops here, and no file is blamed for it.

    What this worker computes on is what all have to.
    """
    for _ in range(_LOSSES + 1):
        engine.submit(Piece(-1, (), str(folder.folder / "parts" / "none"), folder.computed_on))
        (outcome,) = engine.outcomes()
        if not outcome.lost:
            break
    if outcome.answer is None:
        raise UserError(
            f"A worker was ended while it loaded the model ({outcome.ended}), mostly because memory ran out; give "
            "the command fewer workers, or a machine with more memory."
        )
    _stop_where_it_must(outcome)
    if outcome.answer.defect:
        raise AnomaeError(f"A worker could not load the model: {outcome.answer.defect}.")
    folder.agree(outcome.answer.computed_on, outcome.answer.doubts)


def _stop_where_it_must(outcome: Outcome) -> None:
    if outcome.answer is not None and outcome.answer.stop:
        raise UserError(outcome.answer.stop)


def _pieces(
    number: int, entries: tuple[Entry, ...], known: dict[int, Row], tried: Set[int] | None, folder: ArchiveFolder
) -> list[Piece]:
    """The shard as one piece, or the runs between those of its files that are known to end their worker.

    tried: the lines that alone are to be tried, as one piece.
    """
    if tried is not None:
        run = tuple(entry for entry in entries if entry.line in tried)
        return [Piece(number, run, str(folder.part(number, run)), folder.computed_on)] if run else []
    if not known:
        return [Piece(number, entries, str(folder.shard(number)), folder.computed_on)]
    runs: list[list[Entry]] = [[]]
    for entry in entries:
        if entry.line in known:
            runs.append([])
        else:
            runs[-1].append(entry)
    return [Piece(number, tuple(run), str(folder.part(number, run)), folder.computed_on) for run in runs if run]


def _again(outcome: Outcome, shard: _Open, folder: ArchiveFolder) -> list[Piece]:
    """What is left to do of a piece that came back: nothing, itself again, or smaller ones.

    One that ended its worker is done without the file that the worker left a note of, and that file alone; without a
    note it is halved.  One that was lost is given again as it is, so many times.
    """
    _stop_where_it_must(outcome)
    piece, answer = outcome.piece, outcome.answer
    if answer is not None and answer.facts is not None:
        shard.parts[piece.entries[0].line] = Path(piece.target)
        shard.slices += answer.facts.slices
        return []
    if outcome.lost and piece.losses < _LOSSES:
        return [replace(piece, losses=piece.losses + 1)]
    shard.whole = False
    if len(piece.entries) > 1:
        index = was_at(piece)
        ends = [len(piece.entries) // 2] if index is None else [index, index + 1]
        runs = [piece.entries[start:end] for start, end in pairwise([0, *ends, len(piece.entries)])]
        return [
            Piece(piece.shard, run, str(folder.part(piece.shard, run)), folder.computed_on, losses=piece.losses)
            for run in runs
            if run
        ]
    if answer is None and piece.attempts + 1 < _ATTEMPTS:
        target = str(folder.part(piece.shard, piece.entries))
        return [replace(piece, target=target, attempts=piece.attempts + 1)]
    entry = piece.entries[0]
    kind, reason = (DEFECT, answer.defect) if answer else (KILLED, f"its worker was ended by it ({outcome.ended})")
    row = failed_row(entry.line, entry.file, entry.patient, kind, reason)
    shard.ended.append(row)
    if shard.tried is None:
        _leave_out(row, folder)
    return []


def _leave_out(row: Row, folder: ArchiveFolder) -> None:
    folder.note_ended(row)
    say(f"Left out: {row['file']}: {row['reason']}.")


def _finished(
    number: int, shard: _Open, facts: ShardFacts | None, process: str, loads: int, folder: ArchiveFolder
) -> Finished:
    parts = [shard.parts[line] for line in sorted(shard.parts)]
    ended, left = shard.ended, 0
    if shard.tried is not None:
        facts, kept = folder.join_retried(number, shard.entries, parts, ended, shard.tried)
        for row in kept.values():
            say(f"Stays as it was scored before: {told(row).removesuffix('.')}.")
        ended = [row for row in ended if row["line"] not in kept]
        for row in ended:
            _leave_out(row, folder)
        left = len(shard.entries) - len(shard.tried - kept.keys())
    elif facts is None:
        facts = folder.join(number, shard.entries, parts, ended)
    folder.note_shard(number, shard.entries, facts, process, ended, left)
    files = facts.entries if shard.tried is None else len(shard.tried)
    return Finished(number, facts, process, loads, files, shard.slices)
