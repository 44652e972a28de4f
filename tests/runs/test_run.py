"""The folder of a run: what is damaged in run.json is said."""

from pathlib import Path

import pytest

from anomae.errors import UserError
from anomae.files import write_json
from anomae.runs.run import Run


@pytest.mark.parametrize(
    "facts", [{}, {"store": "s"}, {"store_fingerprint": "f"}, {"store": 3, "store_fingerprint": "f"}]
)
def test_a_run_that_does_not_name_its_store_is_said_to_be_damaged(tmp_path: Path, facts: dict[str, object]) -> None:
    write_json(tmp_path / "run.json", facts)
    with pytest.raises(UserError, match=r"run\.json is not whole: it does not name its store; copy it again"):
        Run(tmp_path).open_store()
