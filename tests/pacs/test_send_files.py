"""DICOM files sent from the command line: all that are some arrive as they were; what is not taken is told."""

import shutil
from pathlib import Path

import pydicom
import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import MRImageStorage
from typer.testing import CliRunner

from anomae.cli import pacs_commands  # noqa: F401 - adds its commands
from anomae.cli.app import app
from anomae.errors import UserError
from anomae.pacs.errors import ArchiveTrouble
from anomae.pacs.node import Node
from anomae.pacs.send import Sender
from anomae.pacs.send_files import send_files

from .archives import MadeUpStudy, Orthanc, free_port
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
        assert ended.exit_code == 0, ended.output
        assert ended.output == f"Sent: 9 file(s) to {node}; not taken: 0; no DICOM: 2.\n"
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
