"""How time and memory grow: with the side of an image, the number of slices, of patients, and of processes.

    python benchmarks/scaling.py [--sides 32 64 128 256] [--slices 1000 10000 100000 1000000] [--patients 4 16 64]
                                 [--processes 1 2] [--detector mean-image] [--folder F] [--json FILE]

Made-up stores of noise and made-up scans; the detector is the cheapest there is, so that what is measured is the rest:
reading, batches, tables, maps.  --detector takes another.  Each stage runs in a process of its own, which reports its
processor seconds; memory is sampled over it and its children every 20 ms (Linux only), "own" without what is mapped.
A store of N slices is written in blocks and never held; N slices of --small pixels a side take 2 N side^2 bytes on
disk, their maps twice that.  Sizes that would not fit beside a reserve of 2 GB are left out, and that is said.
"""

import argparse
import json
import os
import resource
import shutil
import tempfile
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from anomae.phantoms.head import make_head
from anomae.slices.settings import PrepareSettings
from anomae.stages.fit import fit
from anomae.stages.prepare import prepare
from anomae.stages.score import score
from anomae.volumes.write import write_volume
from machine import show_machine
from memory import peak_memory_mb, write_store

FITTED_ON, RESERVE = 512, 2_000_000_000
HEAD = (12, 48, 48)  # z, y, x of the made-up scans


def spent(work: Any, *args: Any, **options: Any) -> dict[str, float]:
    """`peak_memory_mb`, and the processor seconds of the stage and its children."""
    ours, theirs = get_context("spawn").Pipe()
    found = peak_memory_mb(counted, work, theirs, args, options)
    return {**found, "cpu_s": float(ours.recv())}


def counted(work: Any, told: Connection, args: tuple[Any, ...], options: dict[str, Any]) -> None:
    """In the process of the stage: do it, and send the seconds that it and its children computed."""
    before = _seconds()
    work(*args, **options)
    told.send(_seconds() - before)


def _seconds() -> float:
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, kinds))


def measured_scoring(folder: Path, detector: str, train: int, test: int, side: int) -> dict[str, dict[str, float]]:
    """Fit on `train` made-up slices and score `test`; all that was written is removed again."""
    store, run = folder / "store", folder / "run"
    store.mkdir(parents=True)
    write_store(store, train, test, side)
    found = {
        "fit": spent(fit, store, run, detector=detector, recipe="small", overrides=_short(detector)),
        "score": spent(score, run),
    }
    shutil.rmtree(folder)
    return found


def _short(detector: str) -> dict[str, Any]:
    """A training of any length costs the same memory."""
    return {"pool": 128, "heads": 1, "head.training.steps": 10} if detector == "anomae" else {}


def measured_prepare(folder: Path, patients: int, processes: int) -> dict[str, float]:
    """Prepare as many made-up heads, each of one patient."""
    scans = folder / "scans" / "healthy"
    first = scans / "patient0000_t1.nii.gz"
    head = make_head(0, shape=HEAD, modality="t1", lesions=0, skull=False)
    write_volume(first, head.voxels, head.grid)
    for number in range(1, patients):  # reading a file costs the same whatever is in it
        os.link(first, first.with_name(f"patient{number:04d}_t1.nii.gz"))
    settings = PrepareSettings(image_size=(64, 64))
    found = spent(prepare, "folder", folder / "scans", folder / "store", settings=settings, workers=processes)
    shutil.rmtree(folder)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sides", type=int, nargs="*", default=(32, 64, 128, 256))
    parser.add_argument("--slices", type=int, nargs="*", default=(1_000, 10_000, 100_000, 1_000_000))
    parser.add_argument("--patients", type=int, nargs="*", default=(4, 16, 64))
    parser.add_argument("--processes", type=int, nargs="*", default=(1, 2), help="of prepare, for the most patients")
    parser.add_argument("--small", type=int, default=16, help="pixels a side where the number of slices grows")
    parser.add_argument("--detector", default="mean-image")
    parser.add_argument("--folder", type=Path, default=None, help="where the made-up files lie meanwhile")
    parser.add_argument("--json", type=Path, default=None, help="where all figures are to be written")
    arguments = parser.parse_args()
    told: list[dict[str, Any]] = []

    def line(what: str, count: int, stage: str, items: int, found: dict[str, float]) -> None:
        told.append({"what": what, "count": count, "stage": stage, "items": items, **found})
        each = 1000 * found["cpu_s"] / items
        print(
            f"{what:<12}{count:>9} {stage:<9}{found['cpu_s']:>9.1f}{found['seconds']:>9.1f}{each:>11.3f}"
            f"{found['all']:>9.0f}{found['own']:>9.0f}",
            flush=True,
        )
        if arguments.json:
            arguments.json.write_text(json.dumps(told, indent=1), encoding="utf-8")

    show_machine()
    print(f"detector {arguments.detector}")
    print(f"{'':<12}{'':>9} {'stage':<9}{'cpu s':>9}{'wall s':>9}{'ms each':>11}{'all MiB':>9}{'own MiB':>9}")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as made:
        folder = Path(made)
        for side in arguments.sides:
            found = measured_scoring(folder / "sides", arguments.detector, FITTED_ON, FITTED_ON, side)
            for stage in found:
                line("side", side, stage, FITTED_ON, found[stage])
        small = folder / "small"
        if arguments.slices:
            small.mkdir()
            write_store(small, FITTED_ON, 2, arguments.small)
            options = {"detector": arguments.detector, "recipe": "small", "overrides": _short(arguments.detector)}
            fit(small, folder / "run", **options)
        for count in arguments.slices:
            wanted = 6 * count * arguments.small**2 + RESERVE
            if wanted > (free := shutil.disk_usage(folder).free):
                print(f"slices {count}: left out, {wanted / 1e9:.0f} GB are wanted and {free / 1e9:.0f} are free")
                continue
            (folder / "slices").mkdir()
            write_store(folder / "slices", FITTED_ON, count, arguments.small)
            line("slices", count, "score", count, spent(score, folder / "run", store=folder / "slices"))
            shutil.rmtree(folder / "slices")
        for count in arguments.patients:
            line("patients", count, "prepare", count, measured_prepare(folder / "patients", count, 0))
        for count in arguments.processes if arguments.patients else ():
            most = max(arguments.patients)
            line("processes", count, "prepare", most, measured_prepare(folder / "processes", most, count))


if __name__ == "__main__":
    main()
