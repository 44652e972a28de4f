"""The folder that an archive is scored into: which shards are there, what their pieces join to, and its journal.

OUT/
  shards/<number>/slices.parquet     a row a slice: file, patient, slice, score, flag ...
  shards/<number>/scans.parquet      a row a scan; findings.parquet: a row a finding
  shards/<number>/failed.parquet     what could not be read, ended its worker, or was passed over, and why
  shards/<number>/maps/              maps, each in its scan's own grid
  shards/<number>/shard.json         counts, and the digest of the lines of the manifest that it is of
  patients.parquet, failed.csv       of all shards; written at the end
  archive.json                       counts and rules; written last: its presence means "complete"
  journal.jsonl                      the model and what was asked; what scores are computed on; a line a shard, with
                                     how many lines of it were kept by --retry and what of it no more ends its worker,
                                     and one for each file that did
  parts/                             pieces of a shard whose worker was ended, until they are joined
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import asdict
from operator import itemgetter
from pathlib import Path
from typing import Any

from anomae.archive.manifest import Entry, digest_of
from anomae.archive.parquet import join_parquet, parquet_rows, write_parquet
from anomae.archive.retried import failed_lines, write_over
from anomae.archive.score_shard import FACTS, ShardFacts, bring_back, facts_in, folder_whole, remove_whole
from anomae.archive.tables import FAILED, TABLES, Row
from anomae.errors import UserError
from anomae.files import append_json_line, is_unfinished, read_json_lines, write_json, written_whole
from anomae.locks import LOCK

FORMAT = "anomae archive 1"
UNSAID = {"smoothed": False}  # what archives of earlier versions agree on without a word
SUMMARY = "archive.json"


class ArchiveFolder:
    """OUT of `anomae score-archive MANIFEST OUT`; whoever opens it holds its lock.

    computed_on: kind of device and precision of all scores in it, "" where that is still open.  doubts: what the model
    lacks, a sentence each.  unsaid: shards of which it is not known, as an earlier version wrote them.
    """

    def __init__(self, folder: Path, asked: Mapping[str, Any]) -> None:
        """Open `folder`, making it where it is absent, and put right what a stopped command left half done.

        asked: what all shards have to agree on, name -> value; kept in the journal.  Raises UserError where the folder
        holds something else, or shards that differ in any of it; without a shard what was asked before binds nobody.
        `device` binds only where it is not known what they are computed on.
        """
        self.folder, self.journal = folder, folder / "journal.jsonl"
        lines = read_json_lines(self.journal)
        left = [path.name for path in folder.iterdir() if not is_unfinished(path)] if folder.exists() else []
        if (lines and lines[0].get("format") != FORMAT) or ({*left} - {LOCK, self.journal.name} and not lines):
            raise UserError(f"{folder} holds something else than a scored archive; name another folder.")
        self.clean()  # before anything asks which shards are there
        self.computed_on, self.doubts, self.unsaid = self._agreed(lines)
        told = {name: value for name, value in asked.items() if name != "device" or not self.computed_on}
        differing = [name for name, value in told.items() if lines and lines[0].get(name, UNSAID.get(name)) != value]
        if differing and self._numbers():
            raise UserError(
                f"{folder} holds shards that differ in: {', '.join(differing)}; give the same as before, or name "
                "another folder."
            )
        if differing or not lines:
            lines = []  # what ended its worker before is tried again
            with written_whole(self.journal) as begun:
                append_json_line(begun, {"format": FORMAT, **asked})
        self._ended: dict[tuple[int, str], Row] = {}
        for line in lines[1:]:
            if "ended" in line:
                self._ended[line["line"], line["ended"]] = line
            self._forget(line.get("read_since", ()))

    def _agreed(self, lines: Sequence[Mapping[str, Any]]) -> tuple[str, tuple[str, ...], set[int]]:
        """What the shards are computed on, "" where none is there or it is not known of any; the doubts; `unsaid`."""
        there = self._numbers()
        said = [index for index, line in enumerate(lines) if "computed_on" in line]
        if not said or not there:
            return "", (), there
        before, since, agreed = lines[1 : said[0]], lines[said[0] :], lines[said[-1]]
        earlier = {line["shard"] for line in before if "shard" in line}
        anew = {line["shard"] for line in since if "shard" in line and not line.get("kept")}
        return str(agreed["computed_on"]), tuple(agreed["doubts"]), there & earlier - anew

    def _numbers(self) -> set[int]:
        return {int(path.name) for path in (self.folder / "shards").glob("[0-9]*")}

    def agree(self, computed_on: str, doubts: Sequence[str]) -> None:
        """Enter what all shards are computed on from now on, and what the model lacks, a sentence each."""
        if (computed_on, tuple(doubts)) != (self.computed_on, self.doubts):
            append_json_line(self.journal, {"computed_on": computed_on, "doubts": list(doubts)})
        self.computed_on, self.doubts = computed_on, tuple(doubts)

    def notes(self) -> list[str]:
        """The doubts, and which shards are there of which it is not known what they are computed on."""
        there = [f"shards/{path.name}" for number in sorted(self.unsaid) if (path := self.shard(number)).exists()]
        earlier = (
            f"{len(there)} shard(s) were scored by an earlier version, which did not note on what; remove them "
            f"({', '.join(there[:3])}{' and so on' if there[3:] else ''}) and give the command again to have all of "
            "one kind."
        )
        return [*self.doubts, *([earlier] if there else [])]

    def clean(self) -> None:
        """Remove what workers that were ended left half done, and bring back what they had set aside.

        None may be at work.
        """
        shutil.rmtree(self.folder / "parts", ignore_errors=True)
        bring_back(self.folder / "shards")
        for left in (self.folder / "shards").glob(".part-*"):
            shutil.rmtree(left, ignore_errors=True)
        for left in (self.folder / "shards").glob(".at-*"):
            left.unlink()

    def shard(self, number: int) -> Path:
        """Where a shard lies."""
        return self.folder / "shards" / f"{number:08d}"

    def part(self, number: int, entries: Sequence[Entry]) -> Path:
        """Where a piece of a shard lies until all are there."""
        return self.folder / "parts" / f"{number:08d}-{entries[0].line:08d}-{entries[-1].line:08d}"

    def done(self, number: int, entries: Sequence[Entry], retry: bool) -> bool:
        """Whether a shard is there, of these lines.  retry: and nothing in it failed."""
        facts = facts_in(self.shard(number))
        return facts is not None and facts.get("digest") == digest_of(entries) and not (retry and facts.get("failed"))

    def to_retry(self, number: int, entries: Sequence[Entry]) -> frozenset[int] | None:
        """The lines that failed of a shard that is there, of these lines; None where there is none such."""
        return failed_lines(self.shard(number)) if self.done(number, entries, retry=False) else None

    def ended(self, entries: Sequence[Entry]) -> dict[int, Row]:
        """Those of `entries` that are known to end their worker: line -> the row of the table `failed`."""
        known = {entry.line: self._ended.get((entry.line, entry.file)) for entry in entries}
        return {line: {name: row[name] for name in FAILED} for line, row in known.items() if row is not None}

    def note_shard(
        self, number: int, entries: Sequence[Entry], facts: ShardFacts, process: str, ended: Sequence[Row], kept: int
    ) -> None:
        """Enter a shard that is there.

        ended: of its `entries` those that ended their worker, now or before.  kept: how many have still what an earlier
        command made of them.
        """
        still = {row["line"] for row in ended}
        since = [
            [entry.line, entry.file]
            for entry in entries
            if (entry.line, entry.file) in self._ended and entry.line not in still
        ]
        said: dict[str, Any] = {"read_since": since} if since else {}
        if kept:
            said["kept"] = kept
        else:
            self.unsaid.discard(number)
        append_json_line(self.journal, {"shard": number, "process": process, **asdict(facts), **said})
        self._forget(since)

    def note_ended(self, row: Row) -> None:
        """Enter a file that ended its worker, so that a command that is given again does not try it."""
        append_json_line(self.journal, {"ended": row["file"], **row})
        self._ended[row["line"], row["file"]] = row

    def _forget(self, read_since: Iterable[Sequence[Any]]) -> None:
        for line, file in read_since:
            self._ended.pop((line, file), None)

    def join(self, number: int, entries: Sequence[Entry], parts: Sequence[Path], ended: Sequence[Row]) -> ShardFacts:
        """Make one shard of its parts, in the order of the manifest, and the rows of files that ended their worker."""
        facts = _facts_of(parts)
        with folder_whole(self.shard(number)) as folder:
            for table, columns in TABLES.items():
                files = [part / f"{table}.parquet" for part in parts]
                if table != "failed":
                    join_parquet(folder / f"{table}.parquet", columns, files)
                    continue
                failed = [row for file in files for row in parquet_rows(file, list(columns))]
                write_parquet(
                    folder / "failed.parquet", columns, sorted([*failed, *ended], key=lambda row: row["line"])
                )
            for part in parts:
                if (part / "maps").exists():
                    (folder / "maps").mkdir(exist_ok=True)
                    for path in (part / "maps").iterdir():
                        path.replace(folder / "maps" / path.name)
            sums = {name: sum(each[name] for each in facts) for name in _SUMMED}
            sums["failed"] += len(ended)
            whole = ShardFacts(digest=digest_of(entries), entries=len(entries), **sums)
            write_json(folder / FACTS, asdict(whole))
        for part in parts:
            shutil.rmtree(part)
        return whole

    def join_retried(
        self, number: int, entries: Sequence[Entry], parts: Sequence[Path], ended: Sequence[Row], tried: Set[int]
    ) -> tuple[ShardFacts, dict[int, Row]]:
        """Put the lines `tried` of a shard that is there in place of what it has of them, but where that is more.

        Returns the lines that keep what they had too, each with a row of what failed now.
        """
        shard = self.shard(number)
        seconds = sum(facts["seconds"] for facts in _facts_of([shard, *parts]))
        ended = sorted(ended, key=itemgetter("line"))
        with folder_whole(shard) as folder:
            counts, kept = write_over(folder, shard, parts, ended, tried)
            whole = ShardFacts(digest_of(entries), len(entries), seconds=round(seconds, 3), **counts)
            write_json(folder / FACTS, asdict(whole))
        for part in parts:
            shutil.rmtree(part)
        return whole, kept

    def rows(self, table: str, columns: Sequence[str], shards: int) -> Iterator[dict[str, Any]]:
        """The rows of one table of the first `shards` shards, in order."""
        for number in range(shards):
            yield from parquet_rows(self.shard(number) / f"{table}.parquet", columns)

    def drop_beyond(self, shards: int) -> None:
        """Remove shards of lines that the manifest has no more."""
        for path in sorted((self.folder / "shards").glob("[0-9]*")):
            if int(path.name) >= shards:
                remove_whole(path)


def _facts_of(parts: Sequence[Path]) -> list[dict[str, Any]]:
    facts = [found for part in parts if (found := facts_in(part)) is not None]
    assert len(facts) == len(parts)
    return facts


_SUMMED = ("scans", "slices", "flagged", "failed", "seconds", "map_bytes")
