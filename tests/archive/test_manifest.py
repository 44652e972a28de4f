"""What a manifest may look like, and what is said of one that cannot be used."""

import gc
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fsspec
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st

from anomae.archive.manifest import Entry, Manifest, digest_of, in_shards
from anomae.errors import MissingExtra, UserError


def entries(path):
    return list(Manifest(str(path)).entries())


def test_csv_and_parquet_say_the_same(tmp_path):
    files, patients = ["a.nii.gz", "/x/b.nii", "s3://bucket/c.nii", "sub/ümlaut ,.nii"], ["p1", "", "p3", "p4"]
    rows = [("p1", "a.nii.gz"), ("", "/x/b.nii"), ("p3", "s3://bucket/c.nii"), ("p4", '"sub/ümlaut ,.nii"')]
    text = "site,patient,file\n" + "".join(f"9,{patient},{file}\n" for patient, file in rows)
    (tmp_path / "list.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    parquet.write_table(pa.table({"file": files, "patient": patients, "site": [9] * 4}), tmp_path / "list.parquet")
    found = entries(tmp_path / "list.csv")
    assert found == entries(tmp_path / "list.parquet")
    assert found == [
        Entry(0, str(tmp_path / "a.nii.gz"), "p1"),
        Entry(1, "/x/b.nii", ""),
        Entry(2, "s3://bucket/c.nii", "p3"),
        Entry(3, str(tmp_path / "sub/ümlaut ,.nii"), "p4"),
    ]
    assert Manifest(str(tmp_path / "list.csv")).count() == 4


@pytest.mark.parametrize("word", ["NA", "nan", "n/a", "None", " ", "-", ""])
def test_a_patient_who_is_missing_is_nobody(tmp_path, word):
    (tmp_path / "list.csv").write_text(f"file,patient\na.nii,{word}\nb.nii,{word}\nc.nii,Nancy\n")
    assert [entry.patient for entry in entries(tmp_path / "list.csv")] == ["", "", "Nancy"]


def test_a_patient_may_be_the_number_0(tmp_path):
    numbers = pa.table({"file": ["a.nii", "b.nii", "c.nii", "d.nii"], "patient": pa.array([0, 0, 1, None], pa.int64())})
    parquet.write_table(numbers, tmp_path / "list.parquet")
    assert [entry.patient for entry in entries(tmp_path / "list.parquet")] == ["0", "0", "1", ""]


def test_a_remote_manifest_has_its_files_beside_it():
    import fsspec

    fsspec.filesystem("memory").pipe_file("/lists/list.csv", b"file\na.nii\nmemory://b.nii\n")
    assert [entry.file for entry in entries("memory://lists/list.csv")] == ["memory://lists/a.nii", "memory://b.nii"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"path\na.nii\n", "has no column 'file'; it has: path"),
        (b"", "has no column 'file'; it has: none"),
        (b"file\n", "lists nothing"),
        (b"patient,file\np,a.nii\np,\n", "has no file in line 2"),
        (b"file\n\xff\xfe.nii\n", "not readable as a CSV table in UTF-8"),
        (b"file\nhttps://me:secret@host/a.nii\n", "holds a password"),
        (b"file\na.nii\nhttps://[bad/a.nii.gz\n", "URL in line 2 of .* is none"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_scored(tmp_path, content, said):
    (tmp_path / "list.csv").write_bytes(content)
    with pytest.raises(UserError, match=said) as error:
        Manifest(str(tmp_path / "list.csv")).count()
    assert "secret" not in str(error.value)


def test_a_missing_manifest_and_one_that_is_no_parquet_are_refused(tmp_path):
    with pytest.raises(UserError, match="is missing"):
        Manifest(str(tmp_path / "gone.csv")).count()
    (tmp_path / "list.parquet").write_text("file\na.nii\n")
    with pytest.raises(UserError, match="not readable as a Parquet table"):
        Manifest(str(tmp_path / "list.parquet")).count()


class Refusing(BaseHTTPRequestHandler):
    """Answers /STATUS/... with that status; /late/ refuses what it announced, /cut/ breaks off, /hang/ says nothing."""

    def do_HEAD(self):
        what = self.path.split("/")[1]
        if what == "hang":
            return
        self.send_response(int(what) if what.isdecimal() else 200)
        self.send_header("Content-Length", "20" if what in ("late", "cut") else "0")
        self.end_headers()

    def do_GET(self):
        if "/late/" in self.path:
            self.path = "/429/"
        self.do_HEAD()
        if "/cut/" in self.path:
            self.wfile.write(b"file\na.nii\n")

    def log_message(self, *_):
        pass


@pytest.fixture
def server() -> Iterator[str]:
    pytest.importorskip("aiohttp")
    serving = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{serving.server_port}"
    serving.shutdown()
    serving.server_close()
    gc.collect()


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("404", "is missing."),
        ("410", "is missing."),
        ("401", "could not be fetched (status 401): the server does not let you in; give credentials"),
        ("403", "could not be fetched (status 403): the server does not let you in; give credentials"),
        ("400", "could not be fetched (status 400); try again later, or ask who runs the server."),
        ("429", "could not be fetched (status 429); try again later"),
        ("503", "could not be fetched (status 503); try again later"),
        ("late", "could not be fetched (status 429); try again later"),
        ("cut", "could not be fetched (ClientPayloadError): the server gave no answer, or a part of one;"),
        ("hang", "could not be fetched (ServerDisconnectedError): the server gave no answer"),
    ],
)
def test_a_manifest_that_a_server_does_not_give_is_told_with_the_reason(server, what, said):
    for name in ("list.csv", "list.parquet"):
        with pytest.raises(UserError) as error:
            Manifest(f"{server}/{what}/{name}").count()
        assert str(error.value).startswith(f"{server}/{what}/{name} {said}")


