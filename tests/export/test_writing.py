"""Networks written for each engine: detectors of several kinds, traced once, pass the gate in both."""

from pathlib import Path

import numpy as np
import pytest

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
