"""An archive behind DICOMweb: studies listed by QIDO, images fetched by WADO, results stored by STOW; all bounded."""

import hashlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from anomae.answers import PartialAnswer
from anomae.errors import UserError
from anomae.extras import require
from anomae.files import written_whole
from anomae.pacs.connection import EXTRA, MOST_LIST_BYTES, Credentials, Limits, checked_url, open_session
from anomae.pacs.errors import ArchiveRefuses, ArchiveTrouble, StudyTrouble, told_if_cut
from anomae.pacs.images import NOT_SCORED, why_not_scored
from anomae.pacs.lists import Entry, ListedSeries, ListedStudy, Note, asked_for, count, entries, text
from anomae.pacs.query import Query
from anomae.pacs.remember import content_of
from anomae.pacs.score_study import check_room
from anomae.progress import say

MOST_STUDIES = 20_000  # of one list
_MOST_SERIES = 2_000
_MOST_SERIES_BYTES, _MOST_INSTANCE_BYTES = 2**34, 2**31
_MOST_INSTANCES = 50_000  # of a series
_PIECE = 2**20
_LATER = (408, 429, 502, 503, 504)
_NOT_IN = (401, 403, 407)
_TIMEOUT_S = (10.0, 60.0)
_LEVELS = ("Study", "Series", "SOP")


