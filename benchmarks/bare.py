"""An exported model in an environment without torch: made, installed into, and compared with the run's own scores.

    python benchmarks/bare.py EXPORTED RUN SCAN... [--keep FOLDER] [--link]

Makes a virtual environment, installs into it this checkout without its dependencies and the packages that the model
card names, and nothing of torch; scores the scans there from EXPORTED, and here from RUN with torch in fp32; prints how
far the scores are apart.  --link fetches nothing: the same packages, with those that they need, are linked from the
environment that this runs in, and the checkout is used where it lies.  Ends with 1 where the scores differ by more than
1e-5 of their range, or torch is in there.
"""

import argparse
import csv
import importlib.metadata
import os
import re
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import numpy as np
from packaging.requirements import Requirement

from machine import show_machine

ROOT = Path(__file__).resolve().parents[1]


def packages_named(exported: Path) -> list[str]:
    """What the model card says that is needed."""
    card = (exported / "MODEL_CARD.md").read_text(encoding="utf-8")
    named = re.search(r"`pip install --no-deps anomae` and `pip install ([^`]+)`", card)
    if named is None:
        raise SystemExit(f"{exported / 'MODEL_CARD.md'} names no packages.")
    return named[1].split()


def installed(folder: Path, packages: list[str]) -> Path:
    """The Python of a new environment in `folder`, with these packages and this checkout."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    for given in (["--no-deps", str(ROOT)], packages):
        subprocess.run([python, "-m", "pip", "install", "--quiet", *given], check=True)
    return python


def linked(folder: Path, packages: list[str]) -> Path:
    """The same with packages that are here, as links to them; needs no index and no network."""
    venv.create(folder, with_pip=False)
    site = next(folder.glob("lib/python*/site-packages"))
    for package in with_those_needed(packages):
        for top in {file.parts[0] for file in package.files or () if file.parts[0] not in ("..", "__pycache__")}:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(package.locate_file(top))).resolve())
    (site / "anomae.pth").write_text(f"{ROOT / 'src'}\n", encoding="utf-8")
    return folder / "bin" / "python"


def with_those_needed(packages: list[str]) -> list[importlib.metadata.Distribution]:
    """These packages, those that they need on this machine, and so on; without extras."""
    found: dict[str, importlib.metadata.Distribution] = {}
    waiting = list(packages)
    while waiting:
        name = waiting.pop().lower()
        if name not in found:
            found[name] = importlib.metadata.distribution(name)
            needs = [Requirement(line) for line in found[name].requires or ()]
            waiting += [one.name for one in needs if one.marker is None or one.marker.evaluate({"extra": ""})]
    return list(found.values())


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
    parser.add_argument("--link", action="store_true", help="link the packages of this environment; fetch nothing")
    options = parser.parse_args()
    show_machine()
    with tempfile.TemporaryDirectory() as work:
        make = linked if options.link else installed
        python = make(options.keep or Path(work) / "venv", packages_named(options.exported))
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
        environment = "environment linked" if options.link else f"environment {size:.0f} MiB"
    away = float(np.abs(np.subtract(there, here)).max() / np.ptp(here))
    print(f"{len(here)} slices: scores differ by {away:.1e} of their range at most; torch is there: {torch}")
    print(f"without torch {seconds:.1f} s, with it {by_torch:.1f} s (single commands); {environment}")
    return int(torch or away > 1e-5)


if __name__ == "__main__":
    raise SystemExit(main())
