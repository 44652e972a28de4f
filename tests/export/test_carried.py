"""What lies beside the weights goes with an exported model, weights do not, and neither makes it another model's."""

import errno

import numpy as np
import pytest

from anomae.export.carried import carry_over
from anomae.export.export import model_of
from anomae.runs.model_fingerprint import REFERENCE, REFERENCE_FEATURES
from anomae.runs.reference_file import write_reference


def fitted_in(folder):
    folder.mkdir()
    (folder / "settings.json").write_text("{}")
    for name in ("weights.safetensors", "memory.npz", "mean.npy"):
        (folder / name).write_bytes(name.encode())
    write_reference(folder, {"scans": 9}, {"mean": np.arange(3.0)})
    return folder


def test_the_reference_goes_whole_and_weights_stay(tmp_path):
    fitted = fitted_in(tmp_path / "fitted")
    carry_over(fitted, tmp_path / "calibration", tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"settings.json", REFERENCE, REFERENCE_FEATURES}
    assert (tmp_path / "out" / REFERENCE_FEATURES).read_bytes() == (fitted / REFERENCE_FEATURES).read_bytes()


def test_a_reference_that_is_written_anew_makes_no_other_model(tmp_path):
    fitted = fitted_in(tmp_path / "fitted")
    before, earlier = model_of(fitted), model_of(fitted, with_features=True)
    assert before != earlier
    write_reference(fitted, {"scans": 10}, {"mean": np.arange(4.0)})
    assert model_of(fitted) == before
    (fitted / "memory.npz").write_bytes(b"other")
    assert model_of(fitted) != before


def test_a_full_disk_is_named_and_not_the_run(tmp_path, monkeypatch):
    def refused(source, target):
        raise OSError(errno.ENOSPC, "No space", source)

    fitted = fitted_in(tmp_path / "fitted")
    monkeypatch.setattr("anomae.files.shutil.copyfile", refused)
    with pytest.raises(OSError, match="No space") as raised:
        carry_over(fitted, tmp_path / "calibration", tmp_path / "out")
    assert raised.value.filename.startswith(str(tmp_path / "out"))
