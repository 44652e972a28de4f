"""What slice position alone reaches on the paper's own BRATS2020 lists, no pixel looked at, as an evidence report.

python docs/paper_positions.py LISTS OUT

LISTS: the folder of the five lists that the paper released (your own copy), or the one above it.  Writes
OUT/scores.csv and OUT/labels.csv, then does what `anomae evaluate --scores OUT/scores.csv --labels OUT/labels.csv
--out OUT/report` does.  score: minus the distance to slice 80.  score_rarity: minus the number of training normals of
the same slice index.  Both are given for the test lists and for the validation normals, which give the operating
point.
"""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

from anomae.cohorts.released_lists import LISTS, ReleasedLists
from anomae.files import write_csv
from anomae.stages.evaluate_scores import evaluate_scores

DEPTH = 155  # slices of every BRATS2020 scan


def position_tables(lists: Path, out: Path) -> tuple[Path, Path]:
    """Write OUT/scores.csv and OUT/labels.csv from the released lists; returns their paths."""
    read = ReleasedLists.read(lists, "brats2020")
    kinds = list(LISTS.values())
    found = [(f"volume_{volume}", number, *kinds[kind]) for volume, number, kind in read.slices()]
    usual = Counter(number for _, number, split, _ in found if split == "train")
    labels = [[case, case, number, split, label, DEPTH] for case, number, split, label in found]
    tested = [slice_ for slice_ in found if slice_[2:] in (("test", 0), ("test", 1), ("validation", 0))]
    scores = [[case, number, -abs(number - 80), -usual[number]] for case, number, _, _ in tested]
    write_csv(out / "labels.csv", ("case", "patient", "slice", "split", "label", "depth"), labels)
    write_csv(out / "scores.csv", ("case", "slice", "score", "score_rarity"), scores)
    return out / "scores.csv", out / "labels.csv"


def report(lists: Path, out: Path, resamples: int = 2000) -> dict[str, Any]:
    """The report, in OUT/report; returns the content of report.json."""
    return evaluate_scores(*position_tables(lists, out), out / "report", resamples=resamples)


if __name__ == "__main__":
    found = report(Path(sys.argv[1]), Path(sys.argv[2]))
    print(found["verdict"])
    print(found["operating_point"]["slice"]["sentence"])
    for name in ("score", "score_rarity"):
        print(name, found["scores"][name]["auroc"])
