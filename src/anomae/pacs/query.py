"""Which studies are asked for: --study, --since, --query as parameters of QIDO."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches

from anomae.errors import UserError

UID = re.compile(r"[0-9]+(\.[0-9]+)*")
STUDY = "StudyInstanceUID"
LONGEST_UID = 64
_LONGEST = 256
_DAY = re.compile(r"[0-9]{8}")
_TAG = re.compile(r"[0-9A-Fa-f]{8}")


@dataclass(frozen=True, slots=True)
class Query:
    """Filters of QIDO, keyword -> value; repr shows no value, as that may be a patient's."""

    filters: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def studies(self) -> frozenset[str]:
        """UIDs of the studies that are asked for; empty where it is not for UIDs."""
        uids = frozenset(re.split(r"[\\,]", self._given(STUDY, "0020000D")))
        return uids if all(map(is_uid, uids)) else frozenset()

    def fits(self, study: str, date: str) -> bool:
        """Whether a listed study may be one that is asked for, by its UID and date alone.  date: "" if unknown."""
        first, to, last = self._given("StudyDate", "00080020").partition("-")
        told = date and (first or last) and all(_DAY.fullmatch(day) for day in (first, last, date) if day)
        if told and not first <= date <= (last or ("9" if to else first)):
            return False
        return not self.studies or study in self.studies

    def _given(self, keyword: str, tag: str) -> str:
        return self.filters.get(keyword) or self.filters.get(tag) or self.filters.get(tag.lower(), "")


def checked_query(study: str | None, since: str | None, assignments: Sequence[str]) -> Query:
    """From the command line.

    since: a day, 2024-01-31 or 20240131; assignments: KEY=VALUE, KEY a DICOM keyword or eight hexadecimal digits.
    Raises UserError where one is none, or two contradict one another.
    """
    filters: dict[str, str] = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals or not value or len(value) > _LONGEST or not value.isprintable():
            raise UserError(
                "--query takes KEY=VALUE, such as ModalitiesInStudy=MR; VALUE is one line that is not empty."
            )
        filters[_keyword(key)] = value
    for key, given in ((STUDY, _uid(study)), ("StudyDate", _from(since))):
        if given is None:
            continue
        if key in filters:
            raise UserError(f"--query {key} says the same as another option; give one of the two.")
        filters[key] = given
    return Query(filters)


def checked_since(text: str | None) -> date | None:
    """`--since` as it was given.  Raises UserError where it is no day."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UserError(f"--since is {text[:40]!r}; give a day, like 2024-01-31.") from error


def is_uid(text: str) -> bool:
    """Whether a text can be a UID: so much is asked before one becomes part of an address or a file name."""
    return len(text) <= LONGEST_UID and UID.fullmatch(text) is not None


def _uid(study: str | None) -> str | None:
    if study is not None and not is_uid(study):
        raise UserError("--study is no UID: numbers joined by dots, 64 characters at most.")
    return study


def _from(since: str | None) -> str | None:
    day = checked_since(since)
    return None if day is None else f"{day:%Y%m%d}-"


def _keyword(key: str) -> str:
    from pydicom.datadict import DicomDictionary, tag_for_keyword

    if _TAG.fullmatch(key) or tag_for_keyword(key) is not None:
        return key
    near = get_close_matches(key, [entry[4] for entry in DicomDictionary.values() if entry[4]], n=3)
    advice = f"Did you mean {' or '.join(near)}?" if near else "Give one such as ModalitiesInStudy."
    raise UserError(f"--query {key[:64]!r} is no DICOM keyword. {advice}")
