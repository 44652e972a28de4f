"""The stage `compare`: several runs, or several tables of scores, on the images that all of them scored."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.cohorts.patient_names import doubt_of, unit_of
from anomae.errors import UserError
from anomae.progress import progress
from anomae.reports.comparison import compare_scores, comparison_notes
from anomae.reports.comparison_page import comparison_definitions, write_comparison
from anomae.reports.comparison_schema import Comparison, ComparisonContent
from anomae.reports.provenance import count_scored, in_several_splits, leak_warning
from anomae.runs.findings import ScoredRun, open_findings, report_versions, sha256
from anomae.runs.labelled_slices import Scored, labelled_slices
from anomae.runs.run import Run
from anomae.runs.score_table import Table, read_table
from anomae.runs.scored_store import relative_positions_of, slices_at, trivial_baselines_on
from anomae.runs.table_join import join
from anomae.statistics.intervals import PatientBootstrap
from anomae.statistics.scored import ScoredSlices


def compare(
    runs: Sequence[Path | str],
    out: Path | str,
    *,
    labels: Path | str | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """Compare runs that were scored, or with `labels` tables of scores and runs; writes OUT/compare.json, compare.html.

    Runs are joined slice by slice, by case and slice number, and compared on the slices that all of them scored.
    Raises UserError where fewer than two are given, a run has no findings, no slice is common, labels disagree, or only
    one class is left.
    """
    if isinstance(runs, str | Path):
        raise UserError(f"One run was given, {runs}; name two or more in a list.")
    paths = [Path(run) for run in runs]
    if len(paths) < 2:
        raise UserError("A comparison needs two runs or more.")
    if len({path.resolve() for path in paths}) < len(paths):
        raise UserError("The same run was given twice.")
    names = _names(paths)
    if labels is None:
        slices, scores, trivial_baselines, facts, notes, unit = _of_runs(paths, names)
    else:
        slices, scores, trivial_baselines, facts, notes, unit = _of_tables(paths, names, Path(labels))
    if not slices.both_classes:
        raise UserError("The slices that all of these scored hold one class only, so nothing can be compared.")
    groups = _groups(facts)
    bootstrap = PatientBootstrap(slices.patient, resamples, seed)
    compared = compare_scores(slices, scores, trivial_baselines, groups, bootstrap)
    content = ComparisonContent(
        **{name: getattr(compared, name) for name in Comparison.model_fields},
        counts=count_scored(slices),
        notes=[*notes, *comparison_notes(slices, next(iter(scores.values())), bootstrap)],
        provenance={
            "unit": unit,
            "resamples": resamples,
            "seed": seed,
            "runs": facts,
            "versions": report_versions(),
        },
        definitions=comparison_definitions(unit),
    )
    return write_comparison(Path(out), content, slices, scores)


Loaded = tuple[
    ScoredSlices,
    dict[str, npt.NDArray[np.float64]],
    dict[str, npt.NDArray[np.float64]],
    dict[str, dict[str, Any]],
    list[str],
    str,
]


def _of_runs(paths: Sequence[Path], names: Sequence[str]) -> Loaded:
    if tables := [path for path in paths if path.is_file()]:
        raise UserError(
            f"{tables[0]} is a table of scores and no run; name the labels of its slices by --labels LABELS.csv (of a "
            "run's own slices they are the index.csv of its store)."
        )
    opened = [open_findings(Run(path)) for path in paths]
    common = _common([run.table for run in opened], names)
    first = opened[0]
    known = first.store.index.label[first.rows[common[:, 0]]] >= 0
    common = common[known]
    for run, name, column in zip(opened, names, common.T, strict=True):
        index = run.store.index
        ours, theirs = first.store.index, first.rows[common[:, 0]]
        for what, odd in (
            ("labels", index.label[run.rows[column]] != ours.label[theirs]),
            ("patients", index.patient[run.rows[column]] != ours.patient[theirs]),
        ):
            if odd.any():
                raise UserError(
                    f"{names[0]} and {name} give {np.count_nonzero(odd)} common slices different {what}: their stores "
                    "hold other data, and cannot be compared."
                )
    rows = first.rows[common[:, 0]]
    relative, depth = relative_positions_of(first.store)
    slices = slices_at(first.store, rows, relative)
    trivial_baselines = {}
    if slices.both_classes:
        with progress("compare", len(rows), "slices") as bar:
            trivial_baselines = trivial_baselines_on(first.store, rows, slices, first.split, relative, depth, bar)
    scores = {name: run.scores["score"][column] for name, run, column in zip(names, opened, common.T, strict=True)}
    facts = {
        name: {key: run.facts.get(key) for key in ("detector", "recipe", "profile", "seed", "store_fingerprint")}
        | {
            "settings": run.facts.get("settings"),
            "split": run.split,
            "scores": len(run.rows),
            "sha256": sha256(run.table.path),
        }
        for name, run in zip(names, opened, strict=True)
    }
    unit, doubt, index = unit_of(first.store.prepared), doubt_of(first.store.prepared), first.store.index
    allowed, patients = bool(first.store.prepared.get("allow_leak")), len(np.unique(index.patient))
    leak = leak_warning(in_several_splits(index.split, index.patient), patients, allowed, unit, doubt)
    doubts = [said for said in (leak, doubt, _split_doubt(opened, names)) if said]
    notes = [*_left_out(opened, names, len(rows)), *_stores(opened, names)]
    return slices, scores, trivial_baselines, facts, [*doubts, *notes], unit


def _of_tables(paths: Sequence[Path], names: Sequence[str], labels: Path) -> Loaded:
    truth = read_table(labels, ("case", "label"))
    tables = [read_table(_table_of(path), ("case", "score")) for path in paths]
    matched = [join(table, truth) for table in tables]
    known = labelled_slices(truth, [Scored(*pair) for pair in zip(tables, matched, strict=True)])
    joined = [dict(zip(found.theirs.tolist(), found.ours.tolist(), strict=True)) for found in matched]
    tested = np.flatnonzero((known.split == "test") & (known.label >= 0)).tolist()
    rows = np.array([row for row in tested if all(row in found for found in joined)], dtype=np.int64)
    if not len(rows):
        raise UserError(f"No labelled test slice of {labels} is in all of the tables of scores.")
    slices = known.at(rows)
    trivial_baselines = known.trivial_baselines(rows, slices)
    scores = {
        name: table.numbers("score")[[found[row] for row in rows.tolist()]]
        for name, table, found in zip(names, tables, joined, strict=True)
    }
    facts = {
        name: {"scores": table.rows, "sha256": sha256(table.path)} for name, table in zip(names, tables, strict=True)
    }
    unit, leaking = known.patients.unit, in_several_splits(known.split, known.patients.names)
    leak = leak_warning(leaking, len(np.unique(known.patients.names)), allowed=False, unit=unit)
    notes = [note for note in (leak, known.split_doubt, *known.doubts) if note]
    notes += known.not_audited("position_centre" in trivial_baselines)
    notes += [note for found in matched for note in found.notes]
    notes += [
        f"{name} scores {table.rows} slices, of which {len(rows)} are common, labelled and of the test split."
        for name, table in zip(names, tables, strict=True)
        if table.rows > len(rows)
    ]
    return slices, scores, trivial_baselines, facts, notes, unit


def _table_of(path: Path) -> Path:
    """The table of scores at `path`, or that of the run which lies there."""
    if not path.is_dir():
        return path
    opened = Run(path)
    if not (opened.findings / "findings.json").exists():
        raise UserError(f"{path} is no table of scores, nor a run with finished findings; name one of these.")
    return opened.findings / "scores.csv"


def _common(tables: Sequence[Table], names: Sequence[str]) -> npt.NDArray[np.int64]:
    """Lines of each table (k, tables) that mean the same slice, in the order of the first."""
    keys = []
    for table in tables:
        slices = zip(table.text("case").tolist(), table.text("slice").tolist(), strict=True)
        keys.append({key: line for line, key in enumerate(slices)})
    rows = [[own[key] for own in keys] for key in keys[0] if all(key in own for own in keys)]
    if not rows:
        raise UserError(f"No slice is common to {', '.join(names)}: they were scored on different data.")
    return np.array(rows, dtype=np.int64)


def _names(paths: Sequence[Path]) -> list[str]:
    """The last part of each path, or as much of it as tells them apart."""
    depth = 1
    while True:
        names = ["/".join(path.resolve().parts[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            return names
        depth += 1


def _groups(facts: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """Runs that differ by seed alone, by the name of the first of them."""
    groups: dict[str, list[str]] = {}
    seen: dict[str, str] = {}
    for name, own in facts.items():
        if own.get("seed") is None:
            continue
        alike = repr({key: value for key, value in own.items() if key not in ("seed", "scores", "sha256")})
        if own["seed"] not in [facts[other]["seed"] for other in groups.get(seen.setdefault(alike, name), [])]:
            groups.setdefault(seen[alike], []).append(name)
    return groups


def _left_out(opened: Sequence[ScoredRun], names: Sequence[str], common: int) -> list[str]:
    return [
        f"{name} scores {len(run.rows)} slices, of which {common} are common to all and have a label."
        for name, run in zip(names, opened, strict=True)
        if len(run.rows) > common
    ]


def _split_doubt(opened: Sequence[ScoredRun], names: Sequence[str]) -> str:
    odd = [f"{name} ({run.split})" for name, run in zip(names, opened, strict=True) if run.split != "test"]
    if not odd:
        return ""
    return (
        f"Not scored on the test split: {', '.join(odd)}; checkpoints, settings and thresholds may have been chosen on "
        "these slices."
    )


def _stores(opened: Sequence[ScoredRun], names: Sequence[str]) -> list[str]:
    odd = [
        name
        for name, run in zip(names, opened, strict=True)
        if run.facts.get("store_fingerprint") != opened[0].facts.get("store_fingerprint")
    ]
    if not odd:
        return []
    return [
        f"{', '.join(odd)} saw other images than {names[0]} of the same slices (another store): joined by case and "
        f"slice number; the trivial baselines are those of the images of {names[0]}."
    ]
