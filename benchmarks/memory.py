"""Peak memory of prepare, fit and score on made-up scans; scoring ten times as many slices is to take no more.

    python benchmarks/memory.py [--scans 24] [--slices 2000 20000] [--side 32] [--workers N] [--folder F]

`--scans 369` is the size of BraTS 2020.  Each stage runs in a process of its own; its memory and that of its children
is summed every 20 ms (Linux only).  "own" is what the system cannot take back: without the files that are mapped
(libraries, the store).  Ends with status 1 where the own memory of scoring grows by over 10 %.
"""

import argparse
import csv
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from anomae.arrays import GrowingArray
from anomae.slices.index import COLUMNS
from anomae.slices.settings import PrepareSettings
from anomae.slices.store import FORMAT
from anomae.stages.fit import fit
from anomae.stages.prepare import prepare
from anomae.stages.score import score
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_volume

SCAN_SHAPE = (155, 240, 240)  # z, y, x: a BraTS scan
FEW_STEPS = {
    "autoencoder.size": "nano",
    "classifier.size": "nano",
    "autoencoder.patch": 8,
    "classifier.patch": 8,
    "autoencoder.training.steps": 30,
    "classifier.training.steps": 30,
    "device.accelerator": "cpu",
}
# The index, about half a kB a slice, is held; the images, maps and reconstructions, from 8 kB a slice, are not to be.
ALLOWED_GROWTH = 1.10


def write_scans(folder: Path, count: int) -> None:
    """One noisy ball, under as many names as scans are wanted; reading a file costs the same whatever is in it."""
    rng = np.random.default_rng(0)
    coordinates = np.meshgrid(*(np.linspace(-1, 1, side, dtype=np.float32) for side in SCAN_SHAPE), indexing="ij")
    inside = sum(axis**2 for axis in coordinates) < 0.7
    voxels = np.where(inside, rng.integers(300, 900, SCAN_SHAPE), 0).astype(np.int16)
    first = folder / "healthy" / "scan-0000.nii.gz"
    first.parent.mkdir(parents=True)
    write_volume(first, voxels, Grid(SCAN_SHAPE))
    for number in range(1, count):
        os.link(first, first.with_name(f"scan-{number:04d}.nii.gz"))


def write_store(folder: Path, train: int, test: int, side: int) -> None:
    """A store of noise, as `prepare` would leave it.  All have one fingerprint, so that one fit may score each."""
    rng, total = np.random.default_rng(0), train + test
    images = GrowingArray(folder / "slices.npy", (1, side, side), np.float16)
    for start in range(0, total, 1000):
        images.append(rng.random((min(1000, total - start), 1, side, side), dtype=np.float32))
    images.close()
    with (folder / "index.csv").open("w", newline="", encoding="utf-8") as handle:
        lines = csv.DictWriter(handle, COLUMNS, restval="")  # what is not named is not known
        lines.writeheader()
        for row in range(total):
            split, scan, at = "train" if row < train else "test", f"scan-{row // 155:05d}", row % 155
            known = {"row": row, "case": scan, "patient": scan, "slice": at, "position_mm": float(at), "split": split}
            label = row % 2 if split == "test" else 0
            lines.writerow({**known, "label": label, "empty": 0, "body_fraction": 0.5, "filled": 0.5})
    settings = PrepareSettings(image_size=(side, side)).model_dump(mode="json")
    facts = {"format": FORMAT, "cohort": "folder", "settings": settings, "modality": None, "fingerprint": "made up"}
    (folder / "prepare.json").write_text(json.dumps(facts), encoding="utf-8")


