"""DICOM files sent from the command line: all that are some arrive as they were; what is not taken is told."""

import errno
import shutil
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, RLELossless
from pynetdicom import AE, evt
from pynetdicom.sop_class import MRImageStorage
from typer.testing import CliRunner

from anomae.cli import pacs_commands  # noqa: F401 - adds its commands
from anomae.cli.app import app
from anomae.errors import UserError
from anomae.pacs.errors import ArchiveTrouble, StudyTrouble, told_if_cut
from anomae.pacs.node import Node
from anomae.pacs.send import Sender
from anomae.pacs.send_files import send_files

from .archives import INSIDE, MadeUpStudy, Orthanc, free_port, with_open_sequence
from .test_receive import collect


def test_what_is_sent_is_in_the_archive_once_and_as_it_was(
    orthanc: Orthanc, studies: list[MadeUpStudy], tmp_path: Path
) -> None:
    shutil.copytree(studies[0].folder, tmp_path / "deep" / "er")
    (tmp_path / "notes.txt").write_text("no DICOM")
    (tmp_path / "cut.dcm").write_bytes(studies[0].files[0].read_bytes()[:200])
    node = f"127.0.0.1:{orthanc.dicom}/{orthanc.title}"
    for _ in range(2):  # a second time the archive knows them
        ended = CliRunner().invoke(app, ["send", node, str(tmp_path), str(studies[1].files[0])])
        assert ended.exit_code == 2, ended.output
        assert ended.output == (
            f"Sent: 9 file(s) to {node}; not taken: 1; no DICOM: 1.\n"
            "cut.dcm is cut short or broken, and was not sent; copy it again.\n"
        )
    assert orthanc.get("/statistics")["CountInstances"] == 9
    sent = {pydicom.dcmread(file).SOPInstanceUID: pydicom.dcmread(file) for file in studies[0].files}
    for name in orthanc.of_modality("MR"):
        (tmp_path / "back.dcm").write_bytes(orthanc.file(name))
        back = pydicom.dcmread(tmp_path / "back.dcm")
        assert back.SOPInstanceUID not in sent or back == sent.pop(back.SOPInstanceUID)
    assert sent == {}


def test_what_a_node_does_not_take_is_told_and_the_rest_goes_on(
    studies: list[MadeUpStudy], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anomae.pacs.send._MOST_FILES", 3)  # several associations
    other = pydicom.dcmread(studies[0].files[0])
    other.SOPClassUID = other.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    other.save_as(tmp_path / "other.dcm")
    came: list[str] = []

    def taken(event: evt.Event) -> int:
        came.append(event.dataset.SOPInstanceUID)
        return 0xA700 if len(came) == 2 else 0x0000

    entity, port = AE("STORE"), free_port()
    entity.add_supported_context(MRImageStorage)
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, taken)])
    try:
        found = send_files(Sender(Node("127.0.0.1", port, "STORE"), "ANOMAE"), [studies[0].folder, tmp_path])
    finally:
        server.shutdown()
        collect()
    assert len(came) == len(set(came)) == 8
    assert (found.files, found.others) == (7, 0)
    (full, kind) = found.refused
    assert "0xa700" in full
    assert "takes nothing of the kind of other.dcm" in kind


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # pynetdicom leaves the socket to the collector
def test_nothing_to_send_and_nobody_to_take_it(studies: list[MadeUpStudy], tmp_path: Path) -> None:
    nobody = Sender(Node("127.0.0.1", free_port(), "STORE"), "ANOMAE")
    with pytest.raises(UserError, match="does not exist"):
        send_files(nobody, [tmp_path / "missing"])
    with pytest.raises(UserError, match="No DICOM file"):
        send_files(nobody, [tmp_path])
    with pytest.raises(ArchiveTrouble, match="It took 0 or more of 8"):
        send_files(nobody, [studies[0].folder])
    collect()


@pytest.fixture
def store() -> Iterator[tuple[Node, list[str]]]:
    """A node that takes MR alone, and the UIDs of what came."""
    came: list[str] = []

    def taken(event: evt.Event) -> int:
        came.append(event.dataset.SOPInstanceUID)
        return 0x0000

    entity, port = AE("STORE"), free_port()
    entity.add_supported_context(MRImageStorage, [ExplicitVRLittleEndian, RLELossless, DeflatedExplicitVRLittleEndian])
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, taken)])
    try:
        yield Node("127.0.0.1", port, "STORE"), came
    finally:
        server.shutdown()
        collect()


