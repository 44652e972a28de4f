"""A tiny fitted run, studies made up for it, and services: within the test, or as a process of their own."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

httpx = pytest.importorskip("httpx", reason="httpx is not installed (extra dev)")
for _package in ("fastapi", "uvicorn", "huey", "python_multipart", "prometheus_client"):
    pytest.importorskip(_package, reason=f"{_package} is not installed (extra serve)")

from anomae.phantoms.phantom import make_head  # noqa: E402
from anomae.runs.healthy_file import write_healthy_scores  # noqa: E402
from anomae.slices.settings import PrepareSettings  # noqa: E402
from anomae.stages.fit import fit  # noqa: E402
from anomae.stages.prepare import prepare  # noqa: E402
from anomae.statistics.healthy_scores import HealthyScores  # noqa: E402
from anomae.volumes.write import write_volume  # noqa: E402

SHAPE = (10, 40, 40)


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The mean of healthy slices, with scores of 40 healthy patients that a bright column lies above."""
    folder = tmp_path_factory.mktemp("served")
    store = prepare(
        "phantom",
        "heads:4",
        folder / "store",
        workers=0,
        seed=1,
        settings=PrepareSettings(image_size=(32, 32)),
        options={"size": "10x40x40"},
    )
    fit(store.folder, folder / "heads", detector="mean-image", overrides={"device.accelerator": "cpu"})
    fitted = folder / "heads" / "fitted"
    for file in fitted.glob("reference*"):  # of so few scans it would refuse all others
        file.unlink()
    rng = np.random.default_rng(0)
    scores, tops = rng.uniform(0.05, 0.13, 400), rng.uniform(0.5, 0.81, 400)
    healthy = HealthyScores(scores, tops, np.repeat(np.arange(40), 10), "patient", "400 slices of 40 patients")
    write_healthy_scores(fitted, healthy)
    return folder / "heads"


@pytest.fixture(scope="session")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """healthy.nii.gz, flagged.nii.gz with a bright column in it, both.zip, and noise.nii.gz, which is none."""
    folder = tmp_path_factory.mktemp("studies")
    head = make_head(5, shape=SHAPE, lesions=0)
    write_volume(folder / "healthy.nii.gz", head.voxels, head.grid)
    index = np.indices(SHAPE).reshape(3, -1).T
    column = (np.abs(index - (5, 15, 22)) <= (9, 6, 6)).all(axis=1).reshape(SHAPE)
    write_volume(
        folder / "flagged.nii.gz", np.where(column, head.voxels.max() * 3, head.voxels).astype(np.int16), head.grid
    )
    with zipfile.ZipFile(folder / "both.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("healthy", "flagged"):
            archive.write(folder / f"{name}.nii.gz", f"scans/{name}.nii.gz")
    (folder / "noise.nii.gz").write_bytes(rng_bytes(4000))
    return folder


def rng_bytes(count: int, seed: int = 0) -> bytes:
    return np.random.default_rng(seed).bytes(count)


@dataclass
class Served:
    """A service in a process of its own."""

    runs: list[Path]
    data: Path
    options: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)

    def start(self) -> "Served":
        command = [sys.executable, "-m", "anomae", "serve", *map(str, self.runs), "--data", str(self.data)]
        self.process = subprocess.Popen(
            [*command, "--port", "0", "--device", "cpu", *self.options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env={**os.environ, "OMP_NUM_THREADS": "1", **self.environment},
        )
        assert self.process.stdout is not None
        lines = [self.process.stdout.readline() for _ in range(2)]
        assert lines[1].startswith("Token: "), (lines, self.process.communicate(timeout=20))
        address, self.token = lines[0].split()[-1], lines[1].removeprefix("Token: ").strip()
        self.http = httpx.Client(base_url=address, headers={"Authorization": f"Bearer {self.token}"}, timeout=60)
        return self

    def send(self, *files: Path | tuple[str, bytes], **fields: str) -> Any:
        parts = [file if isinstance(file, tuple) else (file.name, file.read_bytes()) for file in files]
        return self.http.post("/studies", files=[("file", part) for part in parts], data=fields)

    def sent(self, *files: Path | tuple[str, bytes], **fields: str) -> str:
        answer = self.send(*files, **fields)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job"])

    def wait(self, job: str, seconds: float = 90) -> dict[str, Any]:
        until = time.monotonic() + seconds
        while (state := self.http.get(f"/jobs/{job}").json())["state"] not in ("done", "failed"):
            assert time.monotonic() < until, state
            time.sleep(0.05)
        return state

    def kill(self) -> None:
        self.process.kill()
        self._gone()

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        return self._gone()

    def _gone(self) -> tuple[int, str]:
        self.http.close()
        _, said = self.process.communicate(timeout=30)
        return self.process.returncode, said


@pytest.fixture(scope="module")
def served(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One service for a file of tests."""
    service = Served([run], tmp_path_factory.mktemp("service") / "data").start()
    yield service
    code, said = service.stop()
    assert (code, said) == (0, "")


@pytest.fixture
def serve(run: Path, tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Start a service of the test's own."""
    started: list[Served] = []

    def start(*options: str, data: Path | None = None, **environment: str) -> Served:
        started.append(Served([run], data or tmp_path / "data", list(options), environment).start())
        return started[-1]

    yield start
    for service in started:
        if service.process.poll() is None:
            service.kill()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser for a file of tests; skips them where there is none."""
    from ..pages.chromium import chromium

    with chromium() as opened:
        yield opened


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]
