"""The whole service as a process: a study goes in and its results come out, once, whoever dies in between."""

import gzip
import io
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel
import pytest

from anomae.errors import UserError
from anomae.serving.serve import serve as serve_here

from .conftest import Served, lines_of


def refused(**options) -> str:
    with pytest.raises(UserError) as told:
        serve_here(tell=print, **options)
    return str(told.value)


def test_a_study_goes_in_and_its_results_come_out(served: Served, studies: Path):
    job = served.sent(studies / "flagged.nii.gz")
    state = served.wait(job)
    assert (state["state"], state["flag"], state["scans"], state["error"]) == ("done", True, 1, None)
    assert state["results"] == ["map.nii.gz"]
    study = served.http.get(f"/studies/{state['study']}").json()
    assert study["flag"] is True
    [scan] = study["scans"]
    assert scan["file"] == "flagged.nii.gz"
    assert len(scan["scores"]) == 10
    assert max(line["score"] for line in scan["scores"]) == scan["score"]
    assert scan["findings"][0]["peak_x_mm"] is not None
    assert study["findings"] == len(scan["findings"]) == state["findings"] > 0
    heat = served.http.get(f"/studies/{job}/map.nii.gz").content
    source = nibabel.load(studies / "flagged.nii.gz")
    loaded = nibabel.Nifti1Image.from_stream(io.BytesIO(gzip.decompress(heat)))
    assert loaded.shape == source.shape
    page = served.http.get(f"/studies/{job}/page")
    assert page.status_code == 200
    assert "connect-src data: blob:" in page.headers["content-security-policy"]
    for name in ("seg.dcm", "sr.dcm"):
        answer = served.http.get(f"/studies/{job}/{name}")
        assert (answer.status_code, "DICOM" in answer.json()["detail"]) == (404, True)


def test_several_scans_have_a_table_with_pages(served: Served, studies: Path):
    job = served.sent(studies / "both.zip")
    assert served.wait(job)["scans"] == 2
    page = served.http.get(f"/studies/{job}/page", follow_redirects=True)
    assert page.url.path == f"/studies/{job}/index.html"  # from there its links lead to the pages
    inner = set(re.findall(r"studies/[A-Za-z0-9._-]+/(?:study\.html|thumbnail\.jpg)", page.text))
    assert len(inner) == 4
    for name in inner:
        assert served.http.get(f"/studies/{job}/{name}").status_code == 200
    first, second = (served.http.get(f"/studies/{job}/map.nii.gz", params={"scan": n}).content for n in (1, 2))
    assert first != second
    for wrong in ("studies/../../result.json", "studies/%2e%2e/study.html", "scoring.json", "studies/x/../../a.html"):
        assert served.http.get(f"/studies/{job}/{wrong}").status_code == 404


def test_progress_comes_as_events_until_the_end(served: Served, studies: Path):
    job = served.sent(studies / "healthy.nii.gz")
    with served.http.stream("GET", f"/jobs/{job}/events") as events:
        assert events.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in events.iter_lines() if line.startswith("data: ")]
    assert '"state":"done"' in lines[-1]
    assert '"flag":false' in lines[-1]


def test_nobody_without_the_token(served: Served, studies: Path):
    job = served.sent(studies / "healthy.nii.gz")
    served.wait(job)
    paths = ["/jobs", f"/jobs/{job}", f"/jobs/{job}/events", f"/studies/{job}", "/metrics", "/runs"]
    paths += [f"/studies/{job}/{name}" for name in ("map.nii.gz", "seg.dcm", "sr.dcm", "page", "index.html")]
    for headers in ({"Authorization": ""}, {"Authorization": "Bearer x"}, {"Authorization": f"Basic {served.token}"}):
        for path in paths:
            assert served.http.get(path, headers=headers).status_code == 401, path
        assert served.http.delete(f"/studies/{job}", headers=headers).status_code == 401
        files = {"file": ("a.nii", b"x")}
        assert served.http.post("/studies", headers=headers, files=files).status_code == 401
    assert served.http.get("/health", headers={"Authorization": ""}).json()["status"] == "ok"


def test_broken_and_hostile_files_fail_alone(served: Served, studies: Path):
    jobs = {
        "noise": served.sent(studies / "noise.nii.gz"),
        "text": served.sent(("notes.txt", b"no scan")),
        "header": served.sent(("huge.nii", hostile_nifti())),
    }
    good = served.sent(studies / "healthy.nii.gz")
    for job in jobs.values():
        state = served.wait(job)
        assert state["state"] == "failed"
        assert state["error"]
        assert str(served.data) not in state["error"]
        assert served.http.get(f"/studies/{job}").status_code == 404
    assert served.wait(good)["state"] == "done"


def hostile_nifti() -> bytes:
    """A header of 32,767 voxels each way, and nothing else."""
    header = nibabel.Nifti1Header()
    header.set_data_dtype("float32")
    content = bytearray(header.binaryblock)
    content[40:48] = (3).to_bytes(2, "little") + (32767).to_bytes(2, "little") * 3
    return bytes(content) + bytes(100)


