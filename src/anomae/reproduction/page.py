"""reproduction.json, .md and .html: the paper's value, ours with its interval, the best trivial baseline, time."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.files import write_json, write_text
from anomae.reports.comparison_plots import roc_curves_plot
from anomae.reports.pictures import Strip
from anomae.reports.report import environment, score_title
from anomae.reproduction.varied_plot import varied_plot
from anomae.statistics.intervals import Interval

CHOSEN = "chosen"  # the table of detectors that the user names
TITLES = {
    "table1": "Table 1: the methods",
    "table2a": "Table 2a: the masked autoencoder alone",
    "table2b": "Table 2b: what the classifier sees",
    "table2c": "Table 2c: how many boxes",
    "text": "Ablations in the text",
    "fig5": "Fig. 5: mask ratio and length of the training",
    "trivial_baselines": "Trivial baselines",
    "further": "Further baselines",
    "anomae": "The detector anomae",
    CHOSEN: "The chosen detectors",
}
PRETEXT = "pretext task, held-out normals"
STRATA = {"all": "ours, all slices", "mid": "ours, middle slices"}
Curves = Mapping[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]


def write_reproduction(folder: Path, content: Mapping[str, Any], curves: Curves, strips: Sequence[Strip]) -> None:
    """Write FOLDER/reproduction.html, .md and last .json.

    content: as the stage `reproduce` gathers it.  curves: ROC curves of Table 1 by title.  strips: pictures.
    """
    plots = {}
    if curves:
        plots["roc"] = roc_curves_plot(curves)
    varied = [row for row in content["cells"] if row["position"] is not None and row["figures"]]
    if varied:
        plots["varied"] = varied_plot(varied)
    page = environment().get_template("reproduction.html.j2")
    html = page.render(
        content=content,
        tables=tables(content),
        plots=plots,
        strips=strips,
        title=title(content),
        sentences=sentences(content),
    )
    write_text(folder / "reproduction.html", html)
    write_text(folder / "reproduction.md", markdown(content))
    write_json(folder / "reproduction.json", dict(content))


def title(content: Mapping[str, Any]) -> str:
    """Data, modality and scale in words."""
    modality = f", {content['modality']}" if content["modality"] else ""
    return f"{content['data']}{modality}: the paper's tables at scale {content['scale']}"


def tables(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each table that has rows: its title, column heads, and rows of text."""
    heads = ["", f"paper, {content['paper_data']}", *(STRATA[name] for name in content["strata"]), "minutes", "steps"]
    found = []
    for name, words in TITLES.items():
        cells = [row for row in content["cells"] if row["table"] == name]
        if not cells:
            continue
        rows, told = [*(_texts(row, content) for row in cells), _trivial_baseline_row(content)], []
        if name == CHOSEN:
            rows[-1:-1] = _seed_rows(content)
            rows = [[title, *texts] for title, _, *texts in rows]  # the paper says nothing of these
        if any(row["pretext"] for row in cells):
            told = [PRETEXT]
            for index, texts in enumerate(rows):
                texts.append(interval_text(cells[index]["pretext"] if index < len(cells) else None))
        own = [heads[0], *heads[2:]] if name == CHOSEN else heads
        found.append({"name": name, "title": words, "rows": rows, "heads": own + told})
    return found


def markdown(content: Mapping[str, Any]) -> str:
    """The page in Markdown."""
    return tables_markdown(title(content), sentences(content), tables(content))


def tables_markdown(title: str, sentences: Sequence[str], tables: Sequence[Mapping[str, Any]]) -> str:
    """A title, sentences and tables in Markdown; of a table its title, heads (k,), and rows of k texts."""
    lines = [f"# {title}", "", *(f"{sentence}\n" for sentence in sentences)]
    for table in tables:
        lines += [f"## {table['title']}", "", f"| {' | '.join(table['heads'])} |"]
        lines += ["| --- |" + " --- |" * (len(table["heads"]) - 1)]
        lines += ["| " + " | ".join(text.replace("|", "\\|") for text in row) + " |" for row in table["rows"]]
        lines.append("")
    return "\n".join(lines)


