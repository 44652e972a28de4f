"""Networks written for an engine: traced by torch, kept as ONNX or as OpenVINO's own files."""

import logging
import warnings
from inspect import signature
from pathlib import Path
from typing import Any

import torch

from anomae.export.traceable import TraceableNetwork
from anomae.extras import require

OPSET = 18


def write_network(network: TraceableNetwork, folder: Path, name: str, to: str) -> dict[str, Any]:
    """Write one network into `folder` for `to` (onnx or openvino); what the card says of it.

    Raises MissingExtra where onnx, onnxscript or openvino is not installed.
    """
    require("onnx", "onnx")
    require("onnxscript", "onnx")
    path = folder / f"{name}.onnx"
    _write_onnx(network, path)
    if to == "openvino":
        openvino = require("openvino", "openvino")
        model = openvino.convert_model(str(path))
        openvino.save_model(model, str(folder / f"{name}.xml"), compress_to_fp16=False)
        path.unlink()
        path = folder / f"{name}.xml"
    names = {"inputs": list(network.inputs), "outputs": list(network.outputs)}
    return {"file": path.name, "rows": network.rows, "exact": network.exact, **names}


def _write_onnx(network: TraceableNetwork, path: Path) -> None:
    batch = {0: torch.export.Dim("batch", min=1)}
    axes: tuple[Any, ...] = (batch,) * len(network.inputs)
    if any(entry.kind is entry.VAR_POSITIONAL for entry in signature(network.module.forward).parameters.values()):
        axes = (axes,)
    quieted = logging.getLogger("torch.onnx")
    level = quieted.level
    try:
        quieted.setLevel(logging.ERROR)
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of torch's exporter, about its own future
            torch.onnx.export(
                network.module.eval(),
                tuple(network.inputs.values()),
                str(path),
                input_names=list(network.inputs),
                output_names=list(network.outputs),
                dynamic_shapes=axes,
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    finally:
        quieted.setLevel(level)
