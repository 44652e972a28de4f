"""Networks in int8: what each is given on healthy slices is recorded, and the operators are quantised to that range.

What comes last in a network, such as the logits of a head, stays in fp32: cut off at what healthy slices reach, no
lesion is above a threshold.  Ranges of what comes before need no lesions: with pseudo-lesions recorded too, ranks were
no better and as many tumours found (docs/performance.md).

ONNX Runtime quantises, for both engines: OpenVINO runs what it writes (pairs of QuantizeLinear and DequantizeLinear) in
int8 too.  Weights by channel, inputs by tensor.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.detectors.protocol import with_neighbours
from anomae.export.held_back import HeldBack
from anomae.export.traceable import TraceableNetwork
from anomae.extras import require
from anomae.inference.exported.detector import ExportedDetector
from anomae.inference.exported.engines import Arrays, Network

Given = list[dict[str, npt.NDArray[Any]]]


def recorded(exported: ExportedDetector, slices: HeldBack, names: list[str]) -> dict[str, Given]:
    """What the networks `names` are given while `exported` inspects `slices`, batch after batch."""
    given: dict[str, Given] = {name: [] for name in names}

    def recording(name: str, network: Network) -> Network:
        def run(inputs: Arrays) -> dict[str, npt.NDArray[np.float32]]:
            given[name].append({entry: np.array(array) for entry, array in inputs.items()})
            return network(inputs)

        return run if name in given else network

    networks = {name: recording(name, network) for name, network in exported.networks.items()}
    watched = replace(exported, networks=networks, threads=1)
    watched.inspect(*with_neighbours(watched, slices.images, lambda: slices.neighbours))
    return given


def quantise(network: TraceableNetwork, onnx: Path, given: Given) -> None:
    """Write the traced network in `onnx` anew, its `eight_bit` operators in int8 where a factor is a constant.

    Raises MissingExtra where onnxruntime is not installed.
    """
    require("onnxruntime", "onnx")
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Recorded(CalibrationDataReader):  # type: ignore[misc]
        """What was recorded, as the quantiser asks for it."""

        def __init__(self) -> None:
            self.left: Iterator[Mapping[str, npt.NDArray[Any]]] = iter(given)

        def get_next(self) -> Mapping[str, npt.NDArray[Any]] | None:
            """The next batch; None at the end."""
            return next(self.left, None)

    made_ready, quantised = onnx.with_suffix(".ready.onnx"), onnx.with_suffix(".int8.onnx")
    root = logging.getLogger()
    level = root.level
    try:
        root.setLevel(logging.ERROR)  # it recommends what was done already
        quant_pre_process(str(onnx), str(made_ready), skip_symbolic_shape=True)
        quantize_static(
            str(made_ready),
            str(quantised),
            Recorded(),
            op_types_to_quantize=list(network.eight_bit),
            nodes_to_exclude=_kept(made_ready, network.eight_bit),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    finally:
        root.setLevel(level)
        made_ready.unlink(missing_ok=True)
    quantised.replace(onnx)


def _kept(path: Path, kinds: tuple[str, ...]) -> list[str]:
    """Names of the operators of these kinds in an ONNX file that are not to be quantised.

    Those that have no constant factor, such as those of attention (the quantiser's own option for it,
    MatMulConstBOnly, counts for nothing in the form with pairs); and those that come last: no other of these kinds is
    given what was made of what they made.
    """
    graph = require("onnx", "onnx").load(str(path)).graph
    constant = {tensor.name for tensor in graph.initializer}
    ours = [node for node in graph.node if node.op_type in kinds]
    quantised = [node for node in ours if constant & set(node.input[:2])]
    followed: set[str] = set()  # what one of `quantised` is given, and what that was made of
    names = {node.name for node in quantised}
    for node in reversed(graph.node):  # which are in the order in which they are computed
        if node.name in names or followed & set(node.output):
            followed.update(node.input)
    last = [node.name for node in quantised if not followed & set(node.output)]
    return [*(node.name for node in ours if node.name not in names), *last]