def sentences(content: Mapping[str, Any]) -> list[str]:
    """The sentences before the tables: terms, trivial baselines, what is missing."""
    unit = str(content.get("unit", "patient"))  # content of an earlier version does not say
    said = [
        f"AUROC of test slices with 95 % intervals by {unit} (none where fewer than 5 hold a class); "
        f"{terms(content)}. Same slices and same healthy training slices for all. "
        f"{choice_sentence(content, 'No label chose a checkpoint.')} "
        f"The paper's figures are those of {content['paper_data']}, at its own size, and not of these images."
    ]
    if any(row["pretext"] for row in content["cells"]):
        said.append(
            "Pretext task: AUROC of altered against unaltered healthy validation slices, the mean over families of "
            "pseudo-lesions; where it is near 0.5 the detector has not learned, and its row says nothing of the idea."
        )
    if any(row["table"] in ("table2b", "table2c", "text", "fig5") for row in content["cells"]):
        said.append("A variant that reuses the method's masked autoencoder counts its own minutes and steps only.")
    for name, trivial_baseline in content["trivial_baselines"].items():
        if trivial_baseline:
            stratum, words = content["strata"][name], STRATA[name].removeprefix("ours, ")
            said.append(
                f"Best trivial baseline on {words} ({stratum['normal']} normal, {stratum['abnormal']} abnormal of "
                f"{stratum['patients']} {unit}s): {trivial_baseline['title']}, {interval_text(trivial_baseline)}."
            )
    for name, summary in content.get("seeds", {}).items():
        if summary["failed"]:
            said.append(f"The scores of the seeds of {name} cannot be averaged: {summary['failed']}")
    if content.get("doubt"):
        said.append(content["doubt"])
    if content["allow_leak"]:
        said.append(f"The split was made with --allow-leak: {unit}s may be in several splits.")
    if content["overrides"]:
        said.append(f"Settings changed by the user: {content['overrides']}.")
    if content["unfinished"]:
        said.append(f"Not finished: {', '.join(content['unfinished'])}; give the command again to go on.")
    return said


def terms(content: Mapping[str, Any]) -> str:
    """Size, preparation, recipe and seed, such as "64x64 pixels, preparation brain, recipe reproduce-small, seed 0"."""
    height, width = content["image_size"]
    prepared = content.get("preparation")  # content of an earlier version may not say
    told = f"preparation {prepared}, " if prepared else ""
    return f"{height}x{width} pixels, {told}recipe {content['recipe']}, seed {content['seed']}"


def choice_sentence(content: Mapping[str, Any], by_none: str) -> str:
    """`by_none` where no run's checkpoint is chosen by labels, else which are."""
    names = ", ".join(content.get("chosen_by_labels") or ())
    return f"Labels of validation slices chose the checkpoints of {names}, and of no other." if names else by_none


def _texts(row: Mapping[str, Any], content: Mapping[str, Any]) -> list[str]:
    paper = "" if row["paper"] is None else f"{row['paper']:.3f}"
    if row["failed"] and not row["figures"]:
        blank = [""] * (len(content["strata"]) + 1)
        return [row["title"], paper, f"failed: {row['failed']}", *blank]
    if not row["figures"]:
        return [row["title"], paper, *([""] * len(content["strata"])), "", ""]
    ours = [interval_text(row["figures"].get(name)) for name in content["strata"]]
    steps = " + ".join(str(count) for count in row["steps"].values())
    return [row["title"], paper, *ours, f"{row['minutes']:.1f}", steps]


def _seed_rows(content: Mapping[str, Any]) -> list[list[str]]:
    """Of each detector with several seeds and each of its scores: mean and range over the seeds, and the mean score."""
    rows, strata = [], content["strata"]
    for name, summary in content.get("seeds", {}).items():
        count = len(summary["runs"])
        for score, figures in summary["scores"].items():
            which = name if score == "score" else f"{name}, {score_title(score)}"
            over = [spread_text(figures["seeds"].get(stratum)) for stratum in strata]
            rows.append([f"{which}: mean over {count} seeds (range)", "", *over, "", ""])
            mean = [interval_text(figures["ensemble"].get(stratum, {}).get("auroc")) for stratum in strata]
            rows.append([f"{which}: mean of {count} seeds' standardised scores", "", *mean, "", ""])
    return rows


def spread_text(figures: Mapping[str, Any] | None) -> str:
    """Mean and range, such as "0.712 (0.700 to 0.731)"; empty where nothing is known."""
    if not figures or figures["mean"] is None:
        return ""
    mean, low, high = (Interval(figures[key]) for key in ("mean", "min", "max"))
    return f"{mean} ({low} to {high})"


def _trivial_baseline_row(content: Mapping[str, Any]) -> list[str]:
    """What the best trivial baseline reaches on the same slices."""
    trivial_baselines = [content["trivial_baselines"].get(name) for name in content["strata"]]
    return [
        "trivial: the best of them",
        "",
        *(f"{interval_text(one)} {one['title']}" if one else "" for one in trivial_baselines),
        "",
        "",
    ]


def interval_text(figures: Mapping[str, Any] | None) -> str:
    """A figure with its interval; empty where there is none."""
    if not figures:
        return ""
    return str(Interval(figures["value"], figures["low"], figures["high"]))
