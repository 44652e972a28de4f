"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Cohort = Annotated[str, typer.Argument(help="brats2020, luna16, lgg, folder, arrays or phantom.")]
Source = Annotated[Path, typer.Argument(help="Where the data set lies.")]
StoreFolder = Annotated[Path, typer.Argument(metavar="STORE", help="Folder of the prepared slices.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run.")]
Modality = Annotated[str | None, typer.Option(help="t1, t1ce, t2 or flair.  [default: the cohort's]")]
Splits = Annotated[
    Path | None, typer.Option(help="Folder with the released split lists (your own copy) to be followed.")
]
Split = Annotated[
    str | None,
    typer.Option(help="patient (by the seed), fixed (the data set's own), subsets (LUNA16) or whole (all to test)."),
]
AllowLeak = Annotated[
    bool, typer.Option("--allow-leak", help="Accept a split with patients in several splits; the report says so.")
]
Seed = Annotated[int, typer.Option(help="Decides the split, the first weights, the order, masks and boxes.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one setting; may be repeated.")
]
FromToml = Annotated[Path | None, typer.Option("--settings", help="A TOML file of settings.")]
DetectorName = Annotated[
    str,
    typer.Option(
        "--detector",
        help="anomae, mae-classifier (the paper's), a baseline (`anomae detectors`), or any class: module:Class.",
    ),
]
Recipe = Annotated[
    str | None,
    typer.Option(
        help="A name from `anomae recipes`; a baseline takes its scale.  [default: the cohort's own, else small]"
    ),
]
Profile = Annotated[str, typer.Option(help="paper: the text, literally; released: what the released code does.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu or cuda.")]
Precision = Annotated[str | None, typer.Option(help="auto, bf16 or fp32.")]
StorePlace = Annotated[Path | None, typer.Option("--store", help="The store, where it was moved.")]
Only = Annotated[
    list[str] | None,
    typer.Option(
        help="table1, table2a, table2b, table2c, text, fig2 to fig5, trivial baselines or further; may be repeated."
    ),
]
Detectors = Annotated[
    list[str] | None,
    typer.Option(help="These detectors in place of the paper's tables (`anomae detectors`); may be repeated."),
]
Seeds = Annotated[
    str | None, typer.Option(help="Fit each --detector with each of these, like 0,1,2, and average their scores.")
]
Folds = Annotated[int | None, typer.Option(help="Cross-validate by patient in so many folds; figures are pooled.")]
SetOfDetector = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="DETECTOR.KEY=VALUE", help="Change a setting of a detector; may be repeated."),
]
