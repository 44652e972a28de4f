"""The only process leads, and of several the first; that they meet is in tests/stages/test_fit_devices.py."""

import pytest

from anomae.training.leading import RANKS, leads, meet


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for rank in RANKS:
        monkeypatch.delenv(rank, raising=False)


def test_the_only_process_leads_and_meets_nobody() -> None:
    assert leads({})
    assert leads({"precision": "fp32", "devices": 2, "nodes": 1})
    meet()


@pytest.mark.parametrize("several", [{"devices": 2, "nodes": 1}, {"devices": 1, "nodes": 2}])
@pytest.mark.parametrize("rank", RANKS)
def test_of_several_the_first_leads(rank: str, several: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(rank, "0")
    assert leads(several)
    monkeypatch.setenv(rank, "1")
    assert not leads(several)


@pytest.mark.parametrize("alone", [{}, {"devices": 1, "nodes": 1}])
@pytest.mark.parametrize("rank", RANKS)
def test_a_fit_on_one_device_leads_in_whatever_task_it_runs(
    rank: str, alone: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(rank, "3")
    assert leads(alone)
