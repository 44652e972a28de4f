"""One shard scored: N entries of the manifest in, a folder with Parquet tables and maps out, whole or not at all.

A pure function of the entries, the model and what is asked: it keeps nothing between calls, prints nothing, and which
process or machine calls it changes no number.
"""

import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from anomae.archive.manifest import Entry, digest_of
from anomae.archive.parquet import write_parquet
from anomae.archive.reading import Fetched, Listings, fetched
from anomae.archive.tables import PASSED_OVER, TABLES, UNREADABLE, Named, Row, failed_row, rows_of
from anomae.cohorts.channel_slices import read_colour_slices
from anomae.cohorts.patient_names import patient_of_scan
from anomae.cohorts.scan_slices import scan_slices
from anomae.cohorts.scans_below import refuse_unlike_copy
from anomae.errors import MissingExtra, NotWritten, UserError
from anomae.files import read_json, write_json
from anomae.inference.decision import Rules
from anomae.inference.inspect import Model, inspect_slices
from anomae.inference.study import Study
from anomae.runs.scoring_folder import plain_name
from anomae.runs.scoring_outputs import write_map
from anomae.volumes.read import read_volume
from anomae.volumes.volume import Grid

FACTS = "shard.json"
_OLD = ".old-"
Maps = Literal["all", "flagged", "none"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of every shard alike.

    bounds, threshold, smoothed, force: see `anomae.inference.inspect.inspect_volume`.  maps: of which scans they are
    written.  colour: whether the model learned from pictures in colour.
    """

    bounds: tuple[float, float]
    threshold: float | None
    smoothed: bool
    force: bool
    maps: Maps
    colour: bool


@dataclass(frozen=True, slots=True)
class ShardFacts:
    """What shard.json says: the entries by their digest, how many scans, slices and failures, seconds and bytes."""

    digest: str
    entries: int
    scans: int
    slices: int
    flagged: int
    failed: int
    seconds: float
    map_bytes: int


def score_shard(
    entries: tuple[Entry, ...],
    target: Path,
    model: Model,
    rules: Rules,
    asked: Asked,
    begins: Callable[[Entry], None] = lambda entry: None,
) -> ShardFacts:
    """Score the scans of `entries` and write `target`, under a temporary name that is renamed at the end.

    rules: of the model under what is asked.  begins: told of each entry before it is read.

    One scan at a time is in memory, beside the rows of the tables.  An entry
    that cannot be had or read is listed in the table `failed`.  Raises UserError for what is no entry's fault: a
    package that is missing, a disk that is full.
    """
    began = time.monotonic()
    rows: dict[str, list[Row]] = {name: [] for name in TABLES}
    listings = Listings()
    with folder_whole(target) as folder:
        for entry in entries:
            begins(entry)
            for named, found in _inspected(entry, model, rules, asked, rows["failed"], listings):
                map_path, notes = _write_map(folder, named.name, found, asked)
                for table, own in rows_of(named, found, map_path, notes).items():
                    rows[table].extend(own)
        for table, columns in TABLES.items():
            write_parquet(folder / f"{table}.parquet", columns, rows[table])
        facts = ShardFacts(
            digest=digest_of(entries),
            entries=len(entries),
            scans=len(rows["scans"]),
            slices=len(rows["slices"]),
            flagged=sum(scan["flag"] is True for scan in rows["scans"]),
            failed=sum(row["kind"] != PASSED_OVER for row in rows["failed"]),
            seconds=round(time.monotonic() - began, 3),
            map_bytes=map_bytes_in(folder),
        )
        write_json(folder / FACTS, asdict(facts))
    return facts


def _inspected(
    entry: Entry, model: Model, rules: Rules, asked: Asked, failed: list[Row], listings: Listings
) -> Iterator[tuple[Named, Study]]:
    """The scans of an entry, each inspected; what cannot be is added to `failed`."""
    brains = model.settings.preparation == "brain" and model.settings.brain_mask in ("auto", "given")
    try:
        with fetched(entry.file, listings, brains) as found:
            failed += [
                failed_row(entry.line, entry.file, entry.patient, PASSED_OVER, found.told(sentence))
                for sentence in found.passed_over
            ]
            for number, scan in enumerate(found.scans):
                file = found.name_of(scan)
                try:
                    named, study = _inspect(entry, found, number, scan, model, rules, asked)
                except (MissingExtra, NotWritten):
                    raise
                except (UserError, OSError, MemoryError) as error:
                    reason = found.told(str(error)) or type(error).__name__
                    failed.append(failed_row(entry.line, file, entry.patient, UNREADABLE, reason))
                else:
                    yield named, study
    except (MissingExtra, NotWritten):
        raise  # of no entry alone
    except UserError as error:
        failed.append(failed_row(entry.line, entry.file, entry.patient, UNREADABLE, str(error)))


def _inspect(
    entry: Entry, found: Fetched, number: int, scan: Path, model: Model, rules: Rules, asked: Asked
) -> tuple[Named, Study]:
    refuse_unlike_copy(scan, found.root)
    volume = None if asked.colour else read_volume(scan)
    case = read_colour_slices(scan) if volume is None else scan_slices(volume)
    file = found.name_of(scan)
    name = f"{entry.line:08d}-{number}_{plain_name(Path(file))}"
    # A file that names nobody is a patient of its own.
    header = "" if volume is None else volume.patient
    patient = entry.patient or patient_of_scan(Path(file), header) or name
    study = inspect_slices(case, model, rules, name=name, patient=patient, force=asked.force)
    notes = (*study.result.notes, *([found.doubt] if found.doubt else []))
    return Named(entry.line, file, name, patient), replace(
        study, volume=volume, result=replace(study.result, notes=notes)
    )


def _write_map(folder: Path, name: str, study: Study, asked: Asked) -> tuple[str | None, tuple[str, ...]]:
    """Path of the map below the shard, None where none is written; and what is to be said of the scan."""
    result, decision = study.result, study.decision
    flagged = decision.scan_flag is True or (decision.flags is not None and bool(decision.flags.any()))
    if result.map is None or asked.maps == "none" or (asked.maps == "flagged" and not flagged):
        return None, result.notes
    case, (z, y, x) = result.case, result.map.shape
    flat = case.grid is None and z == 1
    path = Path("maps") / f"{name}.{'tiff' if flat else 'nii.gz'}"
    said = write_map(folder / path, result.map, None if flat else case.grid or Grid((z, y, x)), case.placement)
    return path.as_posix(), (*result.notes, *said)


def map_bytes_in(folder: Path) -> int:
    """Of all maps of a shard; one of a sheared scan is in two files."""
    return sum(path.stat().st_size for path in (folder / "maps").glob("*"))


@contextmanager
def folder_whole(target: Path) -> Iterator[Path]:
    """A temporary folder beside `target`; put in its stead if the block ends well, else removed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".part-{secrets.token_hex(8)}")
    temporary.mkdir()
    try:
        yield temporary
        put_in_its_stead(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def put_in_its_stead(folder: Path, target: Path) -> None:
    """Rename `folder` to `target`; what was there before goes at once, so that a stop leaves no half of it.

    A stop between the two renames leaves it as `.old-` and its name, for `bring_back`.
    """
    before = target.with_name(f"{_OLD}{target.name}")
    if not target.exists():
        folder.replace(target)
        return
    if before.exists():
        remove_whole(before)  # of a worker that was ended before it came to that
    target.replace(before)
    try:
        folder.replace(target)
    except OSError:
        before.replace(target)
        raise
    remove_whole(before)


def bring_back(shards: Path) -> None:
    """Give a shard its name back that a stop left between the two renames of `put_in_its_stead`."""
    for before in shards.glob(f"{_OLD}*"):
        target = before.with_name(before.name.removeprefix(_OLD))
        if target.exists():
            remove_whole(before)
        else:
            before.replace(target)


def remove_whole(folder: Path) -> None:
    """Remove a shard; what a stop leaves of it is none."""
    aside = folder.with_name(f".part-{secrets.token_hex(8)}")
    folder.replace(aside)
    shutil.rmtree(aside, ignore_errors=True)


def facts_in(folder: Path) -> dict[str, Any] | None:
    """What shard.json of a shard says; None where the shard is not there or not whole, all tables of it."""
    try:
        facts = read_json(folder / FACTS)
    except UserError:
        return None
    return facts if all((folder / f"{table}.parquet").exists() for table in TABLES) else None