def test_where_no_server_is_the_manifest_is_not_said_to_be_missing(server):
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as gone:
        url = f"http://127.0.0.1:{gone.server_port}/list.csv"
    with pytest.raises(UserError, match=r"could not be fetched \(ClientConnectorError\): the server gave no answer"):
        Manifest(url).count()
    with pytest.raises(UserError, match=r"is missing, or its server does not give it\.$"):
        Manifest(f"simplecache::{server}/503/list.csv").count()
    with pytest.raises(UserError, match=r"memory://gone/list.csv is missing\.$"):
        Manifest("memory://gone/list.csv").count()


class Unknown(Exception):
    """Such as botocore's, of which Python knows nothing."""


class Locked(MemoryFileSystem):
    """Raises what it likes."""

    protocol = "locked"

    def _open(self, *_: object, **__: object) -> None:
        raise Unknown("Unable to locate credentials.")


def test_what_the_system_of_a_url_raises_is_told_as_its_reason():
    fsspec.register_implementation("locked", Locked, clobber=True)
    told = (
        r"^locked://list\.csv could not be fetched \(Unknown: Unable to locate credentials\); look at the URL, and at"
    )
    with pytest.raises(UserError, match=told):
        Manifest("locked://list.csv").count()


def test_what_to_install_for_a_kind_of_url_is_told():
    import fsspec

    fsspec.register_implementation("wanting", "not_installed.System", clobber=True, errtxt="Please install wanting")
    with pytest.raises(MissingExtra, match=r"wanting://b/list.csv cannot be opened: Please install wanting"):
        Manifest("wanting://b/list.csv").count()


@pytest.mark.parametrize(
    ("files", "patients"),
    [
        (pa.array([b"a.nii", "ü.nii".encode()]), pa.array([b"7", "Mü".encode()])),
        (pa.array(["a.nii", "ü.nii"], pa.large_string()), pa.array([b"7", "Mü".encode()], pa.large_binary())),
        (pa.array(["a.nii", "ü.nii"], pa.string_view()), pa.array([b"7", "Mü".encode()], pa.binary_view())),
        (pa.array(["a.nii", "ü.nii"]).dictionary_encode(), pa.array(["7", "Mü"]).dictionary_encode()),
    ],
)
def test_text_is_text_however_parquet_stores_it(tmp_path, files, patients):
    parquet.write_table(pa.table({"file": files, "patient": patients}), tmp_path / "list.parquet")
    found = [(entry.file, entry.patient) for entry in entries(tmp_path / "list.parquet")]
    assert found == [(str(tmp_path / "a.nii"), "7"), (str(tmp_path / "ü.nii"), "Mü")]


@pytest.mark.parametrize(
    ("patients", "found"),
    [
        (pa.array([7, None]), ["7", ""]),
        (pa.array([7.0, float("nan")]), ["7.0", ""]),
        (pa.array([None, None]), ["", ""]),
    ],
)
def test_patients_may_be_numbered(tmp_path, patients, found):
    parquet.write_table(pa.table({"file": ["a.nii", "b.nii"], "patient": patients}), tmp_path / "list.parquet")
    assert [entry.patient for entry in entries(tmp_path / "list.parquet")] == found


@pytest.mark.parametrize("cell", [1, 1.5, True, ["a.nii"], {"path": "a.nii"}])
def test_columns_that_name_no_files_or_patients_are_told_with_their_type(tmp_path, cell):
    table = pa.table({"file": [cell]})
    parquet.write_table(table, tmp_path / "list.parquet")
    with pytest.raises(UserError, match=r"The column 'file' of .* is of type \w+.*; write it as text\."):
        entries(tmp_path / "list.parquet")
    if not isinstance(cell, bool) and isinstance(cell, int | float):
        return
    parquet.write_table(pa.table({"file": ["a.nii"], "patient": [cell]}), tmp_path / "list.parquet")
    with pytest.raises(UserError, match=r"The column 'patient' of .*; write it as text or numbers\."):
        entries(tmp_path / "list.parquet")


@given(places=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=12))
def test_a_damaged_parquet_is_one_sentence(tmp_path_factory, places):
    path = tmp_path_factory.getbasetemp() / "damaged.parquet"
    parquet.write_table(pa.table({"file": ["a.nii"] * 20, "patient": ["p"] * 20}), path)
    content = bytearray(path.read_bytes())
    for at, byte in places:
        content[at % len(content)] = byte
    path.write_bytes(content)
    said = []
    try:
        entries(path)
    except UserError as error:
        said.append(str(error))
    assert not any("\n" in sentence for sentence in said)


@given(st.integers(0, 50), st.integers(1, 12))
def test_shards_hold_every_line_once_in_order(count, size):
    lines = [Entry(line, f"f{line}") for line in range(count)]
    shards = list(in_shards(lines, size))
    assert [entry for shard in shards for entry in shard] == lines
    assert all(len(shard) == size for shard in shards[:-1])
    assert all(shards)


@given(st.lists(st.tuples(st.text(), st.text()), max_size=4), st.lists(st.tuples(st.text(), st.text()), max_size=4))
def test_digests_are_equal_for_equal_lines_alone(one, other):
    first, second = ([Entry(line, *pair) for line, pair in enumerate(lines)] for lines in (one, other))
    clean = all("\n" not in text for pair in (*one, *other) for text in pair)
    if clean:
        assert (digest_of(first) == digest_of(second)) == (one == other)
