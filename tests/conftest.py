"""Fixtures for all tests."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from anomae.progress import Console, reporting

# One thread a process: tests run in several at once, and small networks lose more to waiting than they gain.
for _library in ("OMP", "MKL", "OPENBLAS"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

# OpenVINO reports its import through this package; tests import it by themselves, too.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

# On a loaded machine an example may take any time; what a test checks does not depend on it.
settings.register_profile("anomae", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("anomae")

DEVELOPMENT_IMAGES = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def development_images() -> Path:
    """The folder of real images beside the checkout; the test is skipped where it is absent."""
    if not DEVELOPMENT_IMAGES.is_dir():
        pytest.skip("the development images (../shared/data) are not on this machine")
    return DEVELOPMENT_IMAGES


@pytest.fixture
def watched() -> Iterator[None]:
    """Progress and notes go to standard error, as under the command line."""
    with reporting(Console()):
        yield


@pytest.fixture(autouse=True)
def as_many_processors_as_before() -> Iterator[None]:
    """What a test says to torch about processors is said to that test alone."""
    torch = sys.modules.get("torch")
    before = None if torch is None else torch.get_num_threads()
    yield
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != (before or 1):
        torch.set_num_threads(before or 1)


@pytest.fixture
def two_processors() -> Iterator[None]:
    """Torch may use two of them, and nothing within changes that."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def program(name: str, package: str) -> str:
    """The path of an independent program; the test is skipped, saying which package has it, where it is missing."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not on this machine (Debian: apt-get install {package})")
    return found


@pytest.fixture
def dciodvfy() -> Callable[[Path], list[str]]:
    """The errors that dciodvfy (dicom3tools) finds in a DICOM file, a line each."""
    name = program("dciodvfy", "dicom3tools")

    def errors(path: Path) -> list[str]:
        told = subprocess.run([name, "-new", str(path)], capture_output=True, check=False, timeout=120)
        lines = told.stderr.decode("utf-8", "replace").splitlines()
        assert lines, f"dciodvfy says nothing of {path}"
        return [line for line in lines if line.startswith("Error") or "annot" in line]

    return errors


@pytest.fixture
def dsrdump() -> Callable[[Path], str]:
    """What dsrdump (dcmtk) reads in a structured report; the test fails where it cannot."""
    name = program("dsrdump", "dcmtk")

    def text(path: Path) -> str:
        told = subprocess.run([name, str(path)], capture_output=True, check=False, timeout=120)
        assert told.returncode == 0, told.stderr.decode("utf-8", "replace")
        return told.stdout.decode("utf-8", "replace")

    return text
