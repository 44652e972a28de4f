"""The only process leads, and of several the first."""

import pytest

from anomae.training.leading import RANKS, leads


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for rank in RANKS:
        monkeypatch.delenv(rank, raising=False)


def test_the_only_process_leads() -> None:
    assert leads()


@pytest.mark.parametrize("rank", RANKS)
def test_of_several_the_first_leads(rank: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(rank, "0")
    assert leads()
    monkeypatch.setenv(rank, "1")
    assert not leads()
