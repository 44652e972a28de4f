"""Seconds and memory of `anomae evaluate --scores` on made-up tables of many slices: reading, every figure, the page.

python benchmarks/evaluate_speed.py [--rows 1000000] [--patients 10000] [--resamples 2000] [--profile]

Patients of one scan each with effects of their own, a fifth of the slices abnormal and more of them at mid-scan, two
sites, tissue area, a few empty slices, a tenth of the patients in the split validation.  --profile prints where the
time goes.
"""

import argparse
import cProfile
import pstats
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from anomae.progress import Console, reporting
from anomae.stages.evaluate_scores import evaluate_scores
from machine import show_machine


def write_tables(folder: Path, rows: int, patients: int) -> tuple[Path, Path]:
    """FOLDER/scores.csv and FOLDER/labels.csv; seed 0."""
    rng = np.random.default_rng(0)
    depth = max(rows // patients, 2)
    patient, number = np.divmod(np.arange(patients * depth), depth)
    middle = 1 - np.abs(2 * number / (depth - 1) - 1)
    label = rng.random(len(patient)) < 0.4 * middle
    score = rng.normal(size=len(patient)) + 0.7 * label + 0.5 * rng.normal(size=patients)[patient]
    empty = (number == 0) & (rng.random(len(patient)) < 0.5)
    tissue = np.where(empty, 0.0, np.clip(0.3 + 0.3 * middle + 0.05 * rng.normal(size=len(patient)), 0.0, 1.0))
    held_out = patient % 10 == 0
    label &= ~held_out & ~empty
    scores, labels = folder / "scores.csv", folder / "labels.csv"
    with scores.open("w", encoding="utf-8") as handle:
        handle.write("case,patient,slice,score\n")
        handle.writelines(
            f"scan{who},P{who},{which},{value!r}\n"
            for who, which, value in zip(patient.tolist(), number.tolist(), score.tolist(), strict=True)
        )
    with labels.open("w", encoding="utf-8") as handle:
        handle.write("case,patient,slice,label,split,site,empty,body_fraction\n")
        columns = (
            patient.tolist(),
            number.tolist(),
            label.tolist(),
            held_out.tolist(),
            empty.tolist(),
            tissue.tolist(),
        )
        handle.writelines(
            f"scan{who},P{who},{which},{ill:d},{('test', 'validation')[held]},{'AB'[who % 2]},{bare:d},{share:.4f}\n"
            for who, which, ill, held, bare, share in zip(*columns, strict=True)
        )
    return scores, labels


def main() -> None:
    """Print what it took."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--patients", type=int, default=10_000)
    options.add_argument("--resamples", type=int, default=2000)
    options.add_argument("--profile", action="store_true")
    asked = options.parse_args()
    show_machine()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        scores, labels = write_tables(folder, asked.rows, asked.patients)
        sizes = [path.stat().st_size / 1e6 for path in (scores, labels)]
        print(f"tables of {sizes[0]:.0f} and {sizes[1]:.0f} MB written", flush=True)
        profile, began, used = cProfile.Profile(time.process_time), time.monotonic(), time.process_time()
        with reporting(Console()):
            if asked.profile:
                profile.enable()
            report = evaluate_scores(scores, labels, folder / "out", resamples=asked.resamples)
            profile.disable()
        took, busy = time.monotonic() - began, time.process_time() - used
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(f"{asked.rows} rows, {asked.patients} patients, {asked.resamples} resamples: ", end="")
        print(f"{took:.1f} s ({busy:.1f} s CPU), at most {peak:.2f} GB")
        print(report["verdict"])
        if asked.profile:
            pstats.Stats(profile).sort_stats("cumulative").print_stats(70)


if __name__ == "__main__":
    main()
