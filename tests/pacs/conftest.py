"""A run fitted once, tiny made-up studies, a real Orthanc, and a small DICOMweb server."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from anomae.pacs.node import TlsFiles
from anomae.pacs.score_study import HowToScore
from anomae.phantoms.dicom_scans import write_dicom_scan
from anomae.phantoms.phantom import make_head
from anomae.runs.healthy_file import write_healthy_scores
from anomae.slices.settings import PrepareSettings
from anomae.stages.fit import fit
from anomae.stages.prepare import prepare
from anomae.statistics.healthy_scores import HealthyScores
from anomae.training.settings import DeviceSettings

from .archives import MadeUpStudy, Orthanc, SmallArchive, serving

SHAPE = (8, 40, 40)
PLUGIN = "libOrthancDicomWeb.so"
PLUGIN_FOLDERS = (Path("/usr/share/orthanc/plugins"), Path("/usr/lib/orthanc"))


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mean image of eight heads; its healthy scores are made up, 40 patients', so that it flags and finds."""
    folder = tmp_path_factory.mktemp("run")
    settings = PrepareSettings(image_size=(32, 32))
    store = prepare(
        "phantom", "heads:8", folder / "store", workers=0, seed=1, settings=settings, options={"size": "10x40x40"}
    )
    fit(store.folder, folder / "run", detector="mean-image")
    rng = np.random.default_rng(0)
    scores, tops = rng.uniform(0, 0.05, 400), rng.uniform(0, 0.3, 400)
    healthy = HealthyScores(scores, tops, np.repeat(np.arange(40), 10), "patient", "400 made-up slices")
    write_healthy_scores(folder / "run" / "fitted", healthy)
    return folder / "run"


@pytest.fixture(scope="session")
def how(run: Path) -> HowToScore:
    return HowToScore(run, overlays=0, force=True, device=DeviceSettings(accelerator="cpu"))


@pytest.fixture(scope="session")
def studies(tmp_path_factory: pytest.TempPathFactory) -> list[MadeUpStudy]:
    """Three heads, two of them with a ball as bright as nothing else."""
    made = []
    for number in range(3):
        folder = tmp_path_factory.mktemp("study") / "scan"
        head = make_head(number, shape=SHAPE, lesions=0)
        if number < 2:
            voxels = head.voxels.copy()
            voxels[3:6, 12 + number : 22, 14:24] = 4 * int(voxels.max())
            head = replace(head, voxels=voxels)
        write_dicom_scan(folder, head, modality="MR", patient=f"SECRET^NAME^{number}", body_part="HEAD")
        uid = str(pydicom.dcmread(next(folder.glob("*.dcm")), stop_before_pixels=True).StudyInstanceUID)
        made.append(MadeUpStudy(folder, uid))
    return made


@pytest.fixture(scope="module")
def orthanc_of_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    plugin = next((folder / PLUGIN for folder in PLUGIN_FOLDERS if (folder / PLUGIN).exists()), None)
    if shutil.which("Orthanc") is None or plugin is None:
        pytest.skip("Orthanc with DICOMweb is not on this machine (Debian: apt-get install orthanc orthanc-dicomweb)")
    archive = Orthanc(tmp_path_factory.mktemp("orthanc"), plugin)
    archive.start()
    yield archive
    archive.stop()


@pytest.fixture
def orthanc(orthanc_of_module: Orthanc) -> Orthanc:
    """An empty archive; one process a module."""
    if orthanc_of_module._process is None:
        orthanc_of_module.start()
    orthanc_of_module.empty()
    return orthanc_of_module


@pytest.fixture
def small_archive(studies: list[MadeUpStudy]) -> Iterator[SmallArchive]:
    with serving(SmallArchive([file for study in studies for file in study.files])) as archive:
        yield archive


@pytest.fixture
def certificates(tmp_path: Path) -> Callable[[str], TlsFiles]:
    """certificates(name): a self-signed certificate of localhost, trusting itself; skipped without openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not on this machine (Debian: apt-get install openssl)")

    def made(name: str) -> TlsFiles:
        certificate, key = tmp_path / f"{name}.pem", tmp_path / f"{name}.key"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=localhost"]
        command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        subprocess.run(command, check=True, capture_output=True)
        return TlsFiles(certificate, key, certificate)

    return made
