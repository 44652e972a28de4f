"""Names of DICOM nodes as they are given, and files for TLS."""

from collections.abc import Callable
from pathlib import Path

import pytest

from anomae.errors import UserError
from anomae.pacs.node import Node, TlsFiles, checked_node, checked_title, checked_tls, client_context, server_context


def test_a_node_is_host_port_and_title() -> None:
    assert checked_node("pacs.example.org:104/MY PACS/1") == Node("pacs.example.org", 104, "MY PACS/1")
    assert checked_node("127.0.0.1:4242/ORTHANC").name == "127.0.0.1:4242/ORTHANC"


@pytest.mark.parametrize(
    "text", ["pacs:104", "pacs:0/A", "pacs:65536/A", ":104/A", "pacs:104/", "pacs:104/" + 17 * "A"]
)
def test_what_is_no_node_is_refused(text: str) -> None:
    with pytest.raises(UserError):
        checked_node(text)


def test_titles_are_those_of_the_standard() -> None:
    assert checked_title(" ANOMAE ") == "ANOMAE"
    for text in ("", "  ", "A\\B", "A\nB", "Ä", 17 * "A"):
        with pytest.raises(UserError):
            checked_title(text)


def test_tls_needs_all_three_files(tmp_path: Path, certificates: Callable[[str], TlsFiles]) -> None:
    assert checked_tls(None, None, None) is None
    files = certificates("ours")
    assert checked_tls(files.certificate, files.key, files.ca) == files
    for wrong in [(files.certificate, None, None), (files.certificate, files.key, tmp_path / "missing")]:
        with pytest.raises(UserError, match="--tls-"):
            checked_tls(*wrong)
    for context in (server_context, client_context):
        with pytest.raises(UserError, match="do not fit"):
            context(TlsFiles(files.certificate, files.certificate, files.ca))
