"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Cohort = Annotated[
    str,
    typer.Argument(
        help="brats, luna16, lgg, folder, arrays, bmad, medianomaly, medmnist, covid-radiography or phantom."
    ),
]
Source = Annotated[Path, typer.Argument(help="Folder or file of the data set.")]
StoreFolder = Annotated[Path, typer.Argument(metavar="STORE", help="Folder of the store of prepared slices.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run.")]
Modality = Annotated[str | None, typer.Option(help="t1, t1ce, t2 or flair.  (default: the cohort's)")]
Splits = Annotated[
    Path | None, typer.Option(help="Folder of your copy of the paper's released split lists, to use their split.")
]
Split = Annotated[
    str | None,
    typer.Option(
        help="patient (by the seed), fixed (the data set's own), subsets or candidate (LUNA16), or whole (all to test)."
    ),
]
AllowLeak = Annotated[bool, typer.Option("--allow-leak", help="Accept patients in several splits; the report says so.")]
Seed = Annotated[int, typer.Option(help="Seed of everything that is random.")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting; may be repeated.")]
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
        help="A name from `anomae recipes`; baselines use its scale only.  (default: the cohort's, else small)"
    ),
]
Profile = Annotated[str, typer.Option(help="paper: as the paper's text says; released: as the released code does.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu or cuda.")]
Precision = Annotated[str | None, typer.Option(help="auto, bf16 or fp32.")]
MovedStore = Annotated[Path | None, typer.Option("--store", help="Folder of the store, if it was moved.")]
Only = Annotated[
    list[str] | None,
    typer.Option(
        help="table1, table2a to table2c, text, fig2 to fig5, trivial_baselines, further or anomae; may be repeated."
    ),
]
Detectors = Annotated[
    list[str] | None,
    typer.Option(
        help="This one, or 'NAME KEY=VALUE KEY=VALUE' for a variant of it, not the paper's tables; may be repeated."
    ),
]
Seeds = Annotated[
    str | None, typer.Option(help="Fit each --detector with each of these seeds, like 0,1,2, and average their scores.")
]
Folds = Annotated[
    int | None, typer.Option(help="Number of folds of a cross-validation by patient; figures are pooled.")
]
SetOfDetector = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="DETECTOR.KEY=VALUE", help="Change a setting of a detector; may be repeated."),
]
Engine = Annotated[
    str,
    typer.Option(
        help="auto (the fastest of torch and what was exported into RUN/exported), torch, onnxruntime or openvino."
    ),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Exit code 2 where anything was skipped, once all that is good is written.")
]
Series = Annotated[
    str | None,
    typer.Option(help="Of folders with several DICOM series: a number from 1, or largest.  (default: each is a scan)"),
]
SliceBound = Annotated[
    float, typer.Option(help="Bound on false positives per healthy slice, for the operating threshold.")
]
Smoothed = Annotated[
    bool, typer.Option("--smoothed", help="Judge slices by scores smoothed over the slices beside them.")
]
PatientBound = Annotated[float, typer.Option(help="The same, per healthy patient.")]
DicomKinds = Annotated[
    str | None,
    typer.Option(
        "--dicom",
        help="Also write DICOM results of DICOM scans to OUT/dicom: seg, segf, sr, pm, sc, several joined by commas.",
    ),
]
UidRoot = Annotated[
    str | None, typer.Option("--uid-root", help="Root of the UIDs of DICOM results.  (default: 2.25, UUIDs)")
]
