"""What a manifest may look like, and what is said of one that cannot be used."""

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomae.archive.manifest import Entry, Manifest, digest_of, in_shards
from anomae.errors import UserError


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
