"""A browser for each file of tests, and a page to look at."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from anomae.pages.study_page import write_study_page

from .chromium import chromium
from .made_up import head, study_of


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def page_of_a_head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "study.html"
    write_study_page(study_of(head()), path)
    return path
