"""Pages of a scoring, from the command line's stage to the files: what is written, kept, made anew and removed."""

from pathlib import Path

import pytest

from anomae.inference.decision import rules_of
from anomae.pages.batch import Pages
from anomae.pages.identifiers import pseudonym

from .made_up import HEALTHY, head, judged_as, study_of


def pages_in(folder: Path, **changes: object) -> Pages:
    given = {"single": False, "identify": False, "rules": rules_of(HEALTHY), "force": False} | changes
    return Pages(folder, **given)  # type: ignore[arg-type]


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def studies() -> list:
    return [study_of(head((9, 16, 16)), name=name) for name in ("Smith_John", "Doe_Jane")]


def test_one_scan_has_one_page_and_several_have_a_table(tmp_path, studies):
    single = pages_in(tmp_path, single=True)
    single.write(studies[0])
    assert single.is_current("Smith_John")
    assert single.finish([judged_as(studies[0])], []) == tmp_path / "study.html"
    assert files(tmp_path) == {"study.html"}
    several = pages_in(tmp_path)
    assert not several.is_current("Smith_John")
    for study in studies:
        several.write(study)
    assert several.finish([judged_as(study) for study in studies], ["A rule."]) == tmp_path / "index.html"
    labels = [pseudonym(study.name) for study in studies]
    pages = {f"studies/{label}/{name}" for label in labels for name in ("study.html", "thumbnail.jpg")}
    assert files(tmp_path) == {"index.html"} | pages
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "Smith" not in text
    assert "Doe" not in text
    assert all(f"studies/{label}/study.html" in text for label in labels)
    assert "../../index.html" in (tmp_path / "studies" / labels[0] / "study.html").read_text(encoding="utf-8")


def test_pages_that_name_somebody_are_removed_when_nobody_is_to_be_named(tmp_path, studies):
    named = pages_in(tmp_path, identify=True)
    for study in studies:
        named.write(study)
    named.finish([judged_as(study) for study in studies], [])
    assert "studies/Smith_John/study.html" in files(tmp_path)
    (tmp_path / "studies" / "Doe_Jane" / "notes.txt").write_text("a person's own", encoding="utf-8")
    quiet = pages_in(tmp_path)
    for study in studies:
        quiet.write(study)
    quiet.finish([judged_as(study) for study in studies], [])
    assert not any("Smith" in name for name in files(tmp_path))
    assert "studies/Doe_Jane/study.html" not in files(tmp_path)
    assert "studies/Doe_Jane/notes.txt" in files(tmp_path)


def test_a_page_by_other_rules_is_out_of_date(tmp_path, studies):
    pages_in(tmp_path).write(studies[0])
    assert pages_in(tmp_path).is_current("Smith_John")
    assert not pages_in(tmp_path, rules=rules_of(HEALTHY, threshold=0.3)).is_current("Smith_John")
    assert not pages_in(tmp_path, force=True).is_current("Smith_John")
    assert not pages_in(tmp_path, identify=True).is_current("Smith_John")


def test_a_page_made_of_another_template_is_out_of_date(tmp_path, studies, monkeypatch):
    before = pages_in(tmp_path, single=True)
    before.write(studies[0])
    assert pages_in(tmp_path, single=True).is_current("Smith_John")
    monkeypatch.setattr("anomae.pages.batch._looks", lambda: "another")
    assert not pages_in(tmp_path, single=True).is_current("Smith_John")
