"""Lists that an archive cuts, repeats or fills with what nobody asked for: nothing is left out without a word."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomae.errors import UserError
from anomae.pacs.dicomweb import Archive
from anomae.pacs.lists import PAGE, asked_for, entries
from anomae.pacs.pull import pull
from anomae.pacs.query import Query
from anomae.pacs.remember import study_name
from anomae.pacs.score_study import HowToScore

from .archives import MadeUpStudy, SmallArchive
from .test_pull import rows, states

STUDY_UID = "0020000D"


def entry(uid: str, date: str = "") -> dict:
    return {STUDY_UID: {"Value": [uid]}, "00080020": {"Value": [date]}} if uid else {}


def listed(uids: list[str], *, heeds_start: bool = True, longest: int = PAGE) -> tuple[list[str], list[str]]:
    """What is made of a list, and the sentences on it."""
    notes: list[str] = []

    def ask(start: int, limit: int) -> list[dict]:
        start = start if heeds_start else 0
        return [entry(uid) for uid in uids[start : start + min(limit, longest)]]

    found = entries(ask, STUDY_UID, "studies", notes.append, 500, UserError("too many"))
    return [uid for uid, _ in found], notes


@given(st.lists(st.sampled_from(["", "1.2.abc", "../x", "1." * 40, *(f"1.{n}" for n in range(9))])), st.integers(1, 9))
def test_each_proper_uid_is_listed_once_and_the_others_are_counted(uids: list[str], longest: int) -> None:
    found, notes = listed(list(dict.fromkeys(uids)), longest=longest)
    assert found == [uid for uid in dict.fromkeys(uids) if uid.count(".") == 1 and uid[2:].isdigit()]
    others = len(set(uids)) - len(found)
    assert [note.rpartition(": ")[2] for note in notes] == [f"{others}."] * (others > 0)


def test_a_page_that_repeats_is_doubted_where_the_archive_cut_it() -> None:
    uids = [f"1.2.{number}" for number in range(250)]
    assert listed(uids) == (uids, [])
    found, (note,) = listed(uids, heeds_start=False)
    assert found == uids[:PAGE]
    assert note.startswith("Doubt: the archive repeats a page of its list of studies")
    assert listed(uids[:40], heeds_start=False) == (uids[:40], [])
    for endless in (["1.2"], ["x"]):
        with pytest.raises(UserError, match="too many"):
            listed([f"{endless[0]}.{number}" for number in range(700)])


def test_what_was_not_asked_for_is_left_out() -> None:
    notes: list[str] = []
    page = [entry("1.1", "20240101"), entry("1.2", "20240301"), entry("1.3"), entry("1.4", "2024.01.01")]
    there = [(one[STUDY_UID]["Value"][0], one) for one in page]

    def found(**filters: str) -> list[str]:
        return [study.uid for study in asked_for(Query(filters), iter(there), notes.append)]

    assert found() == found(PatientID="7") == ["1.1", "1.2", "1.3", "1.4"]
    assert notes == []
    assert found(StudyDate="20240201-") == ["1.2", "1.3", "1.4"]
    assert notes == ["The archive's list of studies has entries that were not asked for, which are left out: 1."]
    assert found(StudyInstanceUID="1.2") == ["1.2"]


def test_pull_scores_the_one_study_that_is_asked_for_whatever_is_listed(
    small_archive: SmallArchive, studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path
) -> None:
    def spoil(path: str, parameters: dict, answer: tuple) -> tuple:
        if not path.endswith("/studies"):
            return answer
        page = small_archive.listed(0, [], {})
        return (*answer[:2], json.dumps([{STUDY_UID: {"Value": ["1.2.abc"]}}, *page]).encode())

    small_archive.spoil = spoil
    archive, out = Archive(small_archive.url), tmp_path / "out"
    assert states(pull(archive, how, out, Query({"StudyInstanceUID": studies[1].uid}))) == (1, 0, 0)
    assert [*rows(out)] == [study_name(studies[1].uid)]
    with pytest.raises(UserError, match="has no study of this UID"):
        pull(archive, how, out, Query({"StudyInstanceUID": "1.2.3"}))
    small_archive.files = studies[1].files
    counts = pull(archive, how, out, Query({"PatientID": "7"}))
    assert counts.reasons == ["The archive's list of studies has entries without a proper UID, which are left out: 1."]
