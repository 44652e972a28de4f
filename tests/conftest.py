"""Fixtures for all tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from anomae.progress import Console, reporting

# One thread a process: tests run in several at once, and small networks lose more to waiting than they gain.
for _library in ("OMP", "MKL", "OPENBLAS"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

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
