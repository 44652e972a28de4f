"""A DICOM node that takes images by C-STORE; a study is scored once nothing of it has come for a while."""

import hashlib
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anomae.errors import NotWritten, UserError
from anomae.extras import require
from anomae.files import written_whole
from anomae.pacs.connection import EXTRA
from anomae.pacs.desk import Counts, Desk, open_desk
from anomae.pacs.errors import ArchiveTrouble
from anomae.pacs.images import is_image_class, why_not_scored
from anomae.pacs.node import TlsFiles, refuse_open_door, server_context
from anomae.pacs.query import is_uid
from anomae.pacs.remember import content_of, study_name
from anomae.pacs.score_study import HowToScore, check_room
from anomae.pacs.send import Sender
from anomae.pacs.stopping import Wish
from anomae.progress import say

_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_SUCCESS, _NO_ROOM, _NOT_UNDERSTOOD, _NOT_SCORED = 0x0000, 0xA700, 0xC000, 0xA900
_MOST_INSTANCE_BYTES = 2**31
_MOST_ASSOCIATIONS = 8
_TIMEOUT_S = 60.0
_LOOK_S = 0.5
_PARTING_S = 2.0  # for senders to close a connection that ends
_AGAIN_S = 30.0  # what could not be sent is tried again
_HEADER_LENGTH = 140  # where the length of what follows of a DICOM file's header stands, the value of (0002,0000)
_DONE = ".done-"  # begins the name of a study's folder that is being removed


@dataclass(frozen=True, slots=True)
class Door:
    """Where and for whom a node listens.

    allowed: AE titles that may send; empty: all, on this machine alone.  quiet_s: a study is complete when nothing of
    it has come for so long.
    """

    title: str
    port: int
    host: str = "127.0.0.1"
    allowed: tuple[str, ...] = ()
    tls: TlsFiles | None = None
    quiet_s: float = 30.0


@dataclass
class Shelf:
    """Images that came and are not scored yet, a folder a study; they survive a crash, as their senders rely on it.

    Threads of the node put images in, one other takes studies out.
    """

    folder: Path
    _came: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if self.folder.is_dir():
            for study in self.folder.iterdir():
                if study.name.startswith(_DONE):
                    shutil.rmtree(study, ignore_errors=True)
                    continue
                for part in study.rglob(".part-*"):
                    part.unlink()
                self._came[study.name] = time.monotonic()

    def put(self, image: Any) -> None:
        """Write an image to the disk.  Raises OSError and NotWritten where that fails."""
        study = study_name(str(image.StudyInstanceUID))
        modality = str(image.get("Modality", ""))
        series = _file_name(str(image.SeriesInstanceUID))
        series = f"{modality}-{series}" if modality.isalnum() and modality.isascii() and len(modality) < 17 else series
        path = self.folder / study / series / f"{_file_name(str(image.SOPInstanceUID))}.dcm"
        with self._lock:
            self._came[study] = time.monotonic()
        check_room(self.folder)
        with written_whole(path) as temporary:
            image.save_as(temporary, enforce_file_format=True)
        with self._lock:
            self._came[study] = time.monotonic()

    def quiet(self, seconds: float) -> Iterator[tuple[str, float]]:
        """Studies of which something lies there and nothing has come for so long, and when the last came.

        Nothing lies there of a study whose first image the disk had no room for.
        """
        with self._lock:
            came = dict(self._came)
        for study, last in came.items():
            if time.monotonic() - last >= seconds and self.images(study):
                yield study, last

    def images(self, study: str) -> dict[str, Path]:
        """The images of a study, by their names below its folder."""
        files = [file for file in (self.folder / study).rglob("*.dcm") if not file.name.startswith(".part-")]
        return {file.relative_to(self.folder / study).as_posix(): file for file in files}

    def take_out(self, study: str, last: float) -> None:
        """Remove a study that is dealt with, unless something of it has come since `last`."""
        with self._lock:
            if self._came.get(study) == last:
                del self._came[study]
                # Renamed first: half of a study, left by a kill, would be scored as one that has changed.
                done = self.folder / f"{_DONE}{study}"
                shutil.rmtree(done, ignore_errors=True)
                (self.folder / study).rename(done)
                shutil.rmtree(done, ignore_errors=True)


def receive(
    how: HowToScore, out: Path, door: Door, *, sender: Sender | None = None, wish: Wish | None = None
) -> Counts:
    """Take images and score their studies into `out`, until `wish` is expressed.

    sender: brings segmentations and reports to another node.  Images of a study are removed once it is scored, or could
    not be.  Raises UserError where the door may not be opened so or the port is taken, NotWritten where the disk is
    full, and as `anomae score`.
    """
    wish = wish or Wish()
    refuse_open_door(door.host, door.allowed, door.tls)
    with open_desk(how, out, f"C-STORE to {door.title}") as desk:
        if sender is not None:
            desk.target, desk.send = sender.node.name, sender
        shelf = Shelf(out / "incoming")
        with _open_node(door, shelf):
            say(f"{door.title} listens on {door.host}:{door.port}.")
            _work(desk, shelf, door, wish)
        say("Stopped. Give the same command again to go on from here.")
        return desk.counts


