"""What the commands print when they are done."""

import json
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
from anomae.inference.mixed_kinds import mixed_sentence
from anomae.runs.run import Run
from anomae.slices.content_hint import brain_sentence, ct_sentence
from anomae.slices.store import SliceStore
from anomae.volumes.passed_over import UNREAD

LEFT_OUT = "left out"  # in what the report warns of, where slices were

_MOST_NOTES = 20  # of scans; more than a screen is not read


def prepared(store: SliceStore, strict: bool = False, hint: bool = False) -> None:
    """Counts by split and label, the store's folder, and what was read, skipped and failed.

    hint: say where another preparation is to be recommended.
    """
    table = Table("split", "healthy", "abnormal", "unknown", f"{unit_of(store.prepared)}s")
    for split in ("train", "validation", "test"):
        rows = store.rows(split)
        labels = store.index.label[rows]
        counts = [str(int((labels == label).sum())) for label in (0, 1, -1)]
        table.add_row(split, *counts, str(len(set(store.index.patient[rows].tolist()))))
    Console().print(table)
    broken = [entry["reason"] for entry in store.prepared.get("skipped", [])]
    if broken:
        Console(stderr=True).print(
            f"{len(broken)} scan(s) could not be read and were skipped; see prepare.json for the reasons."
        )
    for sentence in (brain_sentence(store) if hint else "", ct_sentence(store), mixed_sentence(store)):
        if sentence:
            print(f"Note: {sentence}")
    print(f"Store: {store.folder}")
    unread = [note for note in store.prepared.get("notes", []) if note.startswith(UNREAD)]
    ended(len(set(store.index.case.tolist())), "scan(s)", unread, [], strict, broken)


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


def scored(folder: Path, strict: bool = False, as_json: bool = False) -> None:
    """Where the scores of new scans are, what is flagged and why not, and what was read, skipped and failed.

    as_json: as one JSON object for programs, and nothing else.
    """
    facts = read_json(folder / "scoring.json")
    unread = [sentence for sentence in facts["passed_over"] if sentence.startswith(UNREAD)]
    broken, failed = list(facts["skipped"].values()), list(facts["failed"].values())
    if as_json:
        files = {name: str(folder / f"{name}.csv") for name in ("scores", "scans", "patients", "findings")}
        if facts.get("page"):
            files["page"] = str(folder / facts["page"])
        left_out = ("scan_notes", "prepare", "overlay_scale")
        print(json.dumps({"out": str(folder), "files": files, **{k: v for k, v in facts.items() if k not in left_out}}))
        if strict and (unread or broken or failed):
            raise typer.Exit(2)
        return
    noticed_in_scans(facts["scan_notes"])
    _decided(facts)
    print(f"Scores: {folder / 'scores.csv'}")
    print(f"Decisions: {folder / 'scans.csv'}")
    if facts["dicom"] is not None:
        print(f"DICOM results: {facts['dicom']['folder']} (research only, not for clinical use)")
    if facts.get("page"):
        print(f"{'Page' if facts['page'] == 'study.html' else 'Pages'}: {folder / facts['page']}")
    print(f"Engine: {facts['engine']}")
    ended(facts["read"], "scan(s)", unread, failed, strict, broken)


def _decided(facts: dict[str, Any]) -> None:
    """By which rule scans are flagged, how many are, and which the model was not made for."""
    rule, flagged = facts["rules"]["scan"], facts["flagged"]
    print(rule["sentence"])
    of_slices = facts["rules"]["slice"]
    if of_slices["threshold"] is None and rule["threshold"] is not None:
        print(f"Slices: {of_slices['sentence']}")
    doubts = (facts["calibration"] or {}).get("doubts", ())
    for doubt in doubts if rule["threshold"] is not None and not rule["given"] else ():
        print(f"Doubt: {doubt}")
    unsuited = facts["unsuited"]
    for file, reasons in list(unsuited.items())[:_MOST_NOTES]:
        what = "flagged although the model was not made for it" if facts["forced"] else "not one the model was made for"
        print(f"{file}: {what}. {' '.join(reasons)}")
    if len(unsuited) > _MOST_NOTES:
        print(f"... and {len(unsuited) - _MOST_NOTES} more that the model was not made for: scans.csv.")
    more = f" and {facts['findings_left_out']} of lower maxima, which are not listed" * bool(facts["findings_left_out"])
    print(
        f"Flagged: {flagged['scans']} of {facts['scans']} scan(s), {flagged['patients']} of {facts['patients']} "
        f"patient(s), {flagged['slices']} of {facts['slices']} slice(s); without a flag: "
        f"{facts['without_flag']['scans']} scan(s); findings: {facts['findings']}{more}."
    )


def ended(
    read: int, what: str, skipped: Sequence[str], failed: Sequence[str], strict: bool, broken: Sequence[str] = ()
) -> None:
    """The last line of a command: how many were read, skipped, and failed, with the first reason.

    skipped: sentences whose first number is how many.  broken: a reason for each that could not be read, which is
    skipped too.  failed: a reason for each that was read and came to nothing.  Exit code 2 where `strict` and anything
    was skipped or failed; all that is good is written by then.
    """
    first = next(iter([*failed, *broken, *skipped]), None)
    passed = len(broken) + sum(int(number[0]) for sentence in skipped if (number := re.search(r"\d+", sentence)))
    line = f"Read: {read} {what}; skipped: {passed}; failed: {len(failed)}"
    print(f"{line}." if first is None else f"{line}; the first: {first.rstrip('.')}.")
    if strict and first is not None:
        raise typer.Exit(2)


