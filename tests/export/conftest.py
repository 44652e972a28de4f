"""The small made-up store of the stages' tests."""

import pytest

from anomae.slices.settings import PrepareSettings
from anomae.slices.store import SliceStore
from anomae.stages.prepare import prepare


@pytest.fixture(scope="session")
def heads(tmp_path_factory: pytest.TempPathFactory) -> SliceStore:
    """Twelve made-up heads of 12 slices, 32 x 32 pixels."""
    return prepare(
        "phantom",
        "heads:12",
        tmp_path_factory.mktemp("heads") / "store",
        workers=0,
        seed=1,
        settings=PrepareSettings(image_size=(32, 32)),
        options={"size": "12x40x40"},
    )
