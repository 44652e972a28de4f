"""Which studies are asked for."""

import pytest

from anomae.errors import UserError
from anomae.pacs.query import Query, checked_query, is_uid


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


def test_a_query_tells_which_listed_studies_it_is_for() -> None:
    assert Query({"0020000d": r"1.2\1.3"}).studies == Query({"StudyInstanceUID": "1.3,1.2"}).studies == {"1.2", "1.3"}
    assert Query({"StudyInstanceUID": "*"}).studies == Query({"PatientID": "1.2"}).studies == frozenset()
    assert Query({"StudyInstanceUID": "1.2"}).fits("1.2", "20240101")
    assert not Query({"StudyInstanceUID": "1.2"}).fits("1.3", "")
    for days, fits in (
        ("20240131-", [False, True, True]),
        ("-20240131", [True, True, False]),
        ("20240131", [False, True, False]),
        ("20240201-20240301", [False, False, True]),
        ("today", [True, True, True]),
        ("-", [True, True, True]),
    ):
        query = Query({"StudyDate": days})
        assert [query.fits("1.2", date) for date in ("20240130", "20240131", "20240201")] == fits
        assert query.fits("1.2", "")
        assert query.fits("1.2", "2024.01.30")
    assert Query().fits("1.2", "20240131")
