"""The page of a reproduction: every cell has its row, failed ones their reason, and the words say what is compared."""

from pathlib import Path
from typing import Any

import pytest

from anomae.files import read_json
from anomae.reproduction.page import PRETEXT, markdown, sentences, tables, write_reproduction

SHARE = {"value": 0.7, "low": 0.6, "high": 0.8}


def cell(table: str, title: str, **changed: Any) -> dict[str, Any]:
    plain = {
        "table": table,
        "title": title,
        "run": title,
        "score": "score",
        "paper": None,
        "position": None,
        "figures": {"all": SHARE, "mid": None},
        "minutes": 3.04,
        "steps": {"a": 10, "b": 20},
        "pretext": None,
        "failed": None,
    }
    return {**plain, **changed}


def content(*cells: dict[str, Any]) -> dict[str, Any]:
    trivial_baseline = {"title": "slice position", "value": 0.9, "low": None, "high": None}
    counts = {"normal": 5, "abnormal": 4, "patients": 3}
    return {
        "data": "lgg",
        "scale": "small",
        "modality": "flair",
        "seed": 0,
        "paper_data": "BRATS2020",
        "image_size": [64, 48],
        "recipe": "reproduce-small",
        "overrides": {},
        "store_fingerprint": "f00d",
        "counts": {},
        "split": {},
        "allow_leak": False,
        "cells": list(cells),
        "trivial_baselines": {"all": trivial_baseline, "mid": None},
        "strata": {"all": counts, "mid": counts},
        "unfinished": [],
        "failed": {},
    }


def test_a_row_holds_the_paper_s_value_ours_and_what_it_took() -> None:
    (table,) = tables(content(cell("table1", "RD4AD", paper=0.886)))
    assert table["heads"] == [
        "",
        "paper, BRATS2020",
        "ours, all slices",
        "ours, middle slices",
        "minutes",
        "steps",
    ]
    assert table["rows"] == [
        ["RD4AD", "0.886", "0.700 [0.600, 0.800]", "", "3.0", "10 + 20"],
        ["trivial: the best of them", "", "0.900 slice position", "", "", ""],
    ]


def test_the_pretext_task_has_a_column_where_any_row_knows_it() -> None:
    known = cell("table2b", "L1", pretext={"value": 0.8, "low": 0.75, "high": 0.85})
    there, elsewhere = content(known, cell("table2b", "L2")), content(cell("table2b", "L2"))
    (table,) = tables(there)
    assert table["heads"][-1] == PRETEXT
    assert [row[-1] for row in table["rows"]] == ["0.800 [0.750, 0.850]", "", ""]
    assert {len(row) for row in table["rows"]} == {len(table["heads"])}
    assert any(said.startswith("Pretext task: ") for said in sentences(there))
    assert PRETEXT not in tables(elsewhere)[0]["heads"]
    assert not any(said.startswith("Pretext task: ") for said in sentences(elsewhere))


def test_seeds_of_a_chosen_detector_have_their_rows_and_the_paper_has_no_column() -> None:
    known = cell("chosen", "mae-classifier, seed 0", pretext={"value": 0.8, "low": 0.75, "high": 0.85})
    over = {"mean": 0.7, "min": 0.65, "max": 0.75, "values": [0.65, 0.75]}
    scores = {"score": {"seeds": {"all": over}, "ensemble": {"all": {"auroc": SHARE}}}}
    seeds = {"mae-classifier": {"runs": ["a", "b"], "scores": scores, "failed": None}}
    (table,) = tables({**content(known), "seeds": seeds})
    assert table["heads"] == ["", "ours, all slices", "ours, middle slices", "minutes", "steps", PRETEXT]
    assert table["rows"][1:3] == [
        ["mae-classifier: mean over 2 seeds (range)", "0.700 (0.650 to 0.750)", "", "", "", ""],
        ["mae-classifier: mean of 2 seeds' standardised scores", "0.700 [0.600, 0.800]", "", "", "", ""],
    ]
    assert [len(row) for row in table["rows"]] == [6] * 4
    failed = {"ast": {"runs": ["a", "b"], "scores": {}, "failed": "no scale."}}
    assert any(
        "seeds of ast cannot be averaged: no scale." in said for said in sentences({**content(known), "seeds": failed})
    )


def test_what_failed_or_is_not_there_yet_is_shown_so() -> None:
    broken = cell("table1", "AST", figures=None, minutes=None, steps=None, failed="no weights | none")
    waiting = cell("table1", "RD4AD", figures=None, minutes=None, steps=None)
    made = {**content(broken, waiting), "unfinished": ["AST", "RD4AD"]}
    first, second, _ = tables(made)[0]["rows"]
    assert first == ["AST", "", "failed: no weights | none", "", "", ""]
    assert second == ["RD4AD", "", "", "", "", ""]
    assert "failed: no weights \\| none" in markdown(made)
    assert "Not finished: AST, RD4AD; give the command again to go on." in sentences(made)


def test_the_terms_are_said() -> None:
    said = " ".join(sentences({**content(cell("table2c", "k")), "allow_leak": True, "overrides": {"x": {"y": 1}}}))
    assert "64x48 pixels, recipe reproduce-small, seed 0" in said
    assert "No label chose a checkpoint." in said
    assert "Best trivial baseline on all slices (5 normal, 4 abnormal of 3 patients): slice position, 0.900." in said
    assert "made with --allow-leak: patients may be in several splits" in said
    assert "reuses the method's masked autoencoder" in said
    assert "Settings changed by the user: {'x': {'y': 1}}." in said


def test_the_preparation_is_said_and_so_is_a_choice_by_labels() -> None:
    changed = {"preparation": "brain", "chosen_by_labels": ["mae-classifier profile=released"]}
    said = " ".join(sentences({**content(cell("chosen", "pca")), **changed}))
    assert "64x48 pixels, preparation brain, recipe reproduce-small, seed 0" in said
    assert "chose the checkpoints of mae-classifier profile=released, and of no other." in said
    assert "No label" not in said


def test_three_files_are_written(tmp_path: Path) -> None:
    made = content(cell("table1", "RD4AD <b>"), cell("fig5", "mask ratio 0.5", position=0.5))
    write_reproduction(tmp_path, made, {}, [])
    assert read_json(tmp_path / "reproduction.json") == made
    assert (tmp_path / "reproduction.md").read_text(encoding="utf-8") == markdown(made)
    page = (tmp_path / "reproduction.html").read_text(encoding="utf-8")
    assert "RD4AD &lt;b&gt;" in page
    assert "0.700 [0.600,\N{NO-BREAK SPACE}0.800]" in page
    assert "Fig. 5: with 95 % intervals" in page


@pytest.mark.parametrize("unit", ["file", "scan"])
def test_the_unit_is_said_truly(unit: str) -> None:
    made = {**content(cell("table2c", "k")), "allow_leak": True, "unit": unit, "doubt": "Patients unknown."}
    said = " ".join(sentences(made))
    assert f"95 % intervals by {unit} (" in said
    assert f"3 {unit}s)" in said
    assert "Patients unknown." in said
    assert "patients" not in said.lower().replace("patients unknown.", "")
