"""A part of an answer never passes for all of it, however its pieces are cut."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomae.answers import PartialAnswer, require_whole

MULTIPART = 'multipart/related; type="application/dicom"; boundary={}'
BODY = b"\r\n--a b\r\n\r\none --a b-- of them\r\n--a b\r\n\r\ntwo"
END = b"\r\n--a b--\r\n"


class Raw:
    """As of urllib3: pieces of a body."""

    version = 11

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces

    def stream(self, amount: int, decode_content: bool | None = None) -> Iterator[bytes]:
        yield from self.pieces


@dataclass
class Answer:
    raw: Any
    status_code: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": MULTIPART.format('"a b"')})


def pieces(body: bytes, cuts: list[int]) -> list[bytes]:
    at = [0, *sorted(cut % len(body) for cut in cuts), len(body)]
    return [body[start:end] for start, end in pairwise(at)]


@given(st.lists(st.integers(0, 200)), st.integers(0, len(END) - 3), st.binary(max_size=9))
def test_several_parts_need_the_boundary_that_closes_them(cuts: list[int], kept: int, behind: bytes) -> None:
    answer = Answer(Raw(pieces(BODY + END + behind, cuts)))
    require_whole(answer)
    assert b"".join(answer.raw.stream(8)) == BODY + END + behind
    assert answer.raw.version == 11
    answer = Answer(Raw(pieces(BODY + END[:kept], cuts)))
    require_whole(answer)
    with pytest.raises(PartialAnswer, match="breaks off"):
        list(answer.raw.stream(8))


def test_no_part_at_all_is_whole_and_other_kinds_have_no_boundary() -> None:
    answer = Answer(Raw([b"--a b--"]))
    require_whole(answer)
    assert list(answer.raw.stream(8)) == [b"--a b--"]
    for kind in ({}, {"Content-Type": "application/dicom+json; charset=utf-8"}, {"Content-Type": "multipart/related"}):
        raw = Raw([b"[]"])
        answer = Answer(raw, headers=kind)
        require_whole(answer)
        assert answer.raw is raw


def test_a_status_that_says_so_is_believed() -> None:
    with pytest.raises(PartialAnswer, match="206"):
        require_whole(Answer(Raw([]), 206))