def peak_memory_mb(work: Callable[..., Any], *args: Any, **options: Any) -> dict[str, float]:
    """Run `work` in a fresh process; the highest sums over it and its children, and the seconds it took."""
    began = time.monotonic()
    child = multiprocessing.get_context("spawn").Process(target=_silently, args=(work, args, options))
    child.start()
    peak: dict[str, float] = defaultdict(float)
    while child.is_alive():
        now = memory_mb(child.pid or 0)
        peak = defaultdict(float, {kind: max(peak[kind], now[kind]) for kind in now})
        child.join(0.02)
    if child.exitcode:
        raise SystemExit(f"{work.__name__} ended with status {child.exitcode}")
    return {"all": peak["all"], "own": peak["own"], "seconds": time.monotonic() - began}


def _silently(work: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> None:
    work(*args, **options)


def memory_mb(root: int) -> dict[str, float]:
    """The sums over a process and its children, as `memories_mb` has them."""
    found = memories_mb(root).values()
    return {kind: sum(each[kind] for each in found) for kind in ("all", "own")}


def memories_mb(root: int) -> dict[int, dict[str, float]]:
    """Of a process and all its children, by pid, MiB: "all", and "own", what the system cannot take back."""
    children: dict[int, list[int]] = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = stat.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        children[int(after_name[1])].append(int(stat.parent.name))
    found: dict[int, dict[str, float]] = {}
    waiting = [root]
    while waiting:
        process = waiting.pop()
        waiting += children[process]
        try:
            lines = Path(f"/proc/{process}/status").read_text(errors="replace").splitlines()
        except OSError:
            continue
        of_one = found.setdefault(process, {"all": 0.0, "own": 0.0})
        for name, _, value in (line.partition(":") for line in lines):
            if name in ("RssAnon", "RssShmem", "RssFile"):
                size = int(value.split()[0]) / 1024
                of_one["all"] += size
                of_one["own"] += size if name != "RssFile" else 0
    return found


def measure(folder: Path, arguments: argparse.Namespace) -> bool:
    """Print a line a stage; whether scoring took as much for few slices as for many."""

    def line(name: str, peak: dict[str, float]) -> None:
        print(f"{name:<44}{peak['all']:>9.0f}{peak['own']:>9.0f}{peak['seconds']:>8.1f}", flush=True)

    print(f"{'peak memory, MiB':<44}{'all':>9}{'own':>9}{'s':>8}")
    write_scans(folder / "scans", arguments.scans)
    settings = PrepareSettings(image_size=(96, 96))
    options: dict[str, Any] = {"settings": settings, "workers": arguments.workers}
    peak = peak_memory_mb(prepare, "folder", folder / "scans", folder / "prepared", **options)
    line(f"prepare, {arguments.scans} scans of 240x240x155", peak)
    few, many = arguments.slices
    for count in (few, many):
        (folder / f"store-{count}").mkdir()
        write_store(folder / f"store-{count}", few, count, arguments.side)
    peak = peak_memory_mb(
        fit, folder / f"store-{few}", folder / "run", detector="mae-classifier", recipe="small", overrides=FEW_STEPS
    )
    line(f"fit, {few} slices of {arguments.side} px", peak)
    own = []
    for count in (few, many):
        peak = peak_memory_mb(score, folder / "run", store=folder / f"store-{count}")
        line(f"score, {count} slices of {arguments.side} px", peak)
        own.append(peak["own"])
    growth = own[1] / own[0]
    print(f"scoring {many} slices takes {growth:.3f} times the own memory of {few}")
    return growth <= ALLOWED_GROWTH


def main() -> int:
    from machine import show_machine  # not where a test loads this file

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scans", type=int, default=24)
    parser.add_argument("--slices", type=int, nargs=2, default=(2000, 20000), metavar=("FEW", "MANY"))
    parser.add_argument("--side", type=int, default=32, help="pixels of a slice, a multiple of 8")
    parser.add_argument("--workers", type=int, default=None, help="of prepare; default: one a core")
    parser.add_argument("--folder", type=Path, default=None, help="where the made-up files lie meanwhile")
    arguments = parser.parse_args()
    show_machine()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        return 0 if measure(Path(folder), arguments) else 1


if __name__ == "__main__":
    sys.exit(main())
