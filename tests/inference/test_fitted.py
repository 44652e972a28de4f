"""The fitted folder: what is damaged in prepare.json is said."""

from pathlib import Path
from typing import Any

import pytest

from anomae.errors import UserError
from anomae.files import write_json
from anomae.inference.fitted import load_preparation


@pytest.mark.parametrize("prepared", [{}, {"settings": None}, {"settings": "x"}, {"settings": []}])
def test_a_preparation_without_settings_is_said_to_be_damaged(tmp_path: Path, prepared: dict[str, Any]) -> None:
    write_json(tmp_path / "fitted.json", {})
    write_json(tmp_path / "prepare.json", prepared)
    with pytest.raises(UserError, match=r"prepare\.json is not whole: it holds no settings; copy it again"):
        load_preparation(tmp_path)
