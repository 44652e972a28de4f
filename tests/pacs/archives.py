"""Archives for tests: a real Orthanc, and a small DICOMweb server for what no Orthanc does."""

import json
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pydicom

STORED = "00081199"  # ReferencedSOPSequence: what STOW was answered


@dataclass(frozen=True)
class MadeUpStudy:
    folder: Path
    uid: str

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.glob("*.dcm"))


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


INSIDE = b"1.2.3.4.5.6"  # a UID within `with_open_sequence`


def with_open_sequence(file: Path) -> tuple[pydicom.Dataset, bytes]:
    """An image with a sequence of undefined length, as scanners write them, and its file."""
    image, item, into = pydicom.dcmread(file), pydicom.Dataset(), BytesIO()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, INSIDE.decode()
    item.is_undefined_length_sequence_item = True
    image.ReferencedImageSequence = [item]
    image["ReferencedImageSequence"].is_undefined_length = True
    image.save_as(into)
    return image, into.getvalue()


class Orthanc:
    """A real archive on loopback, with storage of its own; may be stopped, killed and started again."""

    title = "ORTHANC"

    def __init__(self, folder: Path, plugin: Path) -> None:
        self.folder, self.http, self.dicom = folder, free_port(), free_port()
        self.root = f"http://127.0.0.1:{self.http}"
        self.url = f"{self.root}/dicom-web"
        self._process: subprocess.Popen[bytes] | None = None
        settings = {
            "Name": "anomae-test",
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "storage"),
            "HttpPort": self.http,
            "DicomPort": self.dicom,
            "DicomAet": self.title,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": True,
            "RegisteredUsers": {"reader": "reads"},
            "StableAge": 1,
            "SaveJobs": False,
            "DicomAlwaysAllowStore": True,
            "DicomAlwaysAllowEcho": True,
            "Plugins": [str(plugin)],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
            "DicomModalities": {},
        }
        (folder / "settings.json").write_text(json.dumps(settings))

    def start(self) -> None:
        log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen(["Orthanc", str(self.folder / "settings.json")], stdout=log, stderr=log)
        log.close()
        for _ in range(300):
            assert self._process.poll() is None, (self.folder / "log").read_text()[-2000:]
            try:
                self.get("/system")
                return
            except OSError:
                time.sleep(0.1)
        raise AssertionError((self.folder / "log").read_text()[-2000:])

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(20)
        self._process = None

    def get(self, path: str) -> Any:
        return json.loads(self._ask("GET", path))

    def put(self, file: Path) -> None:
        self._ask("POST", "/instances", file.read_bytes())

    def empty(self) -> None:
        for study in self.get("/studies"):
            self._ask("DELETE", f"/studies/{study}")

    def file(self, instance: str) -> bytes:
        return self._ask("GET", f"/instances/{instance}/file")

    def of_modality(self, modality: str) -> list[str]:
        """Orthanc's names of all instances of a modality."""
        series = [self.get(f"/series/{name}") for name in self.get("/series")]
        return [name for one in series if one["MainDicomTags"]["Modality"] == modality for name in one["Instances"]]

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(f"{self.root}{path}", body, method=method)
        request.add_header("Authorization", "Basic cmVhZGVyOnJlYWRz")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=20) as answer:
            return bytes(answer.read())


@dataclass
class SmallArchive:
    """A DICOMweb server in a thread, for archives that misbehave.

    files: DICOM files that it has.  spoil: called with a request's path, its parameters and what is about to be
    answered (status, headers, body), before it is sent; returns what is sent, None to cut the connection.
    """

    files: list[Path] = field(default_factory=list)
    spoil: Callable[[str, dict[str, str], tuple[int, dict[str, str], bytes]], Any] | None = None
    asked: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)
    stored: list[bytes] = field(default_factory=list)
    url: str = ""

    def headers(self) -> list[Any]:
        return [pydicom.dcmread(file, stop_before_pixels=True) for file in self.files]

    def answer(self, method: str, path: str, parameters: dict[str, str], body: bytes) -> tuple[int, dict, bytes]:
        parts = path.strip("/").split("/")[1:]
        json_type = {"Content-Type": "application/dicom+json"}
        if method == "POST":
            self.stored.append(body)
            image = pydicom.dcmread(BytesIO(body.partition(b"\r\n\r\n")[2]), stop_before_pixels=True)
            taken = {"00081155": {"vr": "UI", "Value": [image.SOPInstanceUID]}}
            return 200, json_type, json.dumps({STORED: {"vr": "SQ", "Value": [taken]}}).encode()
        kinds = {("studies",): 0, ("studies", "series"): 1, ("studies", "series", "instances"): 2}
        level = kinds.get(tuple(parts[::2]))
        given = parts[1::2]
        if level is not None and len(given) == level:
            return 200, json_type, json.dumps(self.listed(level, given, parameters)).encode()
        if parts[::2] == ["studies", "series"] and len(given) == 2:
            images = [
                file.read_bytes()
                for file, header in zip(self.files, self.headers(), strict=True)
                if [header.StudyInstanceUID, header.SeriesInstanceUID] == given
            ]
            body = b"".join(b"\r\n--xx\r\nContent-Type: application/dicom\r\n\r\n" + image for image in images)
            return (
                200,
                {"Content-Type": 'multipart/related; type="application/dicom"; boundary=xx'},
                body + b"\r\n--xx--",
            )
        return 404, {}, b""

    def listed(self, level: int, given: list[str], parameters: dict[str, str]) -> list[dict]:
        names = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
        tags = ("0020000D", "0020000E", "00080018")
        counts = ("00201208", "00201209")
        found: dict[str, dict] = {}
        for header in self.headers():
            if [header[name].value for name in names[:level]] != given:
                continue
            uid = str(header[names[level]].value)
            if parameters.get(names[level], uid) != uid:
                continue
            entry = found.setdefault(uid, {tags[level]: {"vr": "UI", "Value": [uid]}})
            entry["00080060"] = {"vr": "CS", "Value": [header.Modality]}
            if level < 2:
                count = entry.setdefault(counts[level], {"vr": "IS", "Value": [0]})
                count["Value"][0] += 1
        start = int(parameters.get("offset", 0))
        return [*found.values()][start : start + int(parameters.get("limit", 1000))]


@contextmanager
def serving(archive: SmallArchive) -> Iterator[SmallArchive]:
    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._both("GET")

        def do_POST(self) -> None:
            self._both("POST")

        def _both(self, method: str) -> None:
            address = urlsplit(self.path)
            parameters = {key: values[0] for key, values in parse_qs(address.query).items()}
            archive.asked.append((address.path, parameters, dict(self.headers)))
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer: Any = archive.answer(method, address.path, parameters, body)
            if archive.spoil is not None:
                answer = archive.spoil(address.path, parameters, answer)
            self.close_connection = True
            if answer is None:
                self.connection.close()
                return
            status, headers, content = answer
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), "Connection": "close", **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

        def handle(self) -> None:
            with suppress(OSError, ValueError):  # whoever asked has gone; or the test cut the connection
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    archive.url = f"http://127.0.0.1:{server.server_port}/dicom-web"
    try:
        yield archive
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
