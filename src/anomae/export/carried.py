"""What lies beside a run's weights and goes with its exported model: preparation, calibration, thresholds."""

import csv
from collections.abc import Collection
from pathlib import Path
from typing import Any

from anomae.files import copy_file, write_csv
from anomae.runs.model_fingerprint import REFERENCE_FEATURES, files_of_model

WEIGHTS = (".safetensors", ".npz", ".npy", ".onnx", ".bin", ".xml")
NAMES = ("case", "patient")
LEFT_OUT = ("sop_instance_uid",)


def carry_over(fitted: Path, calibration: Path, folder: Path, but: Collection[str] = ()) -> None:
    """Copy all but weights of `fitted` into `folder`, and `calibration`, if it is there, into folder/calibration.

    but: names of files of `fitted` that are left out too.

    A model is handed on to others: in tables with the columns case and patient these become numbers, counted in order,
    and the images' own identifiers are left out.
    """
    for path in files_of_model(fitted):
        if path.name not in but and (path.suffix not in WEIGHTS or path.name == REFERENCE_FEATURES):
            _copy(path, folder / path.relative_to(fitted))
    for path in files_of_model(calibration):
        if path.name not in ("journal.jsonl", "scores.npy"):
            _copy(path, folder / "calibration" / path.relative_to(calibration))


def _copy(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as handle:
            lines = list(csv.DictReader(handle))
            columns = [name for name in (lines[0] if lines else []) if name not in LEFT_OUT]
        numbers: dict[tuple[str, str], int] = {}
        write_csv(target, columns, (_numbered(line, columns, numbers) for line in lines))
    else:
        copy_file(path, target)


def _numbered(line: dict[str, Any], columns: list[str], numbers: dict[tuple[str, str], int]) -> list[Any]:
    found: list[Any] = []
    for name in columns:
        value = line[name]
        if name in NAMES:
            known = sum(1 for kind, _ in numbers if kind == name)
            value = f"{name}-{numbers.setdefault((name, value), known + 1)}"
        found.append(value)
    return found
