"""Scoring a prepared store end to end with torch, ONNX Runtime and OpenVINO, in turn, in one run.

    python benchmarks/engines.py [RUN] [--rounds 3] [--slices 512] [--split test] [--out engines.json]

Without RUN a detector `anomae` of the scale `small` is fitted on made-up heads at 128 pixels, shortly, and exported in
all precisions that pass the gate; what is refused is said.  RUN is fitted and has exported models in RUN/exported
(`anomae export RUN RUN/exported/NAME --to ... --precision ...`).  Each engine scores the same slices through the stage
`score`: reading, network, maps written, scores written.  A scoring is a process of its own, one at a time, each round
in another order; what is shown are the medians of slices per second by wall time, of processor seconds a slice, and the
ratios to torch in fp32 of the same round with their lowest and highest, batch after batch on all processors as torch
has it by itself ("torch fp32 in turn"); anomae's own way with torch is "torch fp32", batches side by side.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from machine import show_machine

TORCH = ("torch fp32 in turn", "torch fp32", "torch bf16")


def measured(run: Path, engine: str, split: str, slices: int) -> dict[str, float]:
    """Slices per second and processor seconds a slice of one scoring, warm: one batch is scored before the clock."""
    import anomae.detectors.inference as inference
    from anomae.inference.exported import load_exported
    from anomae.inference.fitted import load_fitted
    from anomae.runs.run import Run
    from anomae.runs.scoring_rows import score_rows
    from anomae.training.settings import DeviceSettings

    store = Run(run).open_store()
    detector: Any
    if engine.startswith("torch"):
        precision: Any = engine.split()[1]
        detector = load_fitted(run / "fitted", DeviceSettings(accelerator="cpu", precision=precision))
        if engine.endswith("in turn"):
            vars(inference)["each_at_once"] = lambda work, asked, *_: map(work, asked)
    else:
        detector = load_exported(run / "exported" / engine)
    rows = store.rows(split)[:slices]
    detector.inspect(store.select(rows[:32]).read(slice(None)))
    with tempfile.TemporaryDirectory() as out:
        wall, cpu = time.perf_counter(), _processor_seconds()
        score_rows(detector, store, rows, Path(out), split, maps=True)
        wall, cpu = time.perf_counter() - wall, _processor_seconds() - cpu
        began = time.process_time()
        detector.inspect(store.select(rows[:256]).read(slice(None)))
        inspect = time.process_time() - began
    return {
        "slices_per_s": len(rows) / wall,
        "cpu_ms": 1000 * cpu / len(rows),
        "inspect_cpu_ms": 1000 * inspect / min(256, len(rows)),
    }


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def made_up(folder: Path) -> Path:
    """A run on made-up heads, and its exported models."""
    from anomae.errors import UserError
    from anomae.export.export import PRECISIONS, export
    from anomae.slices.settings import PrepareSettings
    from anomae.stages.fit import fit
    from anomae.stages.prepare import prepare

    prepare(
        "phantom",
        "heads:40",
        folder / "store",
        workers=0,
        settings=PrepareSettings(image_size=(128, 128)),
        options={"size": "24x160x160"},
    )
    short: dict[str, Any] = {"sizes": "128", "heads": 3, "pool": 200, "head.training.steps": 40}
    fit(folder / "store", folder / "run", detector="anomae", recipe="phantom", overrides=short)
    for to, precisions in PRECISIONS.items():
        for precision in precisions:
            out = folder / "run" / "exported" / f"{to}-{precision}"
            try:
                export(folder / "run", out, to=to, precision=precision)
            except UserError as refused:
                print(f"{out.name}: {refused}", flush=True)
    return folder / "run"


def in_a_process(run: Path, engine: str, options: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, __file__, str(run), "--only", engine, "--split", options.split]
    command += ["--slices", str(options.slices)]
    given = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ)
    found: dict[str, float] = json.loads(given.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slices", type=int, default=512)
    parser.add_argument("--split", default="test")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only")
    options = parser.parse_args()
    if options.only:
        print(json.dumps(measured(options.run, options.only, options.split, options.slices)))
        return
    if options.run is None:
        with tempfile.TemporaryDirectory() as folder:
            compare(made_up(Path(folder)), options)
    else:
        compare(options.run, options)


def compare(run: Path, options: argparse.Namespace) -> None:
    from anomae.processor import has_bf16

    torch = TORCH if has_bf16() else TORCH[:2]  # where bf16 is imitated it takes minutes, and nobody uses it
    engines = [*torch, *sorted(path.name for path in (run / "exported").glob("[!.]*"))]
    rounds: list[dict[str, dict[str, float]]] = []
    for number in range(options.rounds):
        order = engines[:]
        random.Random(number).shuffle(order)
        rounds.append({engine: in_a_process(run, engine, options) for engine in order})
        print(f"round {number + 1} of {options.rounds} done", file=sys.stderr, flush=True)
    show_machine()
    heads = ("slices/s", "ratio", "CPU ms", "ratio", "inspect CPU ms", "ratio")
    print("{:18} {:>9} {:>16} {:>7} {:>16} {:>15} {:>16}".format("engine", *heads))
    for engine in engines:
        cells = []
        for key in ("slices_per_s", "cpu_ms", "inspect_cpu_ms"):
            values = [one[engine][key] for one in rounds]
            base = [one[TORCH[0]][key] for one in rounds]
            ratio = [v / b if key == "slices_per_s" else b / v for v, b in zip(values, base, strict=True)]
            cells += [f"{median(values):.2f}", f"{median(ratio):.2f} ({min(ratio):.2f}-{max(ratio):.2f})"]
        print("{:18} {:>9} {:>16} {:>7} {:>16} {:>15} {:>16}".format(engine, *cells))
    if options.out:
        options.out.write_text(json.dumps(rounds, indent=2))


if __name__ == "__main__":
    main()
