"""What is made of the training images once: whole, in order, in any shape, and not made twice."""

from pathlib import Path

import numpy as np
import pytest

from anomae.detectors.mae import reconstruction_cache
from anomae.detectors.mae.reconstruction_cache import cached_reconstructions
from anomae.slices.store import Slices
from anomae.training.devices import make_fabric
from anomae.training.settings import DeviceSettings

IMAGES = np.random.default_rng(0).random((11, 3, 4, 5), dtype=np.float32)


def test_it_is_made_in_chunks_and_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconstruction_cache, "CHUNK", 4)
    fabric, made = make_fabric(DeviceSettings(accelerator="cpu")), []

    def twice(block: np.ndarray) -> np.ndarray:
        if len(made) == 2 and not resumed:
            raise KeyboardInterrupt
        made.append(len(block))
        return block[:, :2, :, :3] * 2

    resumed = False
    with pytest.raises(KeyboardInterrupt):
        cached_reconstructions(tmp_path / "twice.npy", Slices(IMAGES), twice, fabric)
    resumed = True
    (tmp_path / "twice.chunks" / ".part-0123.npy").write_bytes(b"killed while it was written")
    cached = cached_reconstructions(tmp_path / "twice.npy", Slices(IMAGES), twice, fabric)
    assert made == [4, 4, 3]
    assert (len(cached), cached.channels, cached.image_size) == (11, 2, (4, 3))
    assert np.array_equal(cached.read(slice(None)), IMAGES[:, :2, :, :3] * 2)
    assert np.array_equal(cached.read(np.array([7, 2])), IMAGES[[7, 2], :2, :, :3] * 2)
    assert [path.name for path in tmp_path.iterdir()] == ["twice.npy"]
    again = cached_reconstructions(tmp_path / "twice.npy", Slices(IMAGES), twice, fabric)
    assert made == [4, 4, 3]
    assert np.array_equal(again.read(slice(None)), cached.read(slice(None)))
