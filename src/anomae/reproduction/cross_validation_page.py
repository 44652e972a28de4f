"""cross_validation.json, .md and .html: every patient tested once; pooled figures beside every trivial baseline."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from anomae.files import write_json, write_text
from anomae.reports.report import environment, score_title
from anomae.reproduction.page import choice_sentence, interval_text, spread_text, tables_markdown, terms
from anomae.statistics.intervals import Interval

STRATA = {"all": "all slices", "mid": "middle slices", "position": "within the same tenth of the scan"}


def write_cross_validation(folder: Path, content: Mapping[str, Any]) -> None:
    """Write FOLDER/cross_validation.html, .md and last .json; content: as the stage `cross_validate` gathers it."""
    head, said, shown = title(content), sentences(content), tables(content)
    page = environment().get_template("reproduction.html.j2")
    html = page.render(title=head, sentences=said, tables=shown, plots={}, strips=[])
    write_text(folder / "cross_validation.html", html)
    write_text(folder / "cross_validation.md", tables_markdown(head, said, shown))
    write_json(folder / "cross_validation.json", dict(content))


def title(content: Mapping[str, Any]) -> str:
    """Data, modality, folds and scale in words."""
    modality = f", {content['modality']}" if content["modality"] else ""
    folds = f"{content['folds']}-fold cross-validation by {_unit(content)}"
    return f"{content['data']}{modality}: {folds}, scale {content['scale']}"


def tables(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The pooled figures, the baselines they differ from, the differences to every one: title, heads, rows of text."""
    found, trivial_baselines = [_pooled_table(content)], content["trivial_baselines"]
    clear = [
        [name, *(_clear(beside, trivial_baselines) for beside in figures.values())]
        for name, figures in _pooled(content)
    ]
    if clear and trivial_baselines:
        heads = ["", *(STRATA[stratum] for stratum in content["counts"])]
        words = "Trivial baselines that a score is above or below, the 95 % interval of the difference clear of zero"
        found.append({"name": "clear", "title": words, "heads": heads, "rows": clear})
    for stratum in content["counts"]:
        rows = [
            [
                name,
                *(
                    interval_text(figures[stratum]["differences"][trivial_baseline])
                    for trivial_baseline in trivial_baselines
                ),
            ]
            for name, figures in _pooled(content)
        ]
        if rows and trivial_baselines:
            heads = [
                "AUROC minus that of",
                *(
                    f"{trivial_baseline['title']}{_seen(trivial_baseline)}"
                    for trivial_baseline in trivial_baselines.values()
                ),
            ]
            words = f"Differences to every trivial baseline, {STRATA[stratum]}"
            found.append({"name": f"differences_{stratum}", "title": words, "heads": heads, "rows": rows})
    return found


def _pooled_table(content: Mapping[str, Any]) -> dict[str, Any]:
    strata = list(content["counts"])
    heads = ["", *(f"pooled, {STRATA[name]}" for name in strata), "mean over folds (range), all slices", "minutes"]
    rows = []
    for name, run in content["runs"].items():
        if not run["scores"]:
            state = "; ".join(f"{_where(at)}: {reason.rstrip('.')}" for at, reason in run["failed"].items())
            told = f"failed: {state}" if state else f"{run['finished']} of {content['folds']} folds finished"
            rows.append([_title(name, run), told, *([""] * len(strata))])
            rows[-1].append("" if run["minutes"] is None else f"{run['minutes']:.1f}")
        for score, figures in run["scores"].items():
            pooled = [interval_text(figures["pooled"][stratum]["auroc"]) for stratum in strata]
            rows.append(
                [
                    _named(_title(name, run), score),
                    *pooled,
                    spread_text(figures["folds"]["all"]),
                    f"{run['minutes']:.1f}",
                ]
            )
    for name, summary in content["seeds"].items():
        count = len(summary["runs"])
        for score, figures in summary["scores"].items():
            over = [spread_text(figures["seeds"][stratum]) for stratum in strata]
            rows.append([_named(f"{name}: mean over {count} seeds (range)", score), *over, "", ""])
            mean = [interval_text(figures["ensemble"][stratum]["auroc"]) for stratum in strata]
            rows.append([_named(f"{name}: mean of {count} seeds' scores", score), *mean, "", ""])
    for trivial_baseline in content["trivial_baselines"].values():
        reached = [interval_text(trivial_baseline["strata"][stratum]) for stratum in strata]
        rows.append([f"trivial: {trivial_baseline['title']}{_seen(trivial_baseline)}", *reached, "", ""])
    return {"name": "pooled", "title": f"AUROC, pooled over all {_unit(content)}s", "heads": heads, "rows": rows}