def _work(desk: Desk, shelf: Shelf, door: Door, wish: Wish) -> None:
    try_again, silent = 0.0, False
    while not wish.stopped:
        try:
            for study, last in shelf.quiet(door.quiet_s):
                if wish.stopped:
                    return
                _deal_with(desk, shelf, study, last)
            if time.monotonic() >= try_again:
                try_again = time.monotonic() + _AGAIN_S
                before = desk.counts.sent
                desk.deliver_all()
                if desk.counts.sent > before:
                    desk.memory.write_table()
                silent = False
        except ArchiveTrouble as error:
            if not silent:
                say(f"{error} Results wait and are sent later.")
            silent, try_again = True, time.monotonic() + _AGAIN_S
        wish.wait(_LOOK_S)


def _deal_with(desk: Desk, shelf: Shelf, study: str, last: float) -> None:
    """Score a quiet study unless the same images were scored before; then its images go.

    Images of a study that was dealt with before are scored as a part of their own: what was said of it stays.
    """
    what = _content(desk, shelf.images(study), study)
    part = desk.memory.part_of(study, what)
    try:
        if desk.memory.is_wanted(part, what):
            if part != study:
                say(f"Study {study}: more of it came once it had been dealt with, which is scored as {part}.")
            desk.memory.begin(part, what)
            desk.score(part, what, desk.incoming(study))
        else:
            desk.counts.known += 1
    except ArchiveTrouble:
        shelf.take_out(study, last)  # it is scored, only not sent
        raise
    finally:
        desk.memory.write_table()
    shelf.take_out(study, last)


def _content(desk: Desk, images: dict[str, Path], study: str) -> str:
    """A digest of images to the byte; by their sizes, where an earlier version, which noted no more, knew them so."""
    by_size = content_of([(name, file.stat().st_size) for name, file in images.items()])
    if desk.memory.has_had(study, by_size):
        return by_size
    return content_of([(name, _digest(file)) for name, file in images.items()])


def _digest(image: Path) -> str:
    """Of all that stands behind the file's header, which names the version of the library that wrote it."""
    with image.open("rb") as file:
        file.seek(_HEADER_LENGTH)
        file.seek(int.from_bytes(file.read(4), "little"), os.SEEK_CUR)
        return hashlib.file_digest(file, "blake2b").hexdigest()


@contextmanager
def _open_node(door: Door, shelf: Shelf) -> Iterator[None]:
    require("pynetdicom", EXTRA)
    from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
    from pynetdicom.sop_class import Verification

    entity = AE(door.title)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = _TIMEOUT_S
    entity.maximum_associations = _MOST_ASSOCIATIONS
    entity.require_called_aet = True
    entity.require_calling_aet = list(door.allowed)
    entity.add_supported_context(Verification)
    for context in AllStoragePresentationContexts:
        if is_image_class(str(context.abstract_syntax)):
            entity.add_supported_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES)
    try:
        node = entity.start_server(
            (door.host, door.port),
            block=False,
            ssl_context=None if door.tls is None else server_context(door.tls),
            evt_handlers=[
                (evt.EVT_C_STORE, _taken, [shelf]),
                (evt.EVT_PDU_RECV, _count),
                (evt.EVT_DIMSE_RECV, _forget),
            ],
        )
    except OSError as error:
        raise UserError(
            f"{door.host}:{door.port} cannot be listened on ({error.strerror}); give another --port."
        ) from error
    try:
        yield
    finally:
        node.shutdown()
        _part_from(entity.active_associations)


def _part_from(associations: list[Any]) -> None:
    """End what is still open: its threads would hold the program until its sender says something, or for a minute."""
    established = [one for one in associations if one.is_established]
    for one in established:
        one.abort(block=False)
    last = time.monotonic() + _PARTING_S
    while any(one.dul.is_alive() for one in established) and time.monotonic() < last:
        time.sleep(0.05)
    for one in associations:  # who does not close in time, or never said what it wants
        one.dul.kill_dul()


def _taken(event: Any, shelf: Shelf) -> int:
    """What a sender is answered: success only once its image is on the disk."""
    try:  # only what pydicom makes of the sender's bytes, which it does where an attribute is first looked at
        image = event.dataset
        image.file_meta = event.file_meta
        for name in (*_UIDS, "Manufacturer", "SOPClassUID", "Modality", "ImageType"):
            image.get(name)
    except (ValueError, TypeError, KeyError, AttributeError, EOFError, NotImplementedError):
        return _NOT_UNDERSTOOD
    if not all(is_uid(str(image.get(name, ""))) for name in _UIDS):
        return _NOT_UNDERSTOOD
    reason = why_not_scored(image)
    if reason:
        return _SUCCESS if reason == "a localizer" else _NOT_SCORED
    try:
        shelf.put(image)
    except (OSError, NotWritten):
        say("An image was not taken: the disk is full or cannot be written to.")
        return _NO_ROOM
    return _SUCCESS


def _count(event: Any) -> None:
    """Ends an association that sends more in one message than any image has."""
    association = event.assoc
    data = getattr(event.pdu, "presentation_data_value_items", None)
    if data is None:
        return
    association.anomae_bytes = getattr(association, "anomae_bytes", 0) + sum(len(one) for one in data)
    if association.anomae_bytes > _MOST_INSTANCE_BYTES:
        association.abort()


def _forget(event: Any) -> None:
    event.assoc.anomae_bytes = 0


def _file_name(uid: str) -> str:
    return hashlib.blake2b(uid.encode(), digest_size=6).hexdigest()
