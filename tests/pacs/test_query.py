"""Which studies are asked for."""

import pytest

from anomae.errors import UserError
from anomae.pacs.query import checked_query, is_uid


def test_options_become_filters() -> None:
    query = checked_query("1.2.3", "2024-01-31", ["ModalitiesInStudy=MR", "00100010=A=B"])
    assert query.filters == {
        "ModalitiesInStudy": "MR",
        "00100010": "A=B",
        "StudyInstanceUID": "1.2.3",
        "StudyDate": "20240131-",
    }
    assert "A=B" not in repr(query)


@pytest.mark.parametrize(
    ("study", "since", "assignments"),
    [
        ("1.2/../3", None, []),
        ("1." * 33 + "1", None, []),
        (None, "yesterday", []),
        (None, None, ["PatientName"]),
        (None, None, ["PatientName="]),
        (None, None, ["PatientName=a\nb"]),
        (None, "2024-01-31", ["StudyDate=20200101"]),
    ],
)
def test_what_is_none_is_refused(study: str | None, since: str | None, assignments: list[str]) -> None:
    with pytest.raises(UserError):
        checked_query(study, since, assignments)


def test_a_keyword_nearly_right_is_named() -> None:
    with pytest.raises(UserError, match="Did you mean ModalitiesInStudy"):
        checked_query(None, None, ["ModalitysInStudy=MR"])
    assert [is_uid(text) for text in ("1.2.840", "", "1..2", "a.b", "1.2\n")] == [True, False, False, False, False]
