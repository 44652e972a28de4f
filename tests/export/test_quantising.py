"""Networks in int8: what is recorded for their ranges, which operators are quantised, and how far that may go."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anomae.export.held_back import HeldBack
from anomae.export.quantising import quantise, recorded
from anomae.export.traceable import TraceableNetwork
from anomae.inference.exported.detector import ExportedDetector
from anomae.inference.exported.engines import open_network

SIDE, CHANNELS = 8, 3
NAMES = ("conv", "by_constant", "by_itself", "last_conv", "last_product")
RANDOM = np.random.default_rng(0)


def exported_of(networks: dict[str, Any], batch: int) -> ExportedDetector:
    """An exported detector of two networks in a row, the second given what the first makes of images."""
    runner = {
        "kind": "chain",
        "chain": [["one", ["images"]], ["two", ["seen", "images"]]],
        "outputs": {"score": "score"},
    }
    card = {"runner": runner, "batch": batch, "image_size": [SIDE, SIDE], "channels": 1, "needs_neighbours": False}
    return ExportedDetector(Path(), card, networks, "fp32", 2)


def test_what_a_network_is_given_is_recorded_batch_after_batch() -> None:
    images = RANDOM.random((6, 1, SIDE, SIDE), dtype=np.float32)
    own = np.zeros((4, 1, SIDE, SIDE), np.float32)

    def one(inputs: Any) -> dict[str, Any]:
        np.multiply(inputs["images"], 2, out=own)  # which the next batch writes over, as an engine might
        return {"seen": own}

    def two(inputs: Any) -> dict[str, Any]:
        return {"score": inputs["seen"].sum(axis=(1, 2, 3))}

    slices = HeldBack(images, np.stack([images, images], axis=1), "made up")
    given = recorded(exported_of({"one": one, "two": two}, 4), slices, ["two"])
    assert list(given) == ["two"]
    filled = np.concatenate([images, images[-1:], images[-1:]])  # batches have one size
    for block, part in zip(given["two"], (filled[:4], filled[4:]), strict=True):
        assert block.keys() == {"seen", "images"}
        np.testing.assert_array_equal(block["images"], part)
        np.testing.assert_array_equal(block["seen"], 2 * part)


@pytest.fixture(scope="module")
def weights() -> np.ndarray:
    """Of a convolution, (CHANNELS, 1, 3, 3), the channels' sizes a hundred and more apart."""
    sizes = np.array([1e-3, 1.0, 100.0], np.float32)[:, None, None, None]
    return (RANDOM.standard_normal((CHANNELS, 1, 3, 3)).astype(np.float32) + 0.5) * sizes


@pytest.fixture
def network(weights: np.ndarray, tmp_path: Path) -> Path:
    """Images -> `seen`, a convolution; `linear`, its sums by a matrix; `squared`, `seen` by itself.

    Then what comes last: `logit`, a convolution of `seen`, and `sums`, those of `linear`.
    """
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    from onnx import TensorProto, helper, numpy_helper, save

    matrix = RANDOM.standard_normal((SIDE, 2)).astype(np.float32)
    last = {"head": np.ones((1, CHANNELS, 1, 1), np.float32), "ends": np.ones((2, 2), np.float32)}
    constants = {"weight": weights, "matrix": matrix, **last}
    shapes = {
        "seen": [CHANNELS, SIDE, SIDE],
        "linear": [CHANNELS, SIDE, 2],
        "squared": [CHANNELS, SIDE, SIDE],
        "logit": [1, SIDE, SIDE],
        "sums": [CHANNELS, SIDE, 2],
    }
    given = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 1, SIDE, SIDE])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *of]) for name, of in shapes.items()]
    nodes = [
        helper.make_node("Conv", ["images", "weight"], ["seen"], pads=[1, 1, 1, 1], name="conv"),
        helper.make_node("MatMul", ["seen", "matrix"], ["linear"], name="by_constant"),
        helper.make_node("MatMul", ["seen", "seen"], ["squared"], name="by_itself"),
        helper.make_node("Conv", ["seen", "head"], ["logit"], name="last_conv"),
        helper.make_node("MatMul", ["linear", "ends"], ["sums"], name="last_product"),
    ]
    initial = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "small", [given], outputs, initial)
    path = tmp_path / "small.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    return path