class Archive:
    """A DICOMweb server.  `url`: with the path under which studies lie, such as https://pacs.example.org/dicom-web."""

    def __init__(self, url: str, credentials: Credentials | None = None, ca: Path | None = None) -> None:
        """Open no connection yet.

        Raises UserError for a URL that is none or unsafe, MissingExtra where dicomweb-client is not installed.
        """
        credentials = credentials or Credentials()
        self.url = checked_url(url, credentials)
        api = require("dicomweb_client.api", EXTRA)
        self._limits = Limits()
        self.session = open_session(self.url, credentials, ca, self._limits)
        self._client = api.DICOMwebClient(
            self.url, session=self.session, chunk_size=_PIECE, permissive_uid=True, timeout=_TIMEOUT_S
        )
        self._client.set_http_retry_params(retry=False)

    @property
    def name(self) -> str:
        """What it is called in messages: its address, no more."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}{parts.path}"

    def studies(self, query: Query, note: Note = say) -> Iterator[ListedStudy]:
        """Studies that fit, each once; what it lists besides is left out.

        note: called with a sentence on what is left out, and where the list may not be all.  Raises UserError where it
        lists more than MOST_STUDIES.
        """

        def ask(start: int, limit: int) -> list[Entry]:
            return self._list(
                self._client.search_for_studies,
                limit=limit,
                offset=start,
                fields=["NumberOfStudyRelatedInstances"],
                search_filters=dict(query.filters),
            )

        too_many = UserError(f"The archive lists more than {MOST_STUDIES} studies; ask for fewer, with --since.")
        return asked_for(query, entries(ask, "0020000D", "studies", note, MOST_STUDIES, too_many), note)

    def answers(self, query: Query) -> bool:
        """Whether it lists studies now, whatever else it does not answer."""
        try:
            next(self.studies(query, lambda sentence: None), None)
        except (ArchiveTrouble, StudyTrouble):
            return False
        return True

    def series(self, study: str, note: Note = say) -> list[ListedSeries]:
        """Series of a study that may hold images to be scored; those whose modality says otherwise are left out.

        note: as of `studies`.
        """

        def ask(start: int, limit: int) -> list[Entry]:
            fields = ["NumberOfSeriesRelatedInstances"]
            return self._list(self._client.search_for_series, study, limit=limit, offset=start, fields=fields)

        too_many = StudyTrouble(f"The archive lists more than {_MOST_SERIES} series of one study.")
        listed = entries(ask, "0020000E", "a study's series", note, _MOST_SERIES, too_many)
        found = [(uid, text(entry, "00080060"), count(entry, "00201209")) for uid, entry in listed]
        return [ListedSeries(*one) for one in found if one[1] not in NOT_SCORED]

    def download(self, study: str, series: Sequence[ListedSeries], folder: Path, go_on: Callable[[], None]) -> int:
        """Fetch the images of these series, one folder a series; returns how many there are.

        go_on: called between images; may raise Stopped.  Raises StudyTrouble where the archive gives less than it
        lists, or something else.
        """
        return sum(self._series(study, one, folder, go_on) for one in series)

    def has(self, study: str, series: str, instance: str) -> bool:
        """Whether an instance is there."""
        page = self._list(
            self._client.search_for_instances, study, series, limit=1, search_filters={"SOPInstanceUID": instance}
        )
        return any(text(entry, "00080018") == instance for entry in page)

    def store(self, files: Sequence[Path]) -> int:
        """Store DICOM files, those left out that are there already; returns how many were stored.

        Stored is what the answer names so, or what is there afterwards.  Raises StudyTrouble where one was not taken.
        """
        import pydicom

        stored = 0
        for file in files:
            with warnings.catch_warnings():  # pydicom quotes what it finds odd, and that may be a name
                warnings.simplefilter("ignore")
                header = pydicom.dcmread(file)
                study, series, instance = (str(header[f"{level}InstanceUID"].value) for level in _LEVELS)
                if self.has(study, series, instance):
                    continue
                try:
                    with self._asking(MOST_LIST_BYTES):
                        answer = self._client.store_instances([header], study_instance_uid=study)
                except (AttributeError, TypeError):  # pydicom, of JSON that is no data set, says nothing of the file
                    answer = pydicom.Dataset()
                if answer.get("FailedSOPSequence"):
                    reason = int(answer.FailedSOPSequence[0].get("FailureReason", 0) or 0)
                    raise StudyTrouble(f"The archive did not take {file.name} (reason {reason:#06x}).")
                named = (str(one.get("ReferencedSOPInstanceUID")) for one in answer.get("ReferencedSOPSequence") or ())
                if instance not in named and not self.has(study, series, instance):
                    raise StudyTrouble(f"The archive does not say that it took {file.name}, nor does it list it.")
            stored += 1
        return stored

    def ask_json(self, address: str, parameters: dict[str, str] | None = None) -> Any:
        """What a server answers at an address beside its DICOMweb; None where there is nothing, or no JSON."""
        with self._asking(MOST_LIST_BYTES):
            response = self.session.get(address, params=parameters, headers={"Accept": "application/json"})
            if response.status_code in (400, 404, 405, 406):
                return None
            response.raise_for_status()
            try:
                return response.json()
            except ValueError:
                return None

    def _list(self, ask: Callable[..., Any], *arguments: Any, **options: Any) -> list[Entry]:
        with self._asking(MOST_LIST_BYTES):
            page = ask(*arguments, **options)
        if not isinstance(page, list) or not all(isinstance(entry, dict) for entry in page):
            raise StudyTrouble("The archive's list is none: it is no JSON array of objects.")
        return page

    def _series(self, study: str, one: ListedSeries, folder: Path, go_on: Callable[[], None]) -> int:
        name = _file_name(one.uid)
        into = folder / (f"{one.modality}-{name}" if one.modality.isalnum() and one.modality.isascii() else name)
        seen, kept = 0, 0
        cut = f"{self.name} gives an image that is cut short."
        with self._asking(_MOST_SERIES_BYTES, _MOST_INSTANCE_BYTES), warnings.catch_warnings(), told_if_cut(cut):
            warnings.simplefilter("ignore")
            for image in self._client.iter_series(study, one.uid, media_types=(("application/dicom", "*"),)):
                self._limits.next_part()
                go_on()
                seen += 1
                if seen > _MOST_INSTANCES:
                    raise StudyTrouble(f"The archive gives more than {_MOST_INSTANCES} images of one series.")
                if str(image.get("StudyInstanceUID")) != study or str(image.get("SeriesInstanceUID")) != one.uid:
                    raise StudyTrouble("The archive gives images of another series than it was asked for.")
                # A capture or a report may lie among the slices of a series, so no object tells of those behind it.
                if not why_not_scored(image):
                    check_room(folder)
                    _write(image, into / f"{_file_name(str(image.SOPInstanceUID))}.dcm")
                    kept += 1
        if seen < one.images:
            raise StudyTrouble(f"The archive gave {seen} of the {one.images} images that it lists of a series.")
        return kept

    @contextmanager
    def _asking(self, whole: int, part: int | None = None) -> Iterator[None]:
        """Answers of so many bytes at most; what goes wrong is told in our words, without the address.

        part: of each image, where images are asked for, which have to come whole.
        """
        import requests
        from pydicom.errors import InvalidDicomError
        from retrying import RetryError

        self._limits.whole, self._limits.part, self._limits.complete = whole, part or whole, part is not None
        try:
            yield
        except requests.exceptions.HTTPError as error:
            raise _of_status(error.response.status_code, self.name) from None
        except requests.exceptions.SSLError as error:
            raise ArchiveRefuses(f"The certificate of {self.name} is not one to trust; --ca names your own.") from error
        except (requests.exceptions.InvalidURL, requests.exceptions.TooManyRedirects) as error:
            raise ArchiveRefuses(f"{self.name} does not lead to an archive.") from error
        except (requests.exceptions.JSONDecodeError, InvalidDicomError, KeyError, ValueError) as error:
            raise StudyTrouble(f"What {self.name} answers is no DICOMweb ({type(error).__name__}).") from error
        except PartialAnswer as error:
            raise StudyTrouble(f"{self.name} does not give all images of a series. {error}") from error
        except (requests.exceptions.RequestException, RetryError) as error:
            raise ArchiveTrouble(f"{self.name} does not answer ({type(error).__name__}).") from error
        finally:
            self.session.get_adapter(self.url).end_answer()


def content(series: Sequence[ListedSeries]) -> str:
    """A digest of which images a study has."""
    return content_of([(one.uid, one.images) for one in series])


def _of_status(status: int, name: str) -> UserError:
    if status in _NOT_IN:
        return ArchiveRefuses(f"{name} does not let us in (status {status}); give --token-file, or --user.")
    if status in _LATER:
        return ArchiveTrouble(f"{name} does not answer now (status {status}).")
    return StudyTrouble(f"{name} answers with status {status}.")


def _write(image: Any, path: Path) -> None:
    with written_whole(path) as temporary:
        image.save_as(temporary, enforce_file_format=True)


def _file_name(uid: str) -> str:
    return hashlib.blake2b(uid.encode(), digest_size=6).hexdigest()
