"""A study or series from a DICOMweb server (WADO-RS), instance by instance onto the disk."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from anomae.answers import PartialAnswer, require_whole
from anomae.errors import UnreadableScan
from anomae.extras import require

TOKEN = "ANOMAE_DICOMWEB_TOKEN"
_UID = r"[0-9][0-9.]{0,63}"
_STUDY = re.compile(rf"(?P<service>https?://.+)/studies/(?P<study>{_UID})(?:/series/(?P<series>{_UID}))?/?")
_PREFIX = "dicomweb+"
_AS_STORED = (("application/dicom", "*"),)


class Incomplete(OSError):
    """The server gave a part of what was asked for."""


def is_dicomweb(url: str) -> bool:
    """Whether it is the URL of a study or series on a DICOMweb server: http(s)://.../studies/UID[/series/UID]."""
    return _STUDY.fullmatch(url.removeprefix(_PREFIX)) is not None


def fetch_dicomweb(url: str, folder: Path, most_bytes: int) -> Path:
    """Every instance of a study (or series), in its transfer syntax as stored, into a folder a series below `folder`.

    Returns the folder of the series where the URL names one, `folder` else.  One instance is in memory at a time.
    A server that wants a name and password finds them in ~/.netrc; one that wants a bearer token, in the environment
    variable ANOMAE_DICOMWEB_TOKEN, which is sent by https (or to this machine itself) alone.  Raises UnreadableScan
    where nothing comes, images of another study (or series) come, or it is more than `most_bytes`; Incomplete where the
    answer is a part by its status or its end; MissingExtra without the extra `dicomweb`; and what the client raises.
    """
    match = _STUDY.fullmatch(url.removeprefix(_PREFIX))
    assert match is not None
    api = require("dicomweb_client.api", "dicomweb")
    requests = require("requests", "dicomweb")
    answers: list[Any] = []

    def kept(answer: Any, **_: Any) -> None:
        answers.append(answer)
        require_whole(answer)

    with requests.Session() as session:
        session.hooks["response"].append(kept)
        client = api.DICOMwebClient(url=match["service"], session=session, headers=_headers(match["service"]))
        client.set_http_retry_params(retry=False)  # by itself it asks five times, for half a minute
        try:
            if match["series"]:
                instances = client.iter_series(match["study"], match["series"], media_types=_AS_STORED)
            else:
                instances = client.iter_study(match["study"], media_types=_AS_STORED)
            written = _write(instances, url, match, folder, most_bytes)
        except PartialAnswer as error:
            sentence = str(error).removesuffix(".")
            raise Incomplete(sentence[:1].lower() + sentence[1:]) from error
        finally:
            for answer in answers:  # the client leaves one that it refuses open, and one that is not read to its end
                answer.close()
    if not written:
        raise UnreadableScan(f"{url} holds no instance.")
    return folder / match["series"] if match["series"] else folder


def _write(instances: Iterator[Any], url: str, asked: re.Match[str], folder: Path, most_bytes: int) -> int:
    """Write the instances, a folder a series; returns how many they are."""
    written, total = 0, 0
    for written, instance in enumerate(instances, start=1):
        study, series = (str(instance.get(name, "")) for name in ("StudyInstanceUID", "SeriesInstanceUID"))
        if not re.fullmatch(_UID, series):  # it becomes a folder's name
            raise UnreadableScan(f"{url} holds an instance without a proper SeriesInstanceUID.")
        if study != asked["study"] or series != (asked["series"] or series):
            raise UnreadableScan(f"{url} is answered with images of another study or series; ask who runs the server.")
        file = folder / series / f"{written:06d}.dcm"
        file.parent.mkdir(exist_ok=True)
        instance.save_as(file)
        total += file.stat().st_size
        if total > most_bytes:
            raise UnreadableScan(f"{url} holds more than the limit of {most_bytes:,} bytes.")
    return written


def _headers(service: str) -> dict[str, str]:
    token, parts = os.environ.get(TOKEN, ""), urlsplit(service)
    safe = parts.scheme == "https" or parts.hostname in ("localhost", "127.0.0.1", "::1")
    return {"Authorization": f"Bearer {token}"} if token and safe else {}
