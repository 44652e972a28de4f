"""Networks in int8: what each is given on healthy slices is recorded, and the operators are quantised to that range.

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
            nodes_to_exclude=_of_computed_factors(made_ready, network.eight_bit),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    finally:
        root.setLevel(level)
        made_ready.unlink(missing_ok=True)
    quantised.replace(onnx)


def _of_computed_factors(path: Path, kinds: tuple[str, ...]) -> list[str]:
    """Names of the operators of these kinds in an ONNX file that have no constant factor, such as those of attention.

    The quantiser's own option for it (MatMulConstBOnly) counts for nothing in the form with pairs.
    """
    graph = require("onnx", "onnx").load(str(path)).graph
    constant = {tensor.name for tensor in graph.initializer}
    return [node.name for node in graph.node if node.op_type in kinds and not constant & set(node.input[:2])]
