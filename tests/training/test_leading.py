"""The only process leads, and of several the first; that they meet is in tests/stages/test_fit_devices.py."""

import pytest

from anomae.training.leading import RANKS, leads, meet


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for rank in RANKS:
        monkeypatch.delenv(rank, raising=False)


def test_the_only_process_leads_and_meets_nobody() -> None:
    assert leads()
    meet()


@pytest.mark.parametrize("rank", RANKS)
def test_of_several_the_first_leads(rank: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(rank, "0")
    assert leads()
    monkeypatch.setenv(rank, "1")
    assert not leads()