def test_a_broken_scan_is_skipped_and_the_others_are_scored(served: Served, studies: Path):
    job = served.sent(studies / "healthy.nii.gz", studies / "noise.nii.gz")
    state = served.wait(job)
    assert (state["state"], state["scans"]) == ("done", 1)
    assert state["note"].startswith("1 scan(s) could not be read and were skipped; the first: file 2 ")
    assert served.http.get(f"/studies/{job}").json()["skipped"][0].startswith("noise.nii.gz")


def test_a_study_is_deleted_with_all_that_is_known_of_it(served: Served, studies: Path):
    job = served.sent(studies / "healthy.nii.gz")
    served.wait(job)
    assert served.http.delete(f"/studies/{job}").status_code == 204
    assert served.http.delete(f"/studies/{job}").status_code == 404
    assert served.http.get(f"/jobs/{job}").status_code == 404
    assert not (served.data / "studies" / job).exists()


def test_the_audit_log_names_studies_and_nobody(served: Served, studies: Path):
    name = "Mueller_Hans_1951"
    job = served.sent((f"{name}.nii.gz", (studies / "healthy.nii.gz").read_bytes()))
    served.wait(job)
    served.http.get(f"/studies/{job}")
    served.http.delete(f"/studies/{job}")
    text = (served.data / "audit.jsonl").read_text()
    assert "Mueller" not in text
    assert [line["did"] for line in lines_of(served.data / "audit.jsonl") if line.get("study") == job] == [
        "sent",
        "read",
        "deleted",
    ]


def test_the_metrics_count(served: Served, studies: Path):
    served.wait(served.sent(studies / "healthy.nii.gz"))
    text = served.http.get("/metrics").text
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    done = [job for job in served.http.get("/jobs").json() if job["state"] == "done"]
    assert float(values['anomae_jobs{state="done"}']) == len(done)
    assert float(values["anomae_worker_memory_bytes"]) > 1e7


def test_a_second_service_keeps_off_the_folder(served: Served, run: Path):
    assert "Another process" in refused(runs=[run], data=served.data, port=0)


def test_killed_at_random_moments_nothing_is_lost_or_scored_twice(serve, studies: Path, tmp_path: Path):
    """Service and worker are ended in turn; each study that was taken is done in the end, each scan scored once."""
    rng = random.Random(3)
    service = serve()
    jobs = [service.sent(studies / name) for name in ("both.zip", "healthy.nii.gz", "flagged.nii.gz") * 2]
    for number in range(4):
        time.sleep(rng.uniform(0.2, 1.5))
        if number % 2:
            for worker in worker_pids(service.process.pid):
                os.kill(worker, signal.SIGKILL)
        else:
            workers = worker_pids(service.process.pid)
            if number == 0:
                service.kill()
            else:
                assert service.stop()[0] == 0  # in peace, with a study being scored
            assert all(ended(worker) for worker in workers)
            service = serve(data=service.data)
    states = [service.wait(job) for job in jobs]
    assert [state["state"] for state in states] == ["done"] * 6
    assert [state["scans"] for state in states] == [2, 1, 1] * 2
    assert [state["flag"] for state in states] == [True, False, True] * 2
    assert len(service.http.get("/jobs").json()) == 6
    for job, count in zip(jobs, [2, 1, 1] * 2, strict=True):
        scored = lines_of(service.data / "studies" / job / "out" / "journal.jsonl")[1:]
        assert len(scored) == len({line["path"] for line in scored}) == count
    assert service.stop(signal.SIGINT)[0] == 130  # Ctrl-C


def worker_pids(parent: int) -> list[int]:
    tasks = Path(f"/proc/{parent}/task")
    if not tasks.is_dir():
        pytest.skip("this system has no /proc")
    return [int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()]


def ended(process: int, within_s: float = 10) -> bool:
    status, until = Path(f"/proc/{process}/status"), time.monotonic() + within_s
    while status.exists() and "zombie" not in status.read_text():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_other_machines_need_a_token_file(run: Path, tmp_path: Path):
    for host in ("0.0.0.0", "::", "example.org"):
        assert "--token-file" in refused(runs=[run], data=tmp_path / "data", host=host)
    assert not (tmp_path / "data").exists()


def test_what_does_not_hold_is_said_before_anything_starts(run: Path, tmp_path: Path):
    assert "holds nothing fitted" in refused(runs=[tmp_path], data=tmp_path / "data")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").write_text("mine")
    assert "is not empty" in refused(runs=[run], data=tmp_path / "full")
    assert "--keep" in refused(runs=[run], data=tmp_path / "data", keep="soon")
    assert "belong together" in refused(runs=[run], data=tmp_path / "data", certificate=tmp_path / "full")
    told = subprocess.run(
        [sys.executable, "-m", "anomae", "serve", str(run), "--data", str(tmp_path / "d"), "--host", "0.0.0.0"],
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    assert told.returncode == 2
    assert told.stderr.startswith("anomae: --host 0.0.0.0 can be reached")
