"""Images sent by C-STORE: taken once they are on the disk, scored when quiet, results sent on; who may not, may not."""

import gc
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import MRImageStorage, SegmentationStorage, Verification

from anomae.errors import NotWritten, UserError
from anomae.pacs import receive as module
from anomae.pacs.node import Node, TlsFiles, client_context
from anomae.pacs.receive import Door, receive
from anomae.pacs.remember import study_name
from anomae.pacs.score_study import HowToScore
from anomae.pacs.send import Sender
from anomae.pacs.stopping import Wish
from anomae.progress import Console, Silent, reporting

from .archives import MadeUpStudy, Orthanc, free_port
from .test_pull import rows


class Listening(Silent):
    """Notes when the node listens."""

    def __init__(self) -> None:
        self.event = threading.Event()

    def say(self, sentence: str) -> None:
        if " listens on " in sentence:
            self.event.set()


@contextmanager
def receiving(how: HowToScore, out: Path, sender: Sender | None = None, **options: Any) -> Iterator[Door]:
    """A node in a thread, until the block ends; what it raised is raised here."""
    door = Door("ANOMAE", free_port(), **{"quiet_s": 1.5, **options})
    wish, raised, listening = Wish(), [], Listening()

    def work() -> None:
        try:
            with reporting(listening):
                receive(how, out, door, sender=sender, wish=wish)
        except Exception as error:  # noqa: BLE001  raised again in the test's thread
            raised.append(error)
            listening.event.set()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert listening.event.wait(30)
        if not raised:
            yield door
    finally:
        wish.stop()
        thread.join(60)
        collect()
    assert not thread.is_alive()
    if raised:
        raise raised[0]


