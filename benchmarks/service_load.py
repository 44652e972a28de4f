"""The service under load and under faults, on loopback, with made-up studies.

python benchmarks/service_load.py load     200 studies by 8 clients, sizes mixed, one in ten broken or hostile
python benchmarks/service_load.py kill     kill -9 of the service and of its worker at random moments, 30 times
python benchmarks/service_load.py full D   the disk of D, a folder to be made on a small file system, runs full

Each prints what it measured as JSON, and ends with exit code 1 where anything was lost, doubled or answered by a 5xx
that says nothing of a full disk.  Figures and commands stand in docs/reliability.md.
"""

import argparse
import io
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from anomae.phantoms.dicom_scans import write_dicom_scan
from anomae.phantoms.phantom import make_head
from anomae.slices.settings import PrepareSettings
from anomae.stages.fit import fit
from anomae.stages.prepare import prepare
from anomae.volumes.write import write_picture, write_volume
from machine import show_machine

GOOD = ("small.nii.gz",) * 6 + ("large.nii.gz", "picture.png", "three.zip", "dicom.zip")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("load", "kill", "full"))
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    show_machine(sys.stderr)  # standard output is JSON alone
    if asked.what == "full" and asked.data is None:
        parser.error("full needs an empty folder on a small file system")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        run = fitted_run(folder)
        files = made_up_studies(folder / "studies", asked.seed)
        service = Service(run, asked.data or folder / "data")
        service.start()
        try:
            figures = {"load": load, "kill": kill, "full": full}[asked.what](service, files, asked)
        finally:
            service.stop()
    print(json.dumps({"what": asked.what, "cores": os.cpu_count(), **figures}, indent=2))
    return 0 if figures["right"] else 1


class Service:
    """A service in a process of its own, watched."""

    def __init__(self, run: Path, data: Path) -> None:
        self.command = [sys.executable, "-m", "anomae", "serve", str(run), "--data", str(data), "--port", "0"]
        self.data, self.highest = data, {"service": 0, "worker": 0}
        self.process: Any = None
        threading.Thread(target=self._watch, daemon=True).start()

    def start(self) -> None:
        """Start it; address and token are read from what it prints."""
        options = ["--device", "cpu", "--keep", "forever"]
        self.process = subprocess.Popen([*self.command, *options], stdout=subprocess.PIPE, encoding="utf-8")
        lines = [self.process.stdout.readline() for _ in range(2)]
        self.address, self.token = lines[0].split()[-1], lines[1].split()[-1]

    def client(self) -> httpx.Client:
        """A client with the token."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=self.address, headers=headers, timeout=120)

    def workers(self) -> list[int]:
        """The processes that score."""
        try:
            tasks = list(Path(f"/proc/{self.process.pid}/task").iterdir())
            return [int(child) for task in tasks for child in (task / "children").read_text().split()]
        except OSError:
            return []

    def stop(self) -> None:
        """Stop it as systemd does."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def _watch(self) -> None:
        while True:
            if self.process is not None:
                for name, processes in (("service", [self.process.pid]), ("worker", self.workers())):
                    for process in processes:
                        self.highest[name] = max(self.highest[name], resident(process))
            time.sleep(0.2)