def sentences(content: Mapping[str, Any]) -> list[str]:
    """The sentences before the tables: how it was pooled, and on what."""
    unit = _unit(content)
    said = [
        f"Every {unit} is tested once, in one of {content['folds']} folds; of the other {unit}s of a fold one in six "
        "gives healthy validation slices and the rest healthy training slices. "
        f"{choice_sentence(content, 'No label was used to choose anything.')} {terms(content)}.",
        "Pooled: scores of a fold in standard deviations above the mean of the fold's own healthy validation slices, "
        "which uses no label of a tested slice; trivial baselines as they are. Smoothed over neighbours: 1/4 of "
        "the score of the slice below, 1/2 of its own, 1/4 of that of the slice above. AUROC with 95 % intervals from "
        f"resamples of whole {unit}s (none where fewer than 5 hold a class); differences are paired. "
        "The interval is for these fits: it does not account "
        f"for the overlap of the folds' training {unit}s.",
    ]
    if content.get("doubt"):
        said.append(content["doubt"])
    for stratum, counted in content["counts"].items():
        best = content["best_trivial_baseline"][stratum]
        beside = ""
        if best is not None:
            reached = interval_text(content["trivial_baselines"][best]["strata"][stratum])
            beside = f" Best trivial baseline: {content['trivial_baselines'][best]['title']}, {reached}."
        said.append(
            f"{STRATA[stratum].capitalize()}: {counted['normal']} normal, {counted['abnormal']} abnormal of "
            f"{counted['patients']} {unit}s.{beside}"
        )
    if content["overrides"]:
        said.append(f"Settings changed by the user: {content['overrides']}.")
    if content["unfinished"]:
        missing = ", ".join(_title(name, content["runs"][name]) for name in content["unfinished"])
        said.append(f"Not finished: {missing}; give the command again to go on.")
    return said


def _unit(content: Mapping[str, Any]) -> str:
    """What is tested once and resampled as a whole; content of an earlier version does not say."""
    return str(content.get("unit", "patient"))


def _clear(figures: Mapping[str, Any], trivial_baselines: Mapping[str, Any]) -> str:
    """Which baselines a score is above, or below, with the interval of the difference clear of zero."""
    groups: dict[str, list[str]] = {"above": [], "below": []}
    for trivial_baseline, found in figures["differences"].items():
        difference = Interval(**found)
        if difference.low is not None and difference.low > 0:
            groups["above"].append(trivial_baselines[trivial_baseline]["title"])
        if difference.high is not None and difference.high < 0:
            groups["below"].append(trivial_baselines[trivial_baseline]["title"])
    told = [
        f"{side}: {'; '.join(titles) if len(titles) < len(trivial_baselines) else 'every one'}"
        for side, titles in groups.items()
        if titles
    ]
    return ". ".join(told) or "none"


def _pooled(content: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Name and pooled figures of every score of every run, and of the mean over seeds."""
    for name, run in content["runs"].items():
        for score, figures in run["scores"].items():
            yield _named(_title(name, run), score), figures["pooled"]
    for name, summary in content["seeds"].items():
        for score, figures in summary["scores"].items():
            yield _named(f"{name}: mean of {len(summary['runs'])} seeds' scores", score), figures["ensemble"]


def _title(name: str, run: Mapping[str, Any]) -> str:
    """What the page calls a run; content of an earlier version has its name alone."""
    return str(run.get("title", name))


def _named(name: str, score: str) -> str:
    return name if score == "score" else f"{name}, {score_title(score)}"


def _seen(trivial_baseline: Mapping[str, Any]) -> str:
    return " (has seen labels)" if trivial_baseline["uses_labels"] else ""


def _where(at: str) -> str:
    return f"fold {at}" if at.isdigit() else at
