"""The status of a web server's refusal is found wherever a client keeps it; what may pass is asked for again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomae.archive.statuses import passes, status_of, why_for_good


class Answer:
    def __init__(self, status):
        self.status_code = status

    def __bool__(self):
        return False  # as an answer of requests that refuses


def raised(client, status):
    """As these clients say it; `behind`: fsspec's, in whose place a missing file is raised."""
    error = OSError("no") if client != "behind" else FileNotFoundError("no")
    if client == "aiohttp":
        error.status = status
    elif client == "requests":
        error.response = Answer(status)
    elif client == "retrying":
        error.last_attempt = type("Attempt", (), {"value": Answer(status)})()
    else:
        error.__cause__ = raised("aiohttp", status)
    return error


@given(st.sampled_from(["aiohttp", "requests", "retrying", "behind"]), st.integers(100, 599))
def test_each_status_is_found_and_passes_or_is_for_good_but_never_both(client, status):
    assert status_of(raised(client, status)) == status
    assert not (passes(status) and why_for_good("https://host/a.nii", status))
    assert passes(status) or status < 500


def test_an_error_without_an_answer_has_none():
    assert status_of(ConnectionResetError("reset")) is None
    assert status_of(None) is None


@pytest.mark.parametrize(
    ("file", "status", "said"),
    [
        ("https://host/studies/1.2", 401, "ANOMAE_DICOMWEB_TOKEN"),
        ("https://host/a.nii.gz", 403, "configuration of fsspec"),
        ("https://host/a.nii.gz", 404, "does not have it"),
    ],
)
def test_what_is_for_good_says_what_to_do(file, status, said):
    sentence = why_for_good(file, status)
    assert sentence.startswith(f"{file} could not be fetched (status {status}): ")
    assert said in sentence
    assert why_for_good(file, 500) is None
