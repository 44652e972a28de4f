"""What is sent to an archive, and to nobody else; how much of what it answers is taken."""

from pathlib import Path

import pytest

from anomae.errors import UserError
from anomae.pacs.connection import Credentials, Limits, checked_url, is_loopback, read_credentials
from anomae.pacs.errors import StudyTrouble
from anomae.progress import Console, reporting

SECRET = Credentials(token="s3cret")


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "ftp://pacs/dicom-web", "pacs.example.org/dicom-web", "https://", "https://pacs:port/"),
        *("https://me:word@pacs/dicom-web", "https://pacs/dicom-web?x=1", "https://[::1]/dicom-web", "https://pacs/#a"),
    ],
)
def test_a_url_that_is_none_or_unsafe_is_refused(url: str) -> None:
    with pytest.raises(UserError) as refused:
        checked_url(url, Credentials())
    assert "word" not in str(refused.value).replace("password", "")


def test_credentials_travel_encrypted_or_not_at_all(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(UserError, match="https"):
        checked_url("http://pacs.example.org/dicom-web", SECRET)
    with reporting(Console()):
        assert checked_url("http://pacs.example.org/dicom-web/", Credentials()) == "http://pacs.example.org/dicom-web"
        assert "unencrypted" in capsys.readouterr().err
        for url in ("https://pacs.example.org/dicom-web", "http://127.0.0.1:8042/dicom-web", "http://localhost/x"):
            assert checked_url(url, SECRET) == url
    assert capsys.readouterr().err == ""
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost")] == [True] * 3
    assert [is_loopback(host) for host in ("127.0.0.1.example.org", "0.0.0.0", "10.0.0.1", "")] == [False] * 4


def test_secrets_come_from_files_and_are_never_shown(tmp_path: Path) -> None:
    token, empty, lines = tmp_path / "token", tmp_path / "empty", tmp_path / "lines"
    token.write_text("s3cret\n")
    empty.write_text("\n")
    lines.write_text("a\nb")
    assert read_credentials(token, None, None) == SECRET
    assert read_credentials(None, "me", token) == Credentials(user="me", password="s3cret")
    assert "s3cret" not in repr(read_credentials(None, "me", token)) + repr(SECRET)
    assert not read_credentials(None, None, None)
    for wrong in [(token, "me", token), (None, "me", None), (None, None, token), (None, "m:e", token)]:
        with pytest.raises(UserError):
            read_credentials(*wrong)
    for path in (empty, lines, tmp_path / "missing"):
        with pytest.raises(UserError, match=path.name):
            read_credentials(path, None, None)


def test_an_answer_is_counted_in_all_and_by_part() -> None:
    limits = Limits(whole=10, part=4)
    limits.begin()
    for _ in range(2):
        limits.count(4)
        limits.next_part()
    with pytest.raises(StudyTrouble, match="limit"):
        limits.count(3)
    limits.begin()
    with pytest.raises(StudyTrouble, match="4 bytes"):
        limits.count(5)
    limits.begin()
    limits.ends = 0.0
    with pytest.raises(StudyTrouble, match="takes longer"):
        limits.count(1)
