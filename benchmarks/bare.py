"""An exported model in an environment without torch: made, installed into, and compared with the run's own scores.

    python benchmarks/bare.py EXPORTED RUN SCAN... [--keep FOLDER]

Makes a virtual environment, installs into it this checkout without its dependencies and the packages that the model
card names, and nothing of torch; scores the scans there from EXPORTED, and here from RUN with torch in fp32; prints how
far the scores are apart.  Ends with 1 where they differ by more than 1e-5 of their range, or torch is in there.
"""

import argparse
import csv
import os
import re
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]


def installed(folder: Path, exported: Path) -> Path:
    """The Python of a new environment in `folder`, with what the model card names."""
    card = (exported / "MODEL_CARD.md").read_text(encoding="utf-8")
    named = re.search(r"`pip install --no-deps anomae` and `pip install ([^`]+)`", card)
    if named is None:
        raise SystemExit(f"{exported / 'MODEL_CARD.md'} names no packages.")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    for packages in (["--no-deps", str(ROOT)], named[1].split()):
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def scored(command: list[str], out: Path, environment: dict[str, str]) -> tuple[list[float], float]:
    """The scores of slices, and the seconds of the command."""
    began = time.perf_counter()
    subprocess.run([*command, "--out", str(out)], check=True, stdout=sys.stderr, env=environment)
    seconds = time.perf_counter() - began
    with (out / "scores.csv").open(newline="", encoding="utf-8") as lines:
        return [float(line["score"]) for line in csv.DictReader(lines)], seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("exported", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("scans", type=Path, nargs="+")
    parser.add_argument("--keep", type=Path, help="make the environment here and leave it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        python = installed(options.keep or Path(work) / "venv", options.exported)
        torch = subprocess.run([python, "-c", "import torch"], check=False, capture_output=True).returncode == 0
        bare = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        scans = [str(scan.resolve()) for scan in options.scans]
        exported, run = [str(python), "-m", "anomae"], [sys.executable, "-m", "anomae"]
        exported += ["score", str(options.exported), *scans]
        run += ["score", str(options.run), *scans, "--engine", "torch", "--precision", "fp32"]
        there, seconds = scored(exported, Path(work) / "bare", bare)
        ours = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        here, by_torch = scored(run, Path(work) / "torch", ours)
        size = sum(path.stat().st_size for path in python.parents[1].rglob("*") if path.is_file()) / 2**20
    away = float(np.abs(np.subtract(there, here)).max() / np.ptp(here))
    print(f"{len(here)} slices: scores differ by {away:.1e} of their range at most; torch is there: {torch}")
    print(f"without torch {seconds:.1f} s, with it {by_torch:.1f} s (single commands); environment {size:.0f} MiB")
    return int(torch or away > 1e-5)


if __name__ == "__main__":
    raise SystemExit(main())