def test_a_node_that_takes_none_of_the_kinds_answers_all_the_same(
    studies: list[MadeUpStudy], tmp_path: Path, store: tuple[Node, list[str]]
) -> None:
    for number, file in enumerate(studies[0].files[:2]):
        image = pydicom.dcmread(file)
        image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        image.save_as(tmp_path / f"{number}.dcm")
    node, came = store
    found = send_files(Sender(node, "ANOMAE"), [tmp_path])
    assert (found.files, came) == (0, [])
    assert found.refused == [f"{node.name} takes nothing of the kind of {number}.dcm." for number in range(2)]
    with pytest.raises(StudyTrouble, match="takes nothing of the kind of"):  # so that `receive --send` goes on
        Sender(node, "ANOMAE")([tmp_path / "0.dcm"])


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, DeflatedExplicitVRLittleEndian])
def test_a_file_that_is_cut_short_is_not_sent_as_a_whole_one(
    studies: list[MadeUpStudy], tmp_path: Path, store: tuple[Node, list[str]], syntax: UID
) -> None:
    image = pydicom.dcmread(studies[0].files[4])
    if syntax == RLELossless:
        image.compress(RLELossless)
    image.file_meta.TransferSyntaxUID = syntax
    image.save_as(tmp_path / "whole.dcm")
    whole = (tmp_path / "whole.dcm").read_bytes()
    pixels = max(whole.rfind(b"\xe0\x7f\x10\x00"), 140)
    for left in (*range(140, len(whole) - 8, 97), pixels, pixels + 6):
        (tmp_path / f"cut{left}.dcm").write_bytes(whole[:left])
    node, came = store
    found = send_files(Sender(node, "ANOMAE"), [tmp_path])
    assert (found.files, came) == (1, [image.SOPInstanceUID])
    assert found.others == 0
    assert sorted(reason.split()[0] for reason in found.refused) == sorted(file.name for file in tmp_path.glob("cut*"))
    assert all("is cut short" in reason and "was not sent; copy it again" in reason for reason in found.refused)


def test_a_file_that_is_cut_within_a_sequence_keeps_no_other_waiting(
    studies: list[MadeUpStudy], tmp_path: Path, store: tuple[Node, list[str]]
) -> None:
    """Of undefined length, as highdicom and scanners write them: where such a one ends, pydicom raises an OSError."""
    image, whole = with_open_sequence(studies[0].files[4])
    (tmp_path / "whole.dcm").write_bytes(whole)
    inside = range(whole.index(b"\x08\x00\x40\x11") + 1, whole.index(INSIDE) + 30)
    for left in inside:
        (tmp_path / f"cut{left}.dcm").write_bytes(whole[:left])
    node, came = store
    found = send_files(Sender(node, "ANOMAE"), [tmp_path])
    assert (found.files, found.others, len(found.refused)) == (1, 0, len(inside))
    assert came == [image.SOPInstanceUID]
    for left in (inside[0], inside[-1]):
        with pytest.raises(StudyTrouble, match=f"cut{left}.dcm is cut short"):  # as `receive --send` does it
            Sender(node, "ANOMAE")([tmp_path / f"cut{left}.dcm"])


def test_a_folder_of_cut_files_alone_lists_them(studies: list[MadeUpStudy], tmp_path: Path) -> None:
    (tmp_path / "cut.dcm").write_bytes(studies[0].files[0].read_bytes()[:300])
    found = send_files(Sender(Node("127.0.0.1", free_port(), "STORE"), "ANOMAE"), [tmp_path])
    assert (found.files, found.others, len(found.refused)) == (0, 0, 1)


def test_a_disk_that_fails_is_no_cut_file() -> None:
    with pytest.raises(OSError, match="No space"), told_if_cut("cut"):
        raise OSError(errno.ENOSPC, "No space left")
    with pytest.raises(TimeoutError), told_if_cut("cut"):
        raise TimeoutError("timed out")
    for error in (OSError("No tag to read"), EOFError(), struct.error(), zlib.error()):
        with pytest.raises(StudyTrouble, match="cut"), told_if_cut("cut"):
            raise error


@pytest.mark.parametrize("kind", ["77.1.5.3", "131", "68.2", "4.2"])
def test_what_has_no_pixels_by_its_kind_is_whole(
    studies: list[MadeUpStudy], tmp_path: Path, store: tuple[Node, list[str]], kind: str
) -> None:
    """Stereometric relationships, a structured display and others: the node is asked, and takes none of them."""
    image = pydicom.dcmread(studies[0].files[0])
    for name in [one.keyword for one in image if one.tag.group >= 0x28]:
        del image[name]
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = f"1.2.840.10008.5.1.4.1.1.{kind}"
    image.save_as(tmp_path / "header.dcm")
    found = send_files(Sender(store[0], "ANOMAE"), [tmp_path])
    assert found.refused == [f"{store[0].name} takes nothing of the kind of header.dcm."]
