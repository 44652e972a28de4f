"""A small made-up store that several tests share."""

import pytest

from anomae.slices.settings import PrepareSettings
from anomae.slices.store import SliceStore
from anomae.stages.prepare import prepare

# A fit of seconds.
SHORT = {
    "autoencoder.training.steps": 24,
    "classifier.training.steps": 16,
    "autoencoder.patch": 8,
    "classifier.patch": 8,
    "autoencoder.training.batch": 16,
    "classifier.training.batch": 16,
    "device.accelerator": "cpu",
}


@pytest.fixture(scope="session")
def heads(tmp_path_factory: pytest.TempPathFactory) -> SliceStore:
    """Eight made-up heads of 10 slices, 32 x 32 pixels; validation and test have lesions with this seed."""
    return prepare(
        "phantom",
        "heads:8",
        tmp_path_factory.mktemp("heads") / "store",
        workers=0,
        seed=1,
        settings=PrepareSettings(image_size=(32, 32)),
        options={"size": "10x40x40"},
    )
