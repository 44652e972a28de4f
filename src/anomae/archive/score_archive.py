"""A whole archive scored: manifest in, shards out, by the workers of an engine; goes on where it was stopped."""

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import anomae
from anomae.archive.dispatch import Finished, Shard, scored_shards
from anomae.archive.engines.engine import checked, opened
from anomae.archive.folder import SUMMARY, ArchiveFolder
from anomae.archive.manifest import Manifest, in_shards, is_url
from anomae.archive.score_shard import Asked, Maps
from anomae.archive.summary import write_summary
from anomae.archive.worker import Job
from anomae.errors import UserError
from anomae.extras import require
from anomae.files import write_json
from anomae.inference.decision import rules_of
from anomae.inference.fitted import advice_for_thresholds, fitted_folder, learned_in_colour, prepared_facts
from anomae.inference.reference import reference_from
from anomae.locks import locked
from anomae.progress import progress
from anomae.runs.healthy_file import read_healthy_scores
from anomae.runs.model_fingerprint import fingerprint
from anomae.statistics.operating_point import PATIENT_BOUND, SLICE_BOUND
from anomae.training.settings import DeviceSettings
from anomae.workers import usable_cores

FILES_A_SHARD = 64


def score_archive(
    manifest: Path | str,
    out: Path | str,
    *,
    run: Path | str,
    engine: str = "local",
    workers: int | None = None,
    threads: int | None = None,
    address: str | None = None,
    shard: int = FILES_A_SHARD,
    maps: Maps = "all",
    bounds: tuple[float, float] = (SLICE_BOUND, PATIENT_BOUND),
    threshold: float | None = None,
    smoothed: bool = False,
    force: bool = False,
    retry: bool = False,
    device: DeviceSettings | None = None,
) -> Path:
    """Score everything that a manifest lists; returns `out`, whose files anomae.archive.folder lists.

    manifest: see anomae.archive.manifest.  run: a run, a copy of its fitted folder alone, or an exported model, at the
    same path for all workers, as is `out`.  engine: local, dask or ray.  workers: processes (None: one a core; of a
    Dask cluster at `address` all that it has).  threads: of each (None: the cores of this machine shared out; 1 on a
    cluster).  shard: how many lines of the manifest are scored and written at a time.  maps: of which scans they are
    written: all, flagged or none.  bounds, threshold, smoothed, force, device: as `anomae.score_scans` takes them.
    retry: also try again what a shard that is there lists as failed; the rest of it stays.

    A shard that is there is not scored again, as long as the same lines of the manifest lead to it; a file that is
    changed keeps its old scores.  A file that cannot be read, or that ends its worker, is listed, and the rest goes on.
    Raises UserError where the manifest or the run is not usable, `out` holds other things or shards of another model or
    request, another process is writing it, or nothing at all could be scored.
    """
    require("pyarrow", "cluster")
    checked(engine, address)
    began = time.monotonic()
    fitted, target = fitted_folder(Path(run)), Path(out)
    listed = Manifest(str(manifest) if is_url(str(manifest)) else str(Path(manifest).absolute()))
    total = listed.count()
    shards = -(-total // shard)
    workers = min(workers or usable_cores(), max(shards, 1))
    threads = threads or (max(1, usable_cores() // workers) if address is None else 1)
    advice = advice_for_thresholds(fitted)
    rules = rules_of(read_healthy_scores(fitted), bounds=bounds, threshold=threshold, smoothed=smoothed, advice=advice)
    reference = reference_from(fitted)
    asked = Asked(bounds, threshold, smoothed, force, maps, learned_in_colour(prepared_facts(fitted)))
    job = Job(str(fitted.absolute()), fingerprint(fitted), asked, device, threads)
    agreed = {
        "model": job.fingerprint,
        **asdict(asked),
        "bounds": list(bounds),
        "shard": shard,
        "device": None if device is None else device.model_dump(mode="json", include={"accelerator", "precision"}),
        "thresholds": [rule.threshold for rule in (rules.slice, rules.scan, rules.finding)],
        "reference": "" if reference is None else reference.digest,
    }
    with locked(target):
        folder = ArchiveFolder(target.absolute(), agreed)
        (target / SUMMARY).unlink(missing_ok=True)
        done = _Done(listed, shard, folder, retry)
        workers_seen: dict[str, int] = {}
        scored = {"files": 0, "slices": 0}
        earlier = sum(len(entries) for _, entries in done.there())
        with progress("score", total, "files", earlier) as bar:
            if earlier < total:
                with opened(engine, job, workers, address) as workers_open:
                    for finished in scored_shards(done.missing(), workers_open, folder, retry):
                        _count(finished, scored, workers_seen)
                        bar.advance(finished.facts.entries, f"{scored['slices']} slices")
        folder.clean()
        folder.drop_beyond(shards)
        facts = write_summary(folder, shards, rules, forced=force)
        seconds = time.monotonic() - began
        here = {
            "engine": engine,
            "workers": workers,
            "threads": threads,
            "seconds": round(seconds, 3),
            "files": scored["files"],
            "slices": scored["slices"],
            "slices_per_s": round(scored["slices"] / max(seconds, 1e-9), 2),
            "processes": len(workers_seen),
            "models_loaded": sum(workers_seen.values()),
        }
        write_json(
            target / SUMMARY,
            {
                "version": anomae.__version__,
                "manifest": listed.location,
                **facts,
                "computed_on": folder.computed_on,
                "notes": folder.notes(),
                "asked": agreed,
                "this_command": here,
            },
        )
    if not facts["scans"]:
        raise UserError(f"Not one of {total} file(s) could be scored; the first: {facts['first_failure']}")
    return target


def _count(finished: Finished, scored: dict[str, int], workers_seen: dict[str, int]) -> None:
    scored["files"] += finished.files
    scored["slices"] += finished.slices
    if finished.process:
        workers_seen[finished.process] = max(finished.loads, workers_seen.get(finished.process, 0))


class _Done:
    """Which shards of a manifest are there: looked up twice, so that no list of them is kept."""

    def __init__(self, manifest: Manifest, size: int, folder: ArchiveFolder, retry: bool) -> None:
        self._manifest, self._size, self._folder, self._retry = manifest, size, folder, retry

    def there(self) -> Iterator[Shard]:
        yield from self._looked_up(True)

    def missing(self) -> Iterator[Shard]:
        yield from self._looked_up(False)

    def _looked_up(self, wanted: bool) -> Iterator[Any]:
        for number, entries in enumerate(in_shards(self._manifest.entries(), self._size)):
            if self._folder.done(number, entries, self._retry) is wanted:
                yield number, entries
