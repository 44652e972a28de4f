"""Print the tables of docs/results.md from finished reports: python docs/results_table.py RUN [RUN ...]."""

import json
import sys
from pathlib import Path
from typing import Any

METHOD = "**the paper's method** (classifier on the difference)"
ROWS = {
    "score": METHOD,
    "score_ssim": "masked autoencoder alone, SSIM",
    "score_mae": "masked autoencoder alone, MAE",
    "score_mse": "masked autoencoder alone, MSE",
    "position_rarity": "*trivial:* slice position",
    "brightest_spot_5": "*trivial:* brightest spot, 5 of 128",
    "brightest_spot_9": "*trivial:* brightest spot, 9 of 128",
    "brightest_spot_17": "*trivial:* brightest spot, 17 of 128",
    "darkest_spot_9": "*trivial:* darkest spot, 9 of 128",
    "centre_contrast": "*trivial:* contrast of the centre",
    "mean": "*trivial:* mean intensity",
    "maximum": "*trivial:* maximum",
    "spread": "*trivial:* spread of intensity",
    "body_fraction": "*trivial:* tissue area",
}


def print_table(run: Path) -> None:
    """A table of AUROC by stratum, with intervals, of one run."""
    report = json.loads((run / "report" / "report.json").read_text())
    strata = {name: report["strata"][name] for name in ("all", "mid") if name in report["strata"]}
    heads = [f"{name}: {s['normal']} normal, {s['abnormal']} abnormal" for name, s in strata.items()]
    print(f"| score | {' | '.join(heads)} |\n| --- |{' --- |' * len(heads)}")
    detector = report["provenance"]["detector"]
    for key, name in {**ROWS, "score": METHOD if detector == "mae-classifier" else f"**{detector}**"}.items():
        cells = [_cell((stratum["scores"] | stratum["trivial_baselines"]).get(key)) for stratum in strata.values()]
        if any(cells):
            print(f"| {name} | {' | '.join(cells)} |")
    print(f"\nVerdict of the report: {report['verdict']}\n")


def _cell(figures: dict[str, Any] | None) -> str:
    if not figures or figures.get("value") is None:
        return ""
    return f"{figures['value']:.3f} [{figures['low']:.3f}, {figures['high']:.3f}]"


if __name__ == "__main__":
    for run in sys.argv[1:]:
        print_table(Path(run))
