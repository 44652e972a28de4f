"""Networks written for an engine: traced by torch, kept as ONNX or as OpenVINO's own files."""

import copy
import logging
import warnings
from inspect import signature
from pathlib import Path
from typing import Any

import torch

from anomae.errors import NotWritten
from anomae.export.group_norms import by_channels
from anomae.export.traceable import TraceableNetwork
from anomae.extras import require
from anomae.files import copy_file

OPSET = 18


def write_network(
    network: TraceableNetwork, traced: Path, folder: Path, name: str, to: str, precision: str = "fp32"
) -> dict[str, Any]:
    """Trace one network into the folder `traced` and write it into `folder` for `to`; what the card says of it.

    to: onnx or openvino.  precision: of the whole.  Raises MissingExtra where onnx, onnxscript or openvino is not
    installed.
    """
    require("onnx", "onnx")
    require("onnxscript", "onnx")
    path = traced / f"{name}.onnx"
    _write_onnx(network, path)
    facts = {"inputs": list(network.inputs), "outputs": list(network.outputs), "rows": network.rows}
    return {"file": written_for(path, folder, to), "computed": network.computed_in.get(precision, precision), **facts}


def written_for(onnx: Path, folder: Path, to: str) -> str:
    """Write a traced network into `folder` for `to`, over an earlier one; the name of its file.

    Raises NotWritten where the disk did not take it.
    """
    if to == "onnx":
        copy_file(onnx, folder / onnx.name)
        return onnx.name
    openvino = require("openvino", "openvino")
    name = f"{onnx.stem}.xml"
    model = openvino.Core().read_model(str(onnx))
    try:
        openvino.save_model(model, str(folder / name), compress_to_fp16=False)
    except RuntimeError as error:
        if "iostream" not in str(error):  # the words of a C++ stream; any other is no matter of the disk
            raise
        raise NotWritten(folder / name, "OpenVINO could not write it") from error
    return name


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
                by_channels(copy.deepcopy(network.module).eval()),
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
