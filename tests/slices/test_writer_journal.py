"""A journal of a store that the disk damaged: what is sound is kept, the rest is prepared again, to the same bytes."""

from functools import partial

import numpy as np
import pytest

from anomae.errors import UserError
from anomae.files import read_json_lines
from anomae.progress import Silent, reporting
from anomae.slices.rows import rows_or_reason
from anomae.slices.split_rule import SplitRule
from anomae.slices.store import SliceStore
from anomae.slices.writer import JOURNAL, StoreWriter, begun_request

REQUEST = {"cohort": "made up", "settings": {"image_size": [16, 12]}, "seed": 0, "cases": "abcd"}


class Heard(Silent):
    def __init__(self):
        self.said = []

    def say(self, sentence):
        self.said.append(sentence)


@pytest.fixture
def cohort(make_case, make_cohort):
    healthy = {"lesions": False, "labels": np.zeros(6, np.int8)}
    return make_cohort(
        {"a": make_case(0, **healthy), "b": make_case(1), "c": make_case(2, **healthy), "d": make_case(3)}
    )


def begun(folder, cohort, settings, write):
    """A store with all its cases in, stopped before it was finished."""
    writer = StoreWriter(folder, REQUEST, settings)
    write(writer, cohort, SplitRule(), settings)
    writer.close()


def finished(folder, cohort, settings, write):
    writer = StoreWriter(folder, REQUEST, settings)
    before = writer.done
    write(writer, cohort, SplitRule(), settings)
    writer.write_index()
    writer.finish({})
    return before, {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def damage(path, line):
    lines = path.read_bytes().split(b"\n")
    lines[line - 1] = b"\x00" * len(lines[line - 1])
    path.write_bytes(b"\n".join(lines))


@pytest.mark.parametrize("line", [2, 3, 4, 5])
def test_the_cases_before_a_damaged_line_are_kept_and_the_others_prepared_again(cohort, small, write, tmp_path, line):
    _, whole = finished(tmp_path / "whole", cohort, small, write)
    begun(tmp_path / "store", cohort, small, write)
    damage(tmp_path / "store" / JOURNAL, line)
    heard = Heard()
    with reporting(heard):
        StoreWriter(tmp_path / "store", REQUEST, small).close()
    kept = line - 2
    assert heard.said == [
        f"Line {line} of {tmp_path / 'store' / JOURNAL} is damaged; the cases from there on are prepared again."
    ]
    assert len(read_json_lines(tmp_path / "store" / JOURNAL)) == 1 + kept
    before, again = finished(tmp_path / "store", cohort, small, write)
    assert before == kept
    assert again == whole
    assert len(SliceStore(tmp_path / "store").index)


def test_what_was_asked_for_is_never_guessed(cohort, small, write, tmp_path):
    begun(tmp_path / "store", cohort, small, write)
    damage(tmp_path / "store" / JOURNAL, 1)
    before = {path.name: path.read_bytes() for path in (tmp_path / "store").iterdir()}
    for ask in (lambda: begun_request(tmp_path / "store"), lambda: StoreWriter(tmp_path / "store", REQUEST, small)):
        with pytest.raises(UserError, match=r"first line of .* is damaged; remove"):
            ask()
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "store").iterdir()}


def test_a_case_that_was_skipped_is_tried_again_when_the_store_goes_on(cohort, small, write, tmp_path):
    _, whole = finished(tmp_path / "whole", cohort, small, write)
    sound, cohort.found["b"] = cohort.found["b"], "scans/b is cut short."
    begun(tmp_path / "store", cohort, small, write)
    read = partial(rows_or_reason, cohort=cohort, assigned=SplitRule(), settings=small)
    heard = Heard()
    with reporting(heard):  # still broken: nothing is lost
        again = StoreWriter(tmp_path / "store", REQUEST, small, cohort.cases(), read)
        again.close()
    assert heard.said == []
    assert (again.done, len(again.skipped)) == (4, 1)
    cohort.found["b"] = sound
    with reporting(heard):
        StoreWriter(tmp_path / "store", REQUEST, small, cohort.cases(), read).close()
    assert heard.said == ["scans/b was skipped and can be read now; this scan and the 2 behind it are prepared again."]
    before, mended = finished(tmp_path / "store", cohort, small, write)
    assert before == 1
    assert mended == whole
