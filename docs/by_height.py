"""How often healthy slices are taken for abnormal, by where in the head they lie: does the base of the skull do it?

python docs/by_height.py RUN      of a scored run whose slices are in order; "found" are abnormal slices above the score
that 5 % of all healthy test slices exceed.  Fifths are of the stretch of slices with tissue, lowest first.
"""

import sys
from pathlib import Path

import numpy as np

from anomae.runs.findings import open_findings
from anomae.runs.run import Run

FIFTHS, EXCEEDED = 5, 0.05


def main(run: Path) -> None:
    """Print the table of one run."""
    found = open_findings(Run(run))
    index, rows = found.store.index, found.rows[~found.store.index.empty[found.rows]]
    scores = found.scores["score"][~index.empty[found.rows]]
    heights = np.zeros(len(rows))
    for case in np.unique(index.case[rows]):
        own = index.case[rows] == case
        numbers = index.slice[rows][own]
        heights[own] = (numbers - numbers.min()) / max(1, np.ptp(numbers))
    healthy = index.label[rows] == 0
    threshold = np.quantile(scores[healthy], 1 - EXCEEDED)
    fifth = np.minimum((heights * FIFTHS).astype(int), FIFTHS - 1)
    print("fifth, healthy slices, share above the threshold, abnormal slices, share found")
    for number in range(FIFTHS):
        normal, abnormal = (fifth == number) & healthy, (fifth == number) & ~healthy
        shares = [f"{np.mean(scores[kind] > threshold):.3f}" if kind.any() else "-" for kind in (normal, abnormal)]
        print(f"{number + 1}, {normal.sum()}, {shares[0]}, {abnormal.sum()}, {shares[1]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