def resident(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def load(service: Service, files: dict[str, bytes], asked: argparse.Namespace) -> dict[str, Any]:
    """Clients that send one study after another, and watch each until it has ended."""
    rng = random.Random(asked.seed)
    bad = [name for name in files if name not in GOOD]
    names = [rng.choice(bad) if number % 10 == 9 else rng.choice(GOOD) for number in range(asked.studies)]
    todo, ended, lock = list(names), [], threading.Lock()

    def one_client() -> None:
        with service.client() as http:
            while True:
                with lock:
                    if not todo:
                        return
                    name = todo.pop(0)
                began = time.monotonic()
                answer = http.post("/studies", files={"file": (name, files[name])})
                taken = time.monotonic() - began
                state = {"state": "refused"} if answer.status_code != 202 else watched(http, answer.json()["job"])
                with lock:
                    ended.append((name, answer.status_code, state, taken, time.monotonic() - began))

    began = time.monotonic()
    clients = [threading.Thread(target=one_client) for _ in range(asked.clients)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    took = time.monotonic() - began
    wrong = [(n, s, x) for n, s, x, *_ in ended if (x["state"] == "done") != (n in GOOD) or s >= 500]
    whole = [seconds for name, _, state, _, seconds in ended if state["state"] == "done"]
    scored = [x["ended_at"] - x["begun_at"] for _, _, x, *_ in ended if x["state"] == "done"]
    return {
        "studies": len(ended),
        "clients": asked.clients,
        "seconds": round(took, 1),
        "studies_per_minute": round(60 * len(ended) / took, 1),
        "ends": dict(Counter(f"{s} {x['state']}" for _, s, x, *_ in ended)),
        "upload_s": quantiles([taken for *_, taken, _ in ended]),
        "until_done_s": quantiles(whole),
        "scored_in_s": quantiles(scored),
        "highest_memory_mib": {name: round(most / 2**20) for name, most in service.highest.items()},
        "wrong": wrong,
        "right": not wrong and len(ended) == asked.studies,
    }


def kill(service: Service, files: dict[str, bytes], asked: argparse.Namespace) -> dict[str, Any]:
    """Studies are sent, and in between somebody is killed; in the end each taken study is done and scored once."""
    rng, jobs, killed = random.Random(asked.seed), {}, Counter()
    http = service.client()
    for number in range(asked.kills):
        for _ in range(2):
            name = rng.choice(("small.nii.gz", "three.zip", "picture.png"))
            answer = http.post("/studies", files={"file": (name, files[name])})
            if answer.status_code == 202:
                jobs[answer.json()["job"]] = name
        time.sleep(rng.uniform(0, 4))
        if number % 2:
            killed["worker"] += 1
            for worker in service.workers():
                os.kill(worker, signal.SIGKILL)
        else:
            killed["service"] += 1
            cut = cut_upload(service, files["large.nii.gz"]) if number % 4 == 0 else None
            service.process.kill()
            service.process.wait()
            if cut is not None:
                cut.join()
            service.start()
            http.close()
            http = service.client()
    states = {job: watched(http, job, 600) for job in jobs}
    known = {one["job"] for one in http.get("/jobs", params={"most": 10_000}).json()}
    twice = {}
    for job, name in jobs.items():
        journal = service.data / "studies" / job / "out" / "journal.jsonl"
        paths = [line["path"] for line in map(json.loads, journal.read_text().splitlines()[1:])]
        if len(paths) != len(set(paths)) or len(paths) != (3 if name == "three.zip" else 1):
            twice[job] = paths
    failed = [(jobs[job], state["error"]) for job, state in states.items() if state["state"] != "done"]
    left = {path.name for path in (service.data / "studies").iterdir()} - known
    return {
        "killed": dict(killed),
        "studies": len(jobs),
        "done": sum(state["state"] == "done" for state in states.values()),
        "failed": failed,
        "lost": len(set(jobs) - known),
        "scored_other_than_once": twice,
        "folders_of_no_job": len(left),
        "right": not failed and not twice and set(jobs) <= known and not left,
    }


def cut_upload(service: Service, content: bytes) -> threading.Thread:
    """An upload that is on its way while the service is killed."""

    def slowly() -> None:
        def body():
            yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.nii.gz"\r\n\r\n'
            for start in range(0, len(content), 10_000):
                yield content[start : start + 10_000]
                time.sleep(0.05)

        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        try:
            with service.client() as http:
                http.post("/studies", content=body(), headers=headers)
        except httpx.HTTPError:
            pass  # as it should be

    thread = threading.Thread(target=slowly)
    thread.start()
    time.sleep(0.3)
    return thread


def full(service: Service, files: dict[str, bytes], asked: argparse.Namespace) -> dict[str, Any]:
    """A disk that is filled by something else: uploads are refused, jobs fail or wait; with room again all end well."""
    filler, answers = service.data.parent / "filler", Counter()
    with service.client() as http:
        before = [
            http.post("/studies", files={"file": ("a.nii.gz", files["small.nii.gz"])}).json()["job"] for _ in range(4)
        ]
        with filler.open("wb") as file:
            try:
                while True:
                    file.write(bytes(65_536))
                    file.flush()
            except OSError:
                pass
        for _ in range(20):
            answers[http.post("/studies", files={"file": ("a.nii.gz", files["small.nii.gz"])}).status_code] += 1
            time.sleep(0.2)
        while_full = dict(Counter(http.get(f"/jobs/{job}").json()["state"] for job in before))
        alive = http.get("/health").status_code
        filler.unlink()
        time.sleep(5)
        for job in before:
            if http.get(f"/jobs/{job}").json()["state"] == "failed":
                answers[f"retry {http.post(f'/jobs/{job}/retry').status_code}"] += 1
        ended = dict(Counter(watched(http, job)["state"] for job in before))
        after = http.post("/studies", files={"file": ("a.nii.gz", files["small.nii.gz"])})
        last = watched(http, after.json()["job"])["state"] if after.status_code == 202 else after.text
    return {
        "while_full": {"answers": dict(answers), "states_of_those_before": while_full, "health": alive},
        "afterwards": {"those_before": ended, "a_new_one": last},
        "right": ended == {"done": 4} and last == "done" and alive == 200 and set(answers) <= {507, 202, "retry 202"},
    }


def watched(http: httpx.Client, job: str, seconds: float = 900) -> dict[str, Any]:
    until = time.monotonic() + seconds
    while (state := http.get(f"/jobs/{job}").json())["state"] not in ("done", "failed"):
        if time.monotonic() > until:
            return {**state, "state": "lost"}
        time.sleep(0.1)
    return state


def quantiles(seconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=20, method="inclusive")
    return {"p50": round(cuts[9], 2), "p95": round(cuts[18], 2), "most": round(max(seconds), 2)}


def fitted_run(folder: Path) -> Path:
    settings = PrepareSettings(image_size=(64, 64))
    store = prepare("phantom", "heads:6", folder / "store", workers=0, settings=settings, options={"size": "12x64x64"})
    fit(store.folder, folder / "run", detector="mean-image", overrides={"device.accelerator": "cpu"})
    return folder / "run"


def made_up_studies(folder: Path, seed: int) -> dict[str, bytes]:
    """Name -> content: those of GOOD, and broken and hostile ones."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    small, large = make_head(1, shape=(12, 64, 64), lesions=1), make_head(2, shape=(48, 160, 160), lesions=1)
    write_volume(folder / "small.nii.gz", small.voxels, small.grid)
    write_volume(folder / "large.nii.gz", large.voxels, large.grid)
    write_picture(folder / "picture.png", rng.integers(0, 255, (200, 180), dtype=np.uint8))
    write_dicom_scan(folder / "dicom", small, modality="MR", patient="made-up", body_part="HEAD")
    packed: dict[str, dict[str, bytes]] = {
        "three.zip": {f"{n}/scan.nii.gz": (folder / "small.nii.gz").read_bytes() for n in range(3)},
        "dicom.zip": {file.name: file.read_bytes() for file in sorted((folder / "dicom").rglob("*")) if file.is_file()},
        "outside.zip": {"../../outside.nii.gz": b"x"},
        "bomb.zip": {"bomb.nii": bytes(200 << 20)},
        "empty.zip": {},
    }
    found = {name: (folder / name).read_bytes() for name in ("small.nii.gz", "large.nii.gz", "picture.png")}
    for name, members in packed.items():
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, inside in members.items():
                archive.writestr(member, inside)
        found[name] = content.getvalue()
    huge = bytearray(352)
    huge[0:4] = (348).to_bytes(4, "little")
    huge[40:48] = b"".join(number.to_bytes(2, "little") for number in (3, 32767, 32767, 32767))
    huge[70:74] = (16).to_bytes(2, "little") + (32).to_bytes(2, "little")
    huge[344:348] = b"n+1\0"
    found |= {
        "cut.nii.gz": found["large.nii.gz"][:5000],
        "noise.nii.gz": rng.bytes(20_000),
        "huge.nii": bytes(huge),
        "notes.txt": b"no scan",
        "cut.zip": found["dicom.zip"][:3000],
        "nothing.png": b"",
    }
    return found


if __name__ == "__main__":
    sys.exit(main())
