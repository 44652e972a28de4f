"""A store as it grows, case by case; stopped at any moment, it goes on to the same bytes."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from anomae.arrays import GrowingArray
from anomae.cohorts.case import HEALTHY, SPLITS, UNKNOWN, Case
from anomae.errors import UserError
from anomae.files import (
    append_json_line,
    keep_json_lines,
    read_json,
    read_json_lines_in_order,
    remove_unfinished,
    write_csv,
    write_json,
)
from anomae.locks import FolderLock, holds_anything
from anomae.progress import say
from anomae.slices.index import COLUMNS, SliceIndex, read_index
from anomae.slices.rows import CaseRows
from anomae.slices.settings import PrepareSettings
from anomae.slices.source_facts import SOURCES, first_changed
from anomae.slices.store import FORMAT, refuse_other_format
from anomae.volumes.series import folder_and_series

JOURNAL = "journal.jsonl"
FINISHED = "prepare.json"
_BLOCK = 4096  # rows


def begun_request(folder: Path) -> dict[str, Any] | None:
    """What a store in `folder`, finished or begun, was asked for; None where there is nothing yet.

    Raises UserError where `folder` holds something else, or a store of another version, or no folder can be of that
    name.
    """
    try:
        folder.exists()
    except OSError as error:
        raise UserError(f"{folder} can be no folder for a store ({error.strerror}); name another.") from error
    if (folder / FINISHED).exists():
        refuse_other_format(folder)
        finished: dict[str, Any] = read_json(folder / FINISHED).get("request", {})
        return finished
    lines, damaged = read_json_lines_in_order(folder / JOURNAL)
    if damaged == 1:
        raise UserError(f"The first line of {folder / JOURNAL} is damaged; remove {folder}, or name a new folder.")
    if _holds_rows(lines):
        begun: dict[str, Any] = lines[0].get("request", {})
        return begun
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; name a folder for the store.")
    if holds_anything(folder) and not (folder / JOURNAL).exists():
        raise UserError(f"{folder} is not empty and is not a store; name a new folder.")
    return None


def refuse_other_request(folder: Path, request: Mapping[str, Any]) -> None:
    """Raises UserError where `folder` holds a store that was asked for otherwise, or something else."""
    begun = begun_request(folder)
    if begun is None or _completed(begun) == _completed(request):
        return
    changed = [key for key in {**request, **begun} if begun.get(key) != request.get(key)]
    if changed == ["cases"]:
        raise UserError(f"The cases are others than when {folder} was begun; name a new folder, or remove this one.")
    raise UserError(
        f"{folder} was begun with other {', '.join(key for key in changed if key != 'cases')}; name a new folder, "
        "remove this one, or give the same again."
    )


class StoreWriter:
    """Appends the rows of one case after the other and vouches for each case in a journal.

    A case is journalled once its rows are written; rows that no line vouches for are cut off on going on.
    """

    def __init__(
        self,
        folder: Path,
        request: Mapping[str, Any],
        settings: PrepareSettings,
        cases: Sequence[Case] = (),
        read: Callable[[Case], CaseRows | str] | None = None,
    ) -> None:
        """Begin in `folder`, or go on there.

        request: what the store is made of and how, as JSON, with the number of "channels" of an image; without it they
        have one.  cases: those to be written, in order; where the files of one that is in have changed since, it and
        all behind it are prepared again, and that is said.  read: the rows of a case or why there are none; a case that
        was skipped is tried again by it, and where it has rows now, it and all behind it are prepared again.

        Raises UserError where `folder` holds a store that was asked for otherwise, or something else, or another
        process is writing there, or it cannot be written to.
        """
        refuse_other_request(folder, request)
        self.folder, self.request = folder, dict(request)
        self._lock = FolderLock(folder)
        try:
            self._continue(settings, cases, read)
        except BaseException:
            self._lock.release()
            raise

    def _continue(
        self, settings: PrepareSettings, cases: Sequence[Case], read: Callable[[Case], CaseRows | str] | None
    ) -> None:
        folder = self.folder
        remove_unfinished(folder, below=False)
        lines, damaged = read_json_lines_in_order(folder / JOURNAL)
        if damaged:
            # The rows of a case begin where those of the case before end, so nothing behind can be told apart.
            keep_json_lines(folder / JOURNAL, len(lines))
            say(f"Line {damaged} of {folder / JOURNAL} is damaged; the cases from there on are prepared again.")
        old = first_changed(lines[1:], cases)
        if old is not None:
            number, file = old
            say(
                f"{file} has changed since {folder} was begun; this scan and the {len(lines) - 2 - number} behind it "
                "are prepared again."
            )
            lines = lines[: number + 1]
            keep_json_lines(folder / JOURNAL, len(lines))
        mended = _first_mended(lines[1:], cases, read)
        if mended is not None:
            say(
                f"{cases[mended].source} was skipped and can be read now; this scan and the {len(lines) - 2 - mended} "
                "behind it are prepared again."
            )
            lines = lines[: mended + 1]
            keep_json_lines(folder / JOURNAL, len(lines))
        if not _holds_rows(lines):
            # nothing is lost by beginning anew, and what was skipped may be readable by now
            (folder / JOURNAL).unlink(missing_ok=True)
            lines = [{"request": self.request}]
            append_json_line(folder / JOURNAL, lines[0])
        self.lines = lines[1:]
        height, width = settings.image_size
        rows = sum(line["rows"] for line in self.lines)
        shape = (int(self.request.get("channels", 1)), height, width)
        self._images = GrowingArray(folder / "slices.npy", shape, settings.stored_as, rows)
        self._lesion_shape = (height, (width + 7) // 8)
        self._bodies: GrowingArray | None = None
        if settings.preparation != "plain":
            self._bodies = GrowingArray(folder / "bodies.npy", self._lesion_shape, np.uint8, rows)
        # Files that only some cases have something for: the others have zeros there.
        self._masks: dict[str, GrowingArray] = {
            name: GrowingArray(folder / f"{name}.npy", self._lesion_shape, np.uint8, rows)
            for name in ("lesions", "ignored")
            if any(line.get(name) for line in self.lines)
        }
        for name in {"lesions", "ignored"} - set(self._masks):
            (folder / f"{name}.npy").unlink(missing_ok=True)  # of cases that are in no longer

    @property
    def done(self) -> int:
        """How many cases are in, or were skipped."""
        return len(self.lines)

    @property
    def skipped(self) -> list[dict[str, str]]:
        """The cases that were skipped, and why."""
        return [{"case": line["case"], "reason": line["skipped"]} for line in self.lines if "skipped" in line]

    @property
    def dropped(self) -> dict[str, int]:
        """Why slices of cases that were read are not in the store -> how many."""
        counted: Counter[str] = Counter()
        for line in self.lines:
            counted.update(line.get("dropped", {}))
        return dict(sorted(counted.items()))

    @property
    def abnormal_patients(self) -> set[str]:
        """Patients of whom any slice is abnormal, be it in the store or dropped."""
        return {patient for line in self.lines for patient in line.get("abnormal_patients", ())}

    @property
    def brain_masks(self) -> dict[str, int]:
        """How brains were found ("given", "nonzero", "extracted") -> in how many cases."""
        return dict(sorted(Counter(line["brain_mask"] for line in self.lines if line.get("brain_mask")).items()))

    def append(self, case: Case, rows: CaseRows) -> None:
        """Write the rows of one case."""
        before = self._images.rows
        self._images.append(rows.images)
        for name, packed in (("lesions", rows.lesions), ("ignored", rows.ignored)):
            if packed is not None and name not in self._masks:
                self._masks[name] = GrowingArray(self.folder / f"{name}.npy", self._lesion_shape, np.uint8)
                self._append_zeros(self._masks[name], before)
            if packed is not None:
                self._masks[name].append(packed)
            elif name in self._masks:
                self._append_zeros(self._masks[name], len(rows.images))
        if rows.bodies is not None and self._bodies is not None:
            self._bodies.append(rows.bodies)
        self._journal(case, rows.entry)

    def skip(self, case: Case, reason: str) -> None:
        """Note that a case could not be read, and why."""
        self._journal(case, {"rows": 0, "skipped": reason})

    def close(self) -> None:
        """Stop, for now or because all is written; the same request goes on from here."""
        try:
            for array in (self._images, *self._masks.values(), self._bodies):
                if array is not None:
                    array.close()
        finally:
            self._lock.release()

    def write_index(self) -> SliceIndex:
        """Write index.csv and cases.json of what is in; returns the index."""
        write_csv(self.folder / "index.csv", COLUMNS, self._index_lines())
        kept = ("source", "grid", "spacing_mm", "notes", "modality", "body_part", "sequence")
        read = [line for line in self.lines if "skipped" not in line]
        cases = {line["case"]: {key: line[key] for key in kept if key in line} for line in read}
        write_json(self.folder / "cases.json", cases)
        return read_index(self.folder / "index.csv")

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Write prepare.json with `facts`, what was skipped and dropped, and a fingerprint: the store is whole then."""
        self.close()
        fingerprint = hashlib.blake2b((self.folder / "index.csv").read_bytes(), digest_size=16)
        for line in self.lines:
            fingerprint.update(line.get("digest", "").encode())
        content = {
            "format": FORMAT,
            "fingerprint": fingerprint.hexdigest(),
            **facts,
            **({"brain_masks": self.brain_masks} if self.brain_masks else {}),
            "dropped": self.dropped,
            "skipped": self.skipped,
            "request": self.request,
        }
        sources = {line["case"]: line["files"] for line in self.lines if line.get("files")}
        if sources:
            write_json(self.folder / SOURCES, sources)
        write_json(self.folder / FINISHED, content)
        clear_journal(self.folder)

    def _append_zeros(self, array: GrowingArray, count: int) -> None:
        for start in range(0, count, _BLOCK):
            array.append(np.zeros((min(_BLOCK, count - start), *self._lesion_shape), dtype=np.uint8))

    def _journal(self, case: Case, facts: Mapping[str, Any]) -> None:
        source = case.source.absolute() if folder_and_series(case.source)[0].exists() else case.source
        line = {"case": case.case, "site": case.site, "source": str(source), **facts}
        append_json_line(self.folder / JOURNAL, line)
        self.lines.append(line)

    def _index_lines(self) -> Iterator[list[Any]]:
        row = 0
        for line in self.lines:
            columns = line.get("columns", {})
            for index in range(line["rows"]):
                one = {name: column[index] if isinstance(column, list) else column for name, column in columns.items()}
                if "lesions" in self._masks and one["label"] == HEALTHY and one["lesion_fraction"] is None:
                    one["lesion_fraction"] = 0.0  # called healthy as a whole: its mask is known to be empty
                one |= {"row": row, "case": line["case"], "site": line["site"], "split": SPLITS[one["split"]]}
                one["label"] = None if one["label"] == UNKNOWN else one["label"]
                yield ["" if one.get(name) is None else one[name] for name in COLUMNS]
                row += 1


def _completed(request: Mapping[str, Any]) -> dict[str, Any]:
    """The request with those settings, at their defaults, that were not there when it was written down."""
    defaults = PrepareSettings(intensity="none").model_dump(mode="json")
    settings = request.get("settings")
    return {**request, "settings": {**defaults, **settings} if isinstance(settings, Mapping) else settings}


def _first_mended(
    lines: Sequence[Mapping[str, Any]], cases: Sequence[Case], read: Callable[[Case], CaseRows | str] | None
) -> int | None:
    """The first case that was skipped and has rows now; None where there is none.  Nothing is read if none has rows."""
    if read is None or not _holds_rows(lines):
        return None
    skipped = (number for number, (line, _) in enumerate(zip(lines, cases, strict=False)) if "skipped" in line)
    return next((number for number in skipped if not isinstance(read(cases[number]), str)), None)


def _holds_rows(lines: Sequence[Mapping[str, Any]]) -> bool:
    return any(line.get("rows") for line in lines)


def clear_journal(folder: Path) -> None:
    """Remove the journal of a finished store, which a crash at the very end may have left."""
    if (folder / FINISHED).exists():
        (folder / JOURNAL).unlink(missing_ok=True)
