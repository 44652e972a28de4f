"""A fitted run, scans of an archive, and a reader whose files end, or hold up, whoever reads them."""

import csv
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from anomae.archive.engines.engine import Outcome
from anomae.archive.worker import score_piece
from anomae.slices.settings import PrepareSettings
from anomae.stages.fit import fit
from anomae.stages.prepare import prepare
from anomae.volumes.read import _foreign_readers
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_volume

READER = """
import os, signal, time
import numpy as np
from anomae.volumes.read import _foreign_readers
from anomae.volumes.volume import Grid, Volume


class Fatal:
    name, suffixes = "fatal", (".fatal",)

    def sniff(self, path):
        return False

    def read(self, path, max_voxels):
        what, _, argument = path.read_text().strip().partition(" ")
        if what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "once" and not os.path.exists(argument):
            open(argument, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "wait":
            open(argument, "w").close()
            while os.path.exists(argument + ".hold"):
                time.sleep(0.02)
        voxels = np.random.default_rng(5).uniform(0, 9, (3, 12, 12)).astype(np.float32)
        return Volume(voxels, Grid(voxels.shape, (3.0, 1.0, 1.0)), path, self.name)


reader = Fatal()
"""


@pytest.fixture(scope="session")
def fatal_reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder to have on PYTHONPATH."""
    folder = tmp_path_factory.mktemp("fatal")
    (folder / "fatal_reader.py").write_text(READER)
    facts = folder / "fatal_reader-1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: fatal-reader\nVersion: 1\n")
    (facts / "entry_points.txt").write_text("[anomae.readers]\nfatal = fatal_reader:reader\n")
    return folder


@pytest.fixture
def fatal(fatal_reader: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers know the reader: they take over this process's paths, or the environment."""
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(fatal_reader), *([before] if before else [])]))
    _foreign_readers()  # this process, which searched its paths before, does not know it
    monkeypatch.syspath_prepend(fatal_reader)


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The mean image of made-up heads, with scores of healthy people."""
    folder = tmp_path_factory.mktemp("archive-run")
    settings = PrepareSettings(image_size=(24, 24))
    prepare("phantom", "heads:12", folder / "store", workers=0, seed=1, settings=settings, options={"size": "8x24x24"})
    fit(folder / "store", folder / "run", detector="mean-image", overrides={})
    return folder / "run"


@pytest.fixture(scope="session")
def run_of_anomae(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default detector, fitted shortly on the same heads: networks, features, several sources."""
    folder = tmp_path_factory.mktemp("archive-anomae") / "run"
    short = {"sources": "features,pixels,mirror", "sizes": "32", "heads": 2, "pool": 64, "memory.images": 5}
    short |= {"backbone": "tiny", "weights": "random", "head.training.steps": 8, "head.training.batch": 16}
    fit(run.parent / "store", folder, detector="anomae", recipe="phantom", overrides=short)
    return folder


def a_scan(path: Path, seed: int) -> Path:
    """Four slices of noise on a disc."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:24, :24]
    disc = (rows - 12) ** 2 + (columns - 12) ** 2 < 90
    voxels = (generator.uniform(40, 60, (4, 24, 24)) * disc).astype(np.float32)
    voxels[2, 10:13, 10:13] += 5 * seed
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(path, voxels, Grid(voxels.shape, (3.0, 1.5, 1.5)))
    return path


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Nine sound scans."""
    folder = tmp_path_factory.mktemp("archive-scans")
    return [a_scan(folder / f"sub-{number // 2:02d}" / f"scan{number}.nii.gz", number) for number in range(9)]


class HereEngine:
    """Pieces scored in this process, one at a time; those with a file whose name holds "kill" end their worker.

    Keeps what it was given.
    """

    shared = False

    def __init__(self, job, slots=1):
        self.job, self.slots, self.given, self._waiting = job, slots, [], []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def submit(self, piece):
        assert len(self._waiting) < self.slots
        self.given.append(piece)
        self._waiting.append(piece)

    def outcomes(self):
        piece = self._waiting.pop()  # the latest first: the order in which pieces come back is anyone's
        if any("kill" in Path(entry.file).name for entry in piece.entries):
            return [Outcome(piece, None, "signal SIGKILL")]
        return [Outcome(piece, score_piece(self.job, piece))]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[HereEngine]:
    """`score_archive` uses a HereEngine; the list has each that was opened."""
    engines: list[HereEngine] = []

    def opened(name, job, workers, address):
        engines.append(HereEngine(job, workers))
        return engines[-1]

    monkeypatch.setattr("anomae.archive.score_archive.opened", opened)
    return engines


@pytest.fixture(scope="session")
def manifest() -> Callable[[Path, Iterable[Path | str]], Path]:
    """Writes a manifest that lists files."""

    def written(path: Path, files: Iterable[Path | str]) -> Path:
        with path.open("w", newline="") as handle:
            rows = csv.writer(handle)
            rows.writerow(["file"])
            rows.writerows([str(file)] for file in files)
        return path

    return written
