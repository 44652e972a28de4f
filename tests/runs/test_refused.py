"""Of a refused run run.json goes, unless it was there before or something was done already."""

from pathlib import Path

import pytest

from anomae.errors import UserError
from anomae.runs.refused import nothing_left_of_a_refusal
from anomae.runs.run import Run


@pytest.mark.parametrize(
    ("new", "beside", "error", "left"),
    [
        (True, (".lock",), UserError, [".lock"]),
        (False, (), UserError, ["run.json"]),
        (True, ("journal.jsonl",), UserError, ["journal.jsonl", "run.json"]),
        (True, (), KeyboardInterrupt, ["run.json"]),
    ],
)
def test_what_is_left(tmp_path: Path, new: bool, beside: tuple[str, ...], error: type[BaseException], left: list[str]):
    for name in ("run.json", *beside):
        (tmp_path / name).touch()
    with pytest.raises(error), nothing_left_of_a_refusal(Run(tmp_path), new):
        raise error("No.")
    assert sorted(path.name for path in tmp_path.iterdir()) == left
