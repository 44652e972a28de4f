"""Made-up slices through `score-archive` with processes on this machine: seconds, and the peak memory of each process.

    python benchmarks/archive.py [--slices 100000] [--scan 100] [--side 64] [--workers 2] [--detector mean-image]
                                 [--maps none] [--bare] [--folder F] [--json FILE]

One made-up scan of --scan slices under as many names as are wanted: reading a file costs the same whatever is in it.
The command runs in a process of its own, and its workers are its children; memory is sampled every 50 ms (Linux only),
"own" is what the system cannot take back: without the files that are mapped.  Several numbers after --slices are
scored in turn, each into a new folder; ends with status 1 where the own memory of the command or of a worker grows by
over 10 % from the first number to the last.
"""

import argparse
import csv
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from anomae.archive.score_archive import score_archive
from anomae.files import read_json
from anomae.runs.model_fingerprint import REFERENCE
from anomae.slices.settings import PrepareSettings
from anomae.stages.fit import fit
from anomae.stages.prepare import prepare
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_volume
from machine import machine, show_machine
from memory import memories_mb

ALLOWED_GROWTH = 1.10
EVERY_S = 0.05
WHO = ("command", "worker", "together")


def fitted_run(folder: Path, detector: str, side: int, bare: bool) -> Path:
    """Fitted on made-up heads of `side` pixels; bare: new scans are not compared with its training scans."""
    settings = PrepareSettings(image_size=(side, side))
    options = {"size": f"8x{side}x{side}"}
    prepare("phantom", "heads:12", folder / "store", workers=0, seed=1, settings=settings, options=options)
    fit(folder / "store", folder / "run", detector=detector, recipe="phantom", overrides={"device.accelerator": "cpu"})
    if bare:
        (folder / "run" / "fitted" / REFERENCE).unlink()
    return folder / "run"


def write_archive(folder: Path, scans: int, shape: tuple[int, int, int]) -> Path:
    """The manifest of a noisy ball of this shape (z, y, x) under as many names as there are to be scans."""
    axes = np.meshgrid(*(np.linspace(-1, 1, side, dtype=np.float32) for side in shape), indexing="ij")
    noise = np.random.default_rng(0).integers(300, 900, shape)
    voxels = np.where(sum(axis**2 for axis in axes) < 0.7, noise, 0).astype(np.int16)
    first = folder / "scans" / "scan-0000000.nii"
    first.parent.mkdir(parents=True)
    write_volume(first, voxels, Grid(shape))
    manifest = folder / "manifest.csv"
    with manifest.open("w", newline="", encoding="utf-8") as handle:
        lines = csv.writer(handle)
        lines.writerow(["file"])
        for number in range(scans):
            name = first.with_name(f"scan-{number:07d}.nii")
            if number:
                os.link(first, name)
            lines.writerow([f"scans/{name.name}"])
    return manifest


def scored(manifest: Path, out: Path, run: Path, options: dict[str, Any]) -> dict[str, Any]:
    """What archive.json says of the command, and the highest memory in MiB of the command, a worker and all."""
    context = get_context("spawn")
    command = context.Process(target=_score, args=(manifest, out, run, options))
    began = time.monotonic()
    command.start()
    peaks: dict[str, float] = defaultdict(float)
    while command.is_alive():
        found = memories_mb(command.pid or 0)
        main = found.pop(command.pid or 0, {"all": 0.0, "own": 0.0})
        for kind in ("all", "own"):
            workers = [each[kind] for each in found.values()]
            peaks[f"command_{kind}"] = max(peaks[f"command_{kind}"], main[kind])
            peaks[f"worker_{kind}"] = max([peaks[f"worker_{kind}"], *workers])
            peaks[f"together_{kind}"] = max(peaks[f"together_{kind}"], main[kind] + sum(workers))
        command.join(EVERY_S)
    if command.exitcode:
        raise SystemExit(f"score-archive ended with status {command.exitcode}")
    facts = read_json(out / "archive.json")
    of_command = {name: facts["this_command"][name] for name in ("seconds", "slices_per_s", "processes")}
    whole = {"scans": facts["scans"], "slices": facts["slices"], "failed": sum(facts["failed"].values())}
    return {**whole, **of_command, "whole_command_s": time.monotonic() - began, **peaks}


def _score(manifest: Path, out: Path, run: Path, options: dict[str, Any]) -> None:
    score_archive(manifest, out, run=run, **options)


def grown(told: list[dict[str, Any]]) -> dict[str, float]:
    """How many times the own memory of the first archive the last one took, by process."""
    return {who: told[-1][f"{who}_own"] / told[0][f"{who}_own"] for who in ("command", "worker")}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--slices", type=int, nargs="+", default=[100_000])
    parser.add_argument("--scan", type=int, default=100, help="slices of a scan")
    parser.add_argument("--side", type=int, default=64, help="pixels of a slice")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--detector", default="mean-image")
    parser.add_argument("--maps", choices=("all", "flagged", "none"), default="none")
    parser.add_argument("--bare", action="store_true", help="scans are not compared with the training scans")
    parser.add_argument("--folder", type=Path, default=None, help="where the made-up files lie meanwhile")
    parser.add_argument("--json", type=Path, default=None, help="where all figures are to be written")
    asked = parser.parse_args()
    show_machine()
    told: list[dict[str, Any]] = []
    options = {"workers": asked.workers, "threads": 1, "maps": asked.maps}
    compared = "not compared" if asked.bare else "compared with the training scans"
    print(f"{asked.detector}, scans of {asked.scan} x {asked.side} x {asked.side}, {compared}, maps {asked.maps}")
    print(
        f"{'slices':>9}{'s':>8}{'slices/s':>10}{'command':>14}{'largest worker':>16}{'together':>14}   own (all) MiB",
        flush=True,
    )
    with tempfile.TemporaryDirectory(dir=asked.folder) as made:
        folder = Path(made)
        run = fitted_run(folder, asked.detector, asked.side, asked.bare)
        for slices in asked.slices:
            inside = folder / f"archive-{len(told)}"
            manifest = write_archive(inside, -(-slices // asked.scan), (asked.scan, asked.side, asked.side))
            found = scored(manifest, inside / "out", run, options)
            told.append(found)
            cells = [f"{found[f'{who}_own']:.0f} ({found[f'{who}_all']:.0f})" for who in WHO]
            print(
                f"{found['slices']:>9}{found['seconds']:>8.1f}{found['slices_per_s']:>10.1f}"
                f"{cells[0]:>14}{cells[1]:>16}{cells[2]:>14}",
                flush=True,
            )
    growth = grown(told) if len(told) > 1 else {}
    for who, times in growth.items():
        print(f"{who}: {times:.3f} times the own memory of {told[0]['slices']} slices")
    if asked.json:
        said = {
            "machine": machine(),
            "asked": {**options, "detector": asked.detector, "bare": asked.bare},
            "archives": told,
        }
        asked.json.write_text(json.dumps({**said, "growth": growth}, indent=1), encoding="utf-8")
    return int(any(times > ALLOWED_GROWTH for times in growth.values()))


if __name__ == "__main__":
    sys.exit(main())
