"""The status with which a web server refuses, from what the clients raise: whether it passes, and what to do."""

from anomae.archive.dicomweb import TOKEN, is_dicomweb

_PASSING = (408, 425, 429)  # and all from 500 on
_NOT_IN, NOT_THERE = (401, 403, 407), (404, 410)


def status_of(error: BaseException | None) -> int | None:
    """The status of an HTTP answer that an error, or one behind it, is of; None where no answer came.

    Clients keep it each in their own way: aiohttp, requests, and dicomweb-client once it has asked in vain.
    """
    while error is not None:
        answer = getattr(error, "response", None)
        last = getattr(getattr(error, "last_attempt", None), "value", None)
        for keeper in (error, answer, last):
            for name in ("status", "status_code"):
                status = getattr(keeper, name, None)
                if isinstance(status, int):
                    return status
        error = error.__cause__
    return None


def passes(status: int) -> bool:
    """Whether the same may be answered otherwise soon."""
    return status in _PASSING or status >= 500


def why_for_good(file: str, status: int) -> str | None:
    """Why `file` need not be asked for again, a sentence with what to do; None where it may be."""
    if status in NOT_THERE:
        return f"{file} could not be fetched (status {status}): the server does not have it; mend the manifest."
    if status not in _NOT_IN:
        return None
    way = f"a bearer token by the environment variable {TOKEN} (sent by https alone), or name and password by ~/.netrc"
    if not is_dicomweb(file):
        way = "credentials by the environment or the configuration of fsspec"
    return f"{file} could not be fetched (status {status}): the server does not let you in; give {way}."
