"""The journal: what is wanted after any end, however often, and what is refused."""

from pathlib import Path

import pytest

from anomae.errors import UserError
from anomae.pacs.remember import MOST_ENDS, MOST_TRIES, Memory, content_of, study_name


def opened(folder: Path) -> Memory:
    return Memory(folder, "model", "archive")


def test_every_step_survives_the_end_of_the_program(tmp_path: Path) -> None:
    memory = opened(tmp_path / "out")
    assert memory.is_wanted("a", "1")
    memory.begin("a", "1")
    assert opened(tmp_path / "out").is_wanted("a", "1")
    memory.scored("a", "1", {"flag": True, "score": 1.0, "scans": 1, "findings": 2, "reason": ""})
    later = opened(tmp_path / "out")
    assert not later.is_wanted("a", "1")
    assert not later.is_wanted("a", "1", retry=True)
    assert later.is_wanted("a", "2")  # more images came
    assert [one.study for one in later.unsent("there")] == ["a"]
    later.sent("a", "there")
    assert opened(tmp_path / "out").unsent("there") == []
    assert [one.study for one in opened(tmp_path / "out").unsent("elsewhere")] == ["a"]
    later.reached(7)
    again = opened(tmp_path / "out")
    assert again.sequence == 7
    again.write_table()
    assert (tmp_path / "out" / "studies.csv").read_text().splitlines()[1] == "a,sent,1,1.0,1,2,there,,studies/a"


def test_what_comes_once_a_study_is_over_is_a_part_of_its_own(tmp_path: Path) -> None:
    memory = opened(tmp_path)
    assert memory.part_of("a", "1") == "a"
    memory.begin("a", "1")
    assert memory.part_of("a", "2") == "a"  # nothing was said of it yet
    memory.scored("a", "1", {"flag": True, "score": 1.0})
    assert memory.part_of("a", "1") == "a"
    assert memory.part_of("a", "2") == "a-2"
    memory.begin("a-2", "2")
    memory.failed("a-2", "2", "broken", again=False)
    again = opened(tmp_path)
    assert [again.part_of("a", content) for content in "123"] == ["a", "a-2", "a-3"]


def test_a_flag_stays_until_there_is_another(tmp_path: Path) -> None:
    memory, facts = opened(tmp_path), {"flag": True, "score": 1.0, "scans": 1, "findings": 2, "reason": ""}
    memory.scored("a", "1", facts)
    memory.sent("a", "there")
    steps = [
        lambda one: one.begin("a", "2"),
        lambda one: one.put_back("a", "2"),
        lambda one: one.begin("a", "2"),
        lambda one: one.failed("a", "2", "half of it came", again=True),
    ]
    reasons = ["is still to come", "is still to come", "is still to come", "failed: half of it came"]
    for step, reason in zip(steps, reasons, strict=True):
        step(opened(tmp_path))
        again = opened(tmp_path)
        assert again.is_wanted("a", "2")
        assert again.unsent("there") == []
        again.write_table()
        (line,) = (tmp_path / "studies.csv").read_text().splitlines()[1:]
        assert line.endswith(f",1,1.0,1,2,there,earlier result; scoring anew {reason},studies/a")
    again.scored("a", "2", {**facts, "flag": False})
    assert [one.study for one in opened(tmp_path).unsent("there")] == ["a"]
    again.begin("a", "3")
    again.empty("a", "3", "nothing")
    again.write_table()
    assert (tmp_path / "studies.csv").read_text().splitlines()[1] == "a,nothing to score,,,,,,nothing,"


def test_a_study_that_ends_the_program_each_time_is_left_alone(tmp_path: Path) -> None:
    for _ in range(MOST_ENDS):
        memory = opened(tmp_path)
        assert memory.is_wanted("a", "1")
        memory.begin("a", "1")
    assert not opened(tmp_path).is_wanted("a", "1")
    assert opened(tmp_path).is_wanted("a", "1", retry=True)
    opened(tmp_path).write_table()
    assert f"begun {MOST_ENDS} times and never ended" in (tmp_path / "studies.csv").read_text()


def test_what_is_not_a_studys_fault_is_no_try(tmp_path: Path) -> None:
    memory = opened(tmp_path)
    for _ in range(3 * MOST_TRIES):
        memory.begin("a", "1")
        memory.put_back("a", "1")
        memory.put_back("a", "1")  # twice, or for another reason, is no try either, nor less than none
        memory.put_back("a", "1", "503")
        memory.put_back("a", "1", "503")
    assert len((tmp_path / "journal.jsonl").read_text().splitlines()) == 1 + 3 * 3 * MOST_TRIES
    assert (memory.of("a").tries, opened(tmp_path).of("a").tries) == (0, 0)
    assert memory.is_wanted("a", "1")
    for _ in range(MOST_TRIES):
        assert opened(tmp_path).is_wanted("a", "1")
        memory.begin("a", "1")
        memory.failed("a", "1", "half of it came", again=True)
    assert not memory.is_wanted("a", "1")
    assert memory.is_wanted("a", "1", retry=True)
    memory.begin("b", "1")
    memory.failed("b", "1", "broken", again=False)
    assert not memory.is_wanted("b", "1")
    assert memory.is_wanted("b", "1", retry=True)


def test_folders_of_others_are_refused(tmp_path: Path) -> None:
    opened(tmp_path / "out")
    for model, source in (("other", "archive"), ("model", "other")):
        with pytest.raises(UserError, match="another folder"):
            Memory(tmp_path / "out", model, source)
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "a.nii.gz").touch()
    with pytest.raises(UserError, match="something else"):
        opened(tmp_path / "scans")


def test_names_say_nothing_and_contents_have_no_order() -> None:
    assert study_name("1.2.3") == study_name("1.2.3") != study_name("1.2.4")
    assert "1.2.3" not in study_name("1.2.3")
    assert content_of([("1", 2), ("2", 3)]) == content_of([("2", 3), ("1", 2)]) != content_of([("1", 2), ("2", 4)])


def test_what_was_sent_earlier_is_not_what_is_to_be_scored_anew(tmp_path: Path) -> None:
    memory = opened(tmp_path)
    memory.scored("a", "1", {"flag": True, "score": 1.0})
    memory.begin("a", "2")
    memory.put_back("a", "2")
    memory.sent("a", "there")
    for one in (memory, opened(tmp_path)):
        assert one.is_wanted("a", "2")
        assert one.of("a").state == "put back"