def of_kind(eight_bit: tuple[str, ...]) -> TraceableNetwork:
    import torch

    return TraceableNetwork(torch.nn.Identity(), {}, ("seen", "linear", "squared"), eight_bit=eight_bit)


def run(path: Path, images: np.ndarray) -> dict[str, np.ndarray]:
    return open_network("onnxruntime", path, "fp32", None, 1)({"images": images})


def test_each_channel_of_the_weights_keeps_its_own_precision(network: Path, weights: np.ndarray) -> None:
    """Of one scale for all channels the smallest would be lost wholly."""
    import onnx

    quantise(of_kind(("Conv",)), network, [{"images": RANDOM.random((4, 1, SIDE, SIDE), dtype=np.float32)}])
    assert [path.name for path in network.parent.iterdir()] == [network.name]
    graph = onnx.load(network).graph
    held = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    (node,) = (node for node in graph.node if node.op_type == "DequantizeLinear" and held_of(node, held) is not None)
    values, scale, zero = (held[name] for name in node.input)
    assert values.dtype == np.int8
    assert not zero.any()
    away = np.abs(values * scale[:, None, None, None] - weights).max(axis=(1, 2, 3))
    assert (away <= np.abs(weights).max(axis=(1, 2, 3)) / 127 * 0.501).all()


def held_of(node: Any, held: dict[str, np.ndarray]) -> np.ndarray | None:
    """The constant of a convolution's shape that a node is given; None: something else."""
    found = held.get(node.input[0])
    return found if found is not None and found.ndim == 4 else None


def test_what_comes_last_has_no_end_of_its_range(network: Path) -> None:
    """A logit beyond all that was recorded stays beyond it: else no lesion is above a threshold of healthy people."""
    images = RANDOM.random((4, 1, SIDE, SIDE), dtype=np.float32)
    quantise(of_kind(("Conv", "MatMul")), network, [{"images": images}])
    found = run(network, images)
    for name, given in (("logit", found["seen"].sum(axis=1, keepdims=True)), ("sums", found["linear"])):
        wanted = given if name == "logit" else np.repeat(given.sum(axis=-1, keepdims=True), 2, axis=-1)
        np.testing.assert_allclose(found[name], wanted, rtol=1e-4, atol=1e-4)


def test_ranges_are_those_that_were_given_and_what_lies_beyond_them_is_cut_off(network: Path) -> None:
    images = RANDOM.random((4, 1, SIDE, SIDE), dtype=np.float32)
    images[3] = 1
    exact, level = run(network, images)["seen"], logging.getLogger().level
    quantise(of_kind(("Conv",)), network, [{"images": images[:2]}, {"images": images[2:]}])
    assert logging.getLogger().level == level
    found = run(network, images)["seen"]
    assert 0 < np.abs(found - exact).max() < 0.02 * np.ptp(exact)
    np.testing.assert_array_equal(run(network, 3 * images[3:])["seen"], found[3:])


def test_only_the_operators_that_are_named_and_have_a_constant_factor_are_quantised(network: Path) -> None:
    import onnx

    def quantised(path: Path) -> set[str]:
        """Operators that are given what comes from eight bits, and whose result is brought to them."""
        nodes = onnx.load(path).graph.node
        brought = {node.input[0] for node in nodes if node.op_type == "QuantizeLinear"}
        taken = {node.output[0] for node in nodes if node.op_type == "DequantizeLinear"}
        ours = [node for node in nodes if node.name in NAMES]
        return {node.name for node in ours if node.output[0] in brought and taken.issuperset(node.input)}

    plain, given = network.read_bytes(), [{"images": RANDOM.random((4, 1, SIDE, SIDE), dtype=np.float32)}]
    for kinds, wanted in (
        (("Conv",), {"conv"}),
        (("MatMul",), {"by_constant"}),
        (("Conv", "MatMul"), {"conv", "by_constant"}),
    ):
        network.write_bytes(plain)
        assert quantised(network) == set()
        quantise(of_kind(kinds), network, given)
        assert quantised(network) == wanted