def evaluated(report: dict[str, Any], folder: Path, strict: bool = False) -> None:
    """The verdict, the scores beside the trivial baselines, what the report warns of, and where it is."""
    console = Console(markup=False)  # columns of scores have any names
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


def inspected(facts: dict[str, Any], strict: bool = False) -> None:
    """A line a fact; then how many cases were found, what was passed over, and whether the first could be read."""
    for key, value in facts.items():
        print(f"{key}: {value}")
    unread = [note for note in facts["notes"] if note.startswith(UNREAD)]
    failed = [first] if (first := str(facts["first_case"])).startswith("not readable") else []
    ended(0 if failed else 1, f"of {facts['cases']} case(s)", unread, failed, strict)


def fitted_on(folder: Path) -> None:
    """Where the fitted detector is, and how many slices it learned from."""
    facts = read_json(folder / "fitted.json")
    print(f"Fitted: {folder}")
    print(f"Done: {facts['detector']} learned from {facts['training_slices']} healthy slice(s).")


def scored_store(run: Path, findings: Path) -> None:
    """Where the scores of a store's slices are, and how many were scored."""
    facts, calibration = read_json(findings / "findings.json"), run / "calibration" / "findings.json"
    print(f"Scores: {findings / 'scores.csv'}")
    held_out = f", and {read_json(calibration)['images']} for calibration" if calibration.exists() else ""
    print(f"Engine: {facts['engine']}")
    print(f"Done: scored {facts['images']} slice(s) of the {facts['split']} split{held_out}.")


def compared(content: dict[str, Any], folder: Path, strict: bool = False) -> None:
    """The verdict, where the comparison is, and how many slices were compared and left out."""
    Console().print(content["verdict"], highlight=False, soft_wrap=True, markup=False)
    print(f"Comparison: {folder / 'compare.html'}")
    common = content["counts"]["slices"]
    left = {name: facts["scores"] - common for name, facts in content["provenance"]["runs"].items()}
    sentences = [
        f"{count} slices that {name} scored are not common to all, or have no label"
        for name, count in left.items()
        if count
    ]
    ended(common, f"slice(s) of {len(left)} run(s) or table(s)", sentences, [], strict)


def drawn(sheet: Path, run: Path, store: Path | None, count: int) -> None:
    """Where the contact sheet is, and how many slices are on it."""
    opened = Run(run).open_store(store)
    rows = opened.learnable("train")
    usable = int((~opened.index.empty[rows]).sum())
    print(f"Contact sheet: {sheet}")
    print(f"Done: drew {min(count, usable)} of {usable} healthy training slice(s).")


def made_up(folder: Path) -> None:
    """Where a made-up data set is, and how much it holds."""
    print(f"Written: {folder}")
    print(f"Done: wrote {sum(path.is_file() for path in folder.rglob('*'))} file(s).")


def list_recipes() -> None:
    """A line a recipe."""
    from anomae.detectors.mae_classifier.recipes import RECIPES

    for name, make in RECIPES.items():
        print(f"{name:26}{(make.__doc__ or '').strip().splitlines()[0]}")


def show_recipe(name: str, detector: str, profile: Any, side: int) -> None:
    """Every setting of a detector under one recipe, as --set takes it, of aligned brains; then what differs elsewhere.

    Those that differ on FLAIR and T2, and where no midline was looked for, stand in lines that begin with #.
    """
    from anomae.detectors.method import Situation
    from anomae.detectors.registry import method_named
    from anomae.nested import flat_settings
    from anomae.recipes.overrides import settable

    def lines(**differing: Any) -> list[str]:
        situation = Situation(name, profile, (side, side), **{"aligned": True, **differing})
        settings = method_named(detector).settings(situation)
        values, kept = flat_settings(settings.model_dump(mode="json")), set(settable(settings))
        return [f"{key}={'none' if value is None else value}" for key, value in values if key in kept]

    usual = lines()
    print("\n".join(usual))
    elsewhere = {"on FLAIR and T2": lines(modality="flair"), "not of aligned brains": lines(aligned=False)}
    for where, these in elsewhere.items():
        for line in (line for line in these if line not in usual):
            print(f"# {where}: {line}")


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


def reproduced(content: dict[str, Any], folder: Path, strict: bool = False) -> None:
    """The tables, where the page is, and how many runs are finished and failed."""
    from anomae.reproduction.page import sentences, tables

    _page(sentences(content), tables(content), folder / "reproduction.html")
    runs, failed = {row["run"] for row in content["cells"]}, content["failed"]
    done = len(runs - {*content["unfinished"], *failed})
    ended(done, f"of {len(runs)} run(s)", [], [f"{name}: {why}" for name, why in failed.items()], strict)


def cross_validated(content: dict[str, Any], folder: Path, strict: bool = False) -> None:
    """What was pooled, the pooled figures, where the page with every difference is, and how many runs failed."""
    from anomae.reproduction.cross_validation_page import sentences, tables

    _page(sentences(content), tables(content)[:2], folder / "cross_validation.html")
    runs, failed = content["runs"], content["failed"]
    reasons = [f"{name}: {next(iter(reasons.values()))}" for name, reasons in failed.items()]
    ended(len(runs) - len({*content["unfinished"], *failed}), f"of {len(runs)} run(s)", [], reasons, strict)


def _page(sentences: list[str], tables: list[dict[str, Any]], path: Path) -> None:
    console = Console(markup=False)  # a variant of a detector may have brackets in its settings
    for sentence in sentences:
        console.print(sentence, highlight=False, soft_wrap=True)
    for one in tables:
        table = Table(*one["heads"], title=one["title"], title_justify="left")
        for row in one["rows"]:
            table.add_row(*row)
        console.print(table)
    print(f"Page: {path}")
