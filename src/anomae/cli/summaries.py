"""What the commands print when they are done."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from anomae.cohorts.patient_names import unit_of
from anomae.errors import UserError
from anomae.files import read_json
from anomae.slices.store import SliceStore
from anomae.volumes.passed_over import UNREAD

LEFT_OUT = "left out"  # in what the report warns of, where slices were

_MOST_NOTES = 20  # of scans; more than a screen is not read


def prepared(store: SliceStore, strict: bool = False) -> None:
    """Counts by split and label, the store's folder, and what was read, skipped and failed."""
    table = Table("split", "healthy", "abnormal", "unknown", f"{unit_of(store.prepared)}s")
    for split in ("train", "validation", "test"):
        rows = store.rows(split)
        labels = store.index.label[rows]
        counts = [str(int((labels == label).sum())) for label in (0, 1, -1)]
        table.add_row(split, *counts, str(len(set(store.index.patient[rows].tolist()))))
    Console().print(table)
    failed = [entry["reason"] for entry in store.prepared.get("skipped", [])]
    if failed:
        Console(stderr=True).print(
            f"{len(failed)} scan(s) could not be read and were skipped; see prepare.json for the reasons."
        )
    print(f"Store: {store.folder}")
    unread = [note for note in store.prepared.get("notes", []) if note.startswith(UNREAD)]
    ended(len(set(store.index.case.tolist())), "scan(s)", unread, failed, strict)


def noticed_in_scans(notes: Mapping[str, Sequence[str]]) -> None:
    """What was noticed of scans, file -> sentences: each sentence once, with one scan of which it holds."""
    told: dict[str, list[str]] = {}
    for file, sentences in notes.items():
        for sentence in sentences:
            told.setdefault(sentence, []).append(file)
    for sentence, files in list(told.items())[:_MOST_NOTES]:
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        print(f"Note: {files[0]}{more}: {sentence}")
    if len(told) > _MOST_NOTES:
        print(f"... and {len(told) - _MOST_NOTES} more notes: scan_notes in scoring.json.")


def scored(folder: Path, strict: bool = False) -> None:
    """Where the scores of new scans are, and what was read, skipped and failed."""
    facts = read_json(folder / "scoring.json")
    print(f"Scores: {folder / 'scores.csv'}")
    unread = [sentence for sentence in facts["passed_over"] if sentence.startswith(UNREAD)]
    engine = facts.get("engine", "torch")
    ended(facts["read"], "scan(s)", unread, list(facts["skipped"].values()), strict, f" Engine: {engine}.")


def ended(read: int, what: str, skipped: Sequence[str], failed: Sequence[str], strict: bool, further: str = "") -> None:
    """The last line of a command: how many were read, skipped, and failed, with the first reason.

    skipped: sentences whose first number is how many.  failed: a reason for each.  further: said after them.  Exit code
    2 where `strict` and anything was skipped or failed; all that is good is written by then.
    """
    first = next(iter([*failed, *skipped]), None)
    passed = sum(int(number[0]) for sentence in skipped if (number := re.search(r"\d+", sentence)))
    line = f"Read: {read} {what}; skipped: {passed}; failed: {len(failed)}"
    print((f"{line}." if first is None else f"{line}; the first: {first.rstrip('.')}.") + further)
    if strict and first is not None:
        raise typer.Exit(2)


def evaluated(report: dict[str, Any], folder: Path, strict: bool = False) -> None:
    """The verdict, the scores beside the trivial baselines, what the report warns of, and where it is."""
    console = Console()
    console.print(report.get("verdict", ""), highlight=False, soft_wrap=True)
    unit = (report.get("provenance") or {}).get("unit", "patient")
    table = Table("score", "AUROC", "95 % interval" if unit == "patient" else f"95 % interval, by {unit}")
    first = (report.get("slice") or {}).get("auroc")
    if first:
        table.add_row("this run", *_figures(first))
    for kind in ("scores", "trivial_baselines"):
        for name, entry in (report.get(kind) or {}).items():
            figures = entry.get("auroc", entry) if isinstance(entry, dict) else None
            if figures and figures.get("value") is not None and name != "score":
                table.add_row(
                    f"{name.removeprefix('score_')}{' (trivial)' if kind == 'trivial_baselines' else ''}",
                    *_figures(figures),
                )
    console.print(table)
    point = report.get("operating_point") or {}
    for sentence in [(point.get(level) or {}).get("sentence") for level in ("slice", "patient")]:
        if sentence:
            console.print(sentence, highlight=False, soft_wrap=True)
    for sentence in report.get("warnings") or ():
        Console(stderr=True).print(sentence, highlight=False, soft_wrap=True, markup=False)
    print(f"Report: {folder / 'report.html'}")
    left_out = [sentence for sentence in report.get("warnings") or () if LEFT_OUT in sentence]
    ended(report["counts"]["scored"]["slices"], "slice(s)", left_out, [], strict)


def inspected(facts: dict[str, Any]) -> None:
    """A line a fact."""
    for key, value in facts.items():
        print(f"{key}: {value}")


def list_recipes() -> None:
    """A line a recipe."""
    from anomae.detectors.mae_classifier.recipes import RECIPES

    for name, make in RECIPES.items():
        print(f"{name:16}{(make.__doc__ or '').strip().splitlines()[0]}")


def show_recipe(name: str, detector: str, profile: Any, side: int) -> None:
    """Every setting of a detector under one recipe, as --set takes it."""
    from anomae.detectors.method import Situation
    from anomae.detectors.registry import method_named
    from anomae.nested import flat_settings

    chosen = method_named(detector).settings(Situation(name, profile, (side, side), aligned=True))
    for key, value in flat_settings(chosen.model_dump(mode="json")):
        print(f"{key}={'none' if value is None else value}")


def _figures(figures: dict[str, Any]) -> tuple[str, str]:
    low, high = figures.get("low"), figures.get("high")
    return f"{figures['value']:.3f}", f"{low:.3f} to {high:.3f}" if low is not None and high is not None else ""


def list_detectors() -> None:
    """A line a detector; of another package's that cannot be imported, why."""
    from anomae.detectors.registry import DETECTORS

    for name in DETECTORS:
        try:
            line = (DETECTORS[name].detector.__doc__ or "").strip().partition("\n")[0]
        except UserError as error:
            line = str(error)
        print(f"{name:18}{line}")


def reproduced(content: dict[str, Any], folder: Path) -> None:
    """The tables, what failed, and where the page is."""
    from anomae.reproduction.page import sentences, tables

    _page(sentences(content), tables(content), folder / "reproduction.html")


def cross_validated(content: dict[str, Any], folder: Path) -> None:
    """What was pooled, the pooled figures, and where the page with every difference is."""
    from anomae.reproduction.cross_validation_page import sentences, tables

    _page(sentences(content), tables(content)[:2], folder / "cross_validation.html")


def _page(sentences: list[str], tables: list[dict[str, Any]], path: Path) -> None:
    console = Console()
    for sentence in sentences:
        console.print(sentence, highlight=False, soft_wrap=True)
    for one in tables:
        table = Table(*one["heads"], title=one["title"], title_justify="left")
        for row in one["rows"]:
            table.add_row(*row)
        console.print(table)
    print(f"Page: {path}")
