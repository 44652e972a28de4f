"""Scans and the manifest itself from a server that speaks S3, which runs in this process: the numbers of the disk.

Needs `moto[server]` and `s3fs`, which are not among the development packages: `pip install 'moto[server]' s3fs`.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as parquet
import pytest

from anomae.archive.score_archive import score_archive
from anomae.stages.score_scans import score_scans

WHY = "needs a server that speaks S3: pip install 'moto[server]' s3fs"
moto_server = pytest.importorskip("moto.server", reason=WHY)
s3fs = pytest.importorskip("s3fs", reason=WHY)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[object]:
    """An empty bucket "scans"; address and keys stand in the environment, as a user would have them."""
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    told = {"ENDPOINT_URL": f"http://{host}:{port}", "ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret"}
    told |= {"DEFAULT_REGION": "us-east-1", "CONFIG_FILE": str(tmp_path / "none"), "EC2_METADATA_DISABLED": "true"}
    for name, value in told.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    system = s3fs.S3FileSystem(skip_instance_cache=True)
    system.mkdir("scans")
    yield system
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


def rows_of(out: Path, table: str) -> list[dict[str, object]]:
    return [
        row for path in sorted(out.glob(f"shards/*/{table}.parquet")) for row in parquet.read_table(path).to_pylist()
    ]


def test_scans_and_manifest_on_s3_give_the_numbers_of_the_disk(bucket, run, scans, manifest, here, tmp_path):
    for scan in scans[:3]:
        bucket.put_file(str(scan), f"scans/study/{scan.parent.name}/{scan.name}")
    first, *_ = (f"s3://scans/study/{scan.parent.name}/{scan.name}" for scan in scans)
    listed = manifest(tmp_path / "list.csv", [first, "study/sub-01", "s3://scans/gone.nii.gz", "s3://nowhere/a.nii.gz"])
    bucket.put_file(str(listed), "scans/list.csv")
    out = score_archive("s3://scans/list.csv", tmp_path / "out", run=run, workers=1)
    score_scans(run, [scans[0], scans[2]], tmp_path / "single", overlays=0)
    with (tmp_path / "single" / "scores.csv").open(newline="") as handle:
        expected = [float(row["score"]) for row in csv.DictReader(handle)]
    found = rows_of(out, "slices")
    assert [row["score"] for row in found] == expected  # to the bit
    assert {row["file"] for row in found} == {first, f"s3://scans/study/sub-01/{scans[2].name}"}
    failed = {row["file"]: row["reason"] for row in rows_of(out, "failed")}
    assert failed.keys() == {"s3://scans/gone.nii.gz", "s3://nowhere/a.nii.gz"}
    assert "s3://scans/gone.nii.gz is missing" in failed["s3://scans/gone.nii.gz"]