def collect() -> None:
    """pynetdicom leaves a socket to the collector where the other end was gone first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def sent(
    door: Door, files: list[Path], title: str = "SCANNER", called: str = "", tls: TlsFiles | None = None
) -> list[int] | None:
    """The status of each file; None where there was no association."""
    entity = AE(title)
    entity.connection_timeout = entity.acse_timeout = 5
    entity.add_requested_context(MRImageStorage)
    entity.add_requested_context(Verification)
    context = None if tls is None else (client_context(tls), "localhost")
    association = entity.associate(door.host, door.port, ae_title=called or door.title, tls_args=context)
    if not association.is_established:
        return None
    try:
        assert association.send_c_echo().Status == 0
        return [int(association.send_c_store(pydicom.dcmread(file)).Status) for file in files]
    finally:
        association.release()


def until(done: Callable[[], bool]) -> None:
    for _ in range(600):
        if done():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def states(out: Path) -> list[str]:
    return [row["state"] for row in rows(out).values()] if (out / "studies.csv").exists() else []


def test_a_study_is_scored_once_quiet_and_its_results_arrive(
    orthanc: Orthanc, studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path
) -> None:
    out, sender = tmp_path / "out", Sender(Node("127.0.0.1", orthanc.dicom, orthanc.title), "ANOMAE")
    with receiving(how, out, sender) as door:
        assert sent(door, studies[0].files) == [0] * 8
        until(lambda: states(out) == ["sent"])
        reports = orthanc.of_modality("SR")
        assert len(reports) == 1
        until(lambda: not any((out / "incoming").iterdir()))
        assert sent(door, studies[0].files) == [0] * 8  # once more: known
        until(lambda: not any((out / "incoming").iterdir()))
    assert [*rows(out)] == [study_name(studies[0].uid)]
    assert orthanc.of_modality("SR") == reports
    assert len([*out.rglob("scans.csv")]) == 1


def test_what_came_is_not_lost_where_the_program_ends_and_the_archive_is_away(
    orthanc: Orthanc, studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_AGAIN_S", 0.2)
    out, sender = tmp_path / "out", Sender(Node("127.0.0.1", orthanc.dicom, orthanc.title), "ANOMAE")
    with receiving(how, out, sender, quiet_s=600) as door:
        assert sent(door, studies[1].files) == [0] * 8
    assert len([*(out / "incoming").rglob("*.dcm")]) == 8
    (next((out / "incoming").iterdir()) / ".part-0123.dcm").write_bytes(b"cut short")
    orthanc.stop()
    with receiving(how, out, sender):
        until(lambda: states(out) == ["scored"])
        orthanc.start()
        until(lambda: len(orthanc.of_modality("SR")) == 1)
        until(lambda: states(out) == ["sent"])
    assert states(out) == ["sent"]
    assert not any((out / "incoming").iterdir())


def test_what_comes_late_takes_nothing_away_from_what_was_said_before(
    studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path
) -> None:
    out, files = (
        tmp_path / "out",
        sorted(studies[0].files, key=lambda file: pydicom.dcmread(file).ImagePositionPatient[2]),
    )
    first = study_name(studies[0].uid)
    with receiving(how, out) as door:
        sent(door, files[3:])
        until(lambda: states(out) == ["scored"] and not any((out / "incoming").iterdir()))
        before, scans = rows(out)[first], (out / "studies" / first / "scans.csv").read_bytes()
        for late in (files[:3], files[:3], files[3:], files[2:3]):  # the second and third are known
            sent(door, late)
            until(lambda: not any((out / "incoming").iterdir()))
    assert before["flag"] == "1"
    assert [*rows(out)] == [first, f"{first}-2", f"{first}-3"]
    assert rows(out)[first] == before
    assert (out / "studies" / first / "scans.csv").read_bytes() == scans
    assert f"images of {first} that came once it had been dealt with" in rows(out)[f"{first}-2"]["reason"]
    assert [*(out / "studies" / f"{first}-2" / "dicom").glob("*-sr.dcm")]


def test_a_disk_that_is_full_for_a_moment_fails_no_study_and_ends_nothing(
    studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path) -> None:
        raise NotWritten(folder, "no room")

    out = tmp_path / "out"
    with receiving(how, out, quiet_s=0.5) as door:
        with monkeypatch.context() as patch:
            patch.setattr(module, "check_room", full)
            assert sent(door, studies[0].files[:1]) == [0xA700]
        time.sleep(1.5)  # quiet for long enough
        assert sent(door, studies[0].files) == [0] * 8
        until(lambda: states(out) == ["scored"])
    assert [*rows(out)] == [study_name(studies[0].uid)]


def test_who_is_not_allowed_is_refused(studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path) -> None:
    file = studies[0].files[:1]
    with receiving(how, tmp_path / "out", allowed=("SCANNER",), quiet_s=600) as door:
        assert sent(door, file, title="OTHER") is None
        assert sent(door, file, called="OTHER") is None
        assert sent(door, file) == [0]
        entity = AE("SCANNER")
        entity.add_requested_context(SegmentationStorage)  # what is never scored is not taken
        association = entity.associate(door.host, door.port, ae_title=door.title)
        assert [one.result for one in association.rejected_contexts] != []
        association.abort()
    assert len([*(tmp_path / "out" / "incoming").rglob("*.dcm")]) == 1


def test_other_machines_need_names_and_a_warning(
    how: HowToScore, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(UserError, match="--allow"):
        receive(how, tmp_path / "out", Door("ANOMAE", free_port(), "0.0.0.0"))
    wish = Wish()
    wish.stop()
    with reporting(Console()):
        receive(how, tmp_path / "out", Door("ANOMAE", free_port(), "0.0.0.0", ("A",)), wish=wish)
    assert "an AE title is no password" in capsys.readouterr().err
    with receiving(how, tmp_path / "one") as door, pytest.raises(UserError, match="cannot be listened on"):
        receive(how, tmp_path / "two", door)


def test_images_that_do_no_good_are_answered_so(studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path) -> None:
    def changed(name: str, **attributes: Any) -> Path:
        image = pydicom.dcmread(studies[0].files[0])
        with pydicom.config.disable_value_validation():
            for key, value in attributes.items():
                setattr(image, key, value)
        image.save_as(tmp_path / name)
        return tmp_path / name

    files = [
        changed("own.dcm", Manufacturer="anomae"),
        changed("path.dcm", StudyInstanceUID="../../etc"),
        changed("localizer.dcm", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
    ]
    # As under the command line, which shows nothing of what pydicom finds odd.
    with receiving(how, tmp_path / "out", quiet_s=600) as door, pydicom.config.disable_value_validation():
        assert sent(door, files) == [0xA900, 0xC000, 0]
    assert [*tmp_path.glob("out/incoming/*")] == []


def test_senders_that_keep_their_associations_do_not_keep_the_node_from_ending(
    studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path
) -> None:
    with receiving(how, tmp_path / "out", quiet_s=600) as door, socket.socket() as silent:
        silent.connect((door.host, door.port))
        entity = AE("SCANNER")
        entity.add_requested_context(MRImageStorage)
        idle = [entity.associate(door.host, door.port, ae_title=door.title) for _ in range(7)]
        assert all(one.is_established for one in idle)
        assert idle[0].send_c_store(pydicom.dcmread(studies[0].files[0])).Status == 0
        theirs = [one for one in threading.enumerate() if isinstance(one, Association) and one.is_acceptor]
        assert len(theirs) == 8
        begun = time.monotonic()
    assert time.monotonic() - begun < 20
    until(lambda: not any(one.dul.is_alive() for one in theirs))
    assert time.monotonic() - begun < 20
    until(lambda: all(one.is_aborted for one in idle))


def test_too_long_a_message_ends_the_association(
    studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = pydicom.dcmread(studies[0].files[0])
    image.PixelData = bytes(2**20)
    image.save_as(tmp_path / "large.dcm")
    monkeypatch.setattr(module, "_MOST_INSTANCE_BYTES", 2**18)
    with receiving(how, tmp_path / "out", quiet_s=600) as door:
        assert sent(door, studies[0].files) == [0] * 8  # the limit is each message's
        entity = AE("SCANNER")
        entity.add_requested_context(MRImageStorage)
        association = entity.associate(door.host, door.port, ae_title=door.title)
        answer = association.send_c_store(pydicom.dcmread(tmp_path / "large.dcm"))
        assert "Status" not in answer
        until(lambda: association.is_aborted or not association.is_established)
    assert len([*(tmp_path / "out" / "incoming").rglob("*.dcm")]) == 8


def test_only_who_has_a_certificate_gets_in(
    studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path, certificates: Callable[[str], TlsFiles]
) -> None:
    ours, foreign = certificates("ours"), certificates("foreign")
    with receiving(how, tmp_path / "out", tls=ours, quiet_s=600) as door, socket.socket() as silent:
        silent.connect((door.host, door.port))  # keeps nobody else waiting, nor the node from stopping
        assert sent(door, studies[0].files[:1]) is None
        assert sent(door, studies[0].files[:1], tls=foreign) is None
        assert sent(door, studies[0].files[:1], tls=ours) == [0]


def test_results_that_a_node_does_not_take_are_said(studies: list[MadeUpStudy], tmp_path: Path) -> None:
    from anomae.pacs.errors import ArchiveTrouble, StudyTrouble

    file = studies[0].files[0]
    port = free_port()
    node = Node("127.0.0.1", port, "STORE")
    with pytest.raises(ArchiveTrouble, match="cannot be reached"):
        Sender(node, "ANOMAE")([file])
    entity = AE("STORE")
    entity.supported_contexts = AllStoragePresentationContexts
    status = 0xA700
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, lambda _: status)])
    try:
        with pytest.raises(StudyTrouble, match="0xa700"):
            Sender(node, "ANOMAE")([file])
        status = 0xB007  # a warning: stored
        assert Sender(node, "ANOMAE")([file]) == 1
        assert Sender(node, "ANOMAE")([]) == 0
    finally:
        server.shutdown()
