"""Networks written for each engine: detectors of several kinds, traced once, pass the gate in both."""

import errno
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from anomae.errors import NotWritten
from anomae.export.card import card_of
from anomae.export.export import with_shape
from anomae.export.held_back import HeldBack
from anomae.export.parity import BATCHES, FP32_TOLERANCE, same_at_every_batch
from anomae.export.registry import traceable_of
from anomae.export.writing import write_network, written_for
from anomae.inference.exported.detector import opened
from anomae.inference.exported.engines import ENGINES

from .forms import fitted_in

# Of the registry's forms, as few networks as hold what no other test writes: an ensemble of others, say.
WRITTEN = ("anomae: denoised and memory", "ensemble: rebuilding")
pytest.importorskip("onnxscript", reason="needs the extra onnx")


@pytest.mark.parametrize("form", WRITTEN)
def test_both_engines_say_what_torch_says_in_any_batch(form: str, tmp_path: Path) -> None:
    for engine in ENGINES.values():
        pytest.importorskip(engine, reason="needs the extras onnx and openvino")
    fitted, images = fitted_in(form, tmp_path / "fit")
    images = np.concatenate([images, images[..., ::-1] * np.float32(0.8)])[: max(BATCHES)]
    slices = HeldBack(images, np.stack([np.roll(images, 1, axis=0), images], axis=1), "made-up heads")
    (tmp_path / "saved").mkdir()
    fitted.save(tmp_path / "saved")
    traced = with_shape(traceable_of(fitted), tmp_path / "saved")
    onnx, openvino = tmp_path / "onnx", tmp_path / "openvino"
    for folder in (tmp_path / "kept", onnx, openvino):
        folder.mkdir()
    written = {
        name: write_network(network, tmp_path / "kept", onnx, name, "onnx") for name, network in traced.networks.items()
    }
    files = {name: written_for(onnx / facts["file"], openvino, "openvino") for name, facts in written.items()}
    for to, folder in (("onnx", onnx), ("openvino", openvino)):
        of_engine = written if to == "onnx" else {name: {**written[name], "file": files[name]} for name in written}
        card = card_of(fitted, traced, of_engine, to, "fp32")
        at_any = opened(folder, card, any_batch=True, precision="fp32", threads=1)
        agreed = same_at_every_batch(fitted, at_any, slices)["largest_difference_by_batch"]
        assert max(max(of.values()) for of in agreed.values()) <= FP32_TOLERANCE
        in_use = opened(folder, card, threads=1)
        few = (images[:3], slices.neighbours[:3])[: 1 + in_use.needs_neighbours]
        assert np.ptp(in_use.inspect(*few).scores) > 0


def test_what_a_full_disk_did_not_take_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(error: Exception):  # type: ignore[no-untyped-def]
        def write(*_: object, **__: object) -> None:
            raise error

        return write

    of_a_stream = RuntimeError("basic_ios::clear: iostream error")
    openvino = SimpleNamespace(Core=lambda: SimpleNamespace(read_model=str), save_model=refused(of_a_stream))
    monkeypatch.setattr("anomae.export.writing.require", lambda *_: openvino)
    with pytest.raises(NotWritten, match=rf"{tmp_path}/network\.xml could not be written whole"):
        written_for(Path("traced/network.onnx"), tmp_path, "openvino")
    openvino.save_model = refused(RuntimeError("an operator that cannot be written"))
    with pytest.raises(RuntimeError, match="an operator"):  # a defect is not blamed on the disk
        written_for(Path("traced/network.onnx"), tmp_path, "openvino")
    source = "traced/network.onnx"
    monkeypatch.setattr("anomae.files.shutil.copyfile", refused(OSError(errno.ENOSPC, "No space", source)))
    with pytest.raises(OSError, match="No space") as raised:
        written_for(Path(source), tmp_path, "onnx")
    assert raised.value.filename == str(tmp_path / "network.onnx")
