"""Seconds and memory of resampling many slices: every metric of one score, and its AUROC.

python benchmarks/bootstrap_speed.py [--rows 1000000] [--patients 10000] [--resamples 2000]
"""

import argparse
import resource
import time

import numpy as np

from anomae.progress import Console, reporting
from anomae.statistics.intervals import PatientBootstrap
from machine import show_machine


def main() -> None:
    """Print what each took."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--patients", type=int, default=10_000)
    options.add_argument("--resamples", type=int, default=2000)
    asked = options.parse_args()
    show_machine()
    rng = np.random.default_rng(0)
    patient = rng.integers(0, asked.patients, asked.rows)
    labels = (rng.random(asked.rows) < 0.2).astype(np.int8)
    scores = rng.normal(size=asked.rows) + 0.5 * labels + 0.5 * rng.normal(size=asked.patients)[patient]
    bootstrap = PatientBootstrap(patient, asked.resamples)
    with reporting(Console()):
        for name, work in (
            ("all metrics", lambda: bootstrap.metrics(labels, {"score": scores})["score"]["auroc"]),
            ("AUROC", lambda: bootstrap.aurocs(labels, {"score": scores})["score"]),
        ):
            began = time.monotonic()
            interval = work().interval()
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
            print(f"{name}: {time.monotonic() - began:.1f} s, at most {peak:.2f} GB; {interval}", flush=True)


if __name__ == "__main__":
    main()
