"""What no study can be scored by is refused before any study is looked at, so none is blamed for it."""

from pathlib import Path
from typing import Any

import pytest

from anomae.errors import UserError
from anomae.pacs.score_study import HowToScore


@pytest.mark.parametrize("wrong", [{"threshold": float("nan")}, {"threshold": float("inf")}, {"bounds": (0.05, 2.0)}])
def test_a_threshold_or_bound_that_can_be_none_is_refused_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"finite number|between 0 and 1"):
        HowToScore(Path("run"), **wrong)
