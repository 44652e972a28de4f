"""The engines that run an exported network: ONNX Runtime and OpenVINO, each behind the same call."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock, local
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from anomae.errors import UserError
from anomae.extras import require

Arrays = Mapping[str, npt.NDArray[Any]]
ENGINES = {"onnx": "onnxruntime", "openvino": "openvino"}  # as exported -> as run
EXTRAS = {"onnxruntime": "onnx", "openvino": "openvino"}
SHARED = {"share_inputs": True, "share_outputs": True}  # of OpenVINO: arrays are looked at where they lie
_ONE_BEGINS = Lock()  # two threads whose first call of OpenVINO came together waited for each other's Python for ever


class Network(Protocol):
    """An exported network: arrays by name in, arrays by name out.  May be called from several threads at once."""

    def __call__(self, inputs: Arrays) -> dict[str, npt.NDArray[np.float32]]:
        """What the network makes of `inputs`, whose first axis is the batch.  Raises EngineFailed."""
        ...


class EngineFailed(UserError):
    """The engine could not run a network at all, such as one whose batch was frozen when it was traced."""


def threads_to_use() -> int:
    """OMP_NUM_THREADS where it is set, as for torch, else one more than the processors that this process may use.

    One more, since a thread waits for Python or for memory now and then: with three on two cores OpenVINO in bf16 took
    0.88 of the time (medians of six turns), in int8 0.95.  On a single processor it is one.
    """
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return processors + 1 if processors > 1 else 1


def engine_version(engine: str) -> str:
    """Name and version.  Raises MissingExtra where the engine is not installed."""
    module = require(engine, EXTRAS[engine])
    return f"{engine} {str(module.__version__).split('-')[0]}"


def multiplies_bf16() -> bool:
    """Whether OpenVINO computes in bfloat16 on this machine."""
    openvino = require("openvino", "openvino")
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def open_network(engine: str, path: Path, precision: str, batch: int | None, threads: int) -> Network:
    """The network in `path`, which several threads call, `threads` at most.

    precision: fp32 or bf16 (OpenVINO alone), of what is not in int8 in the network itself.  batch: the
    rows that every call will have, for which OpenVINO lays its kernels out; None: any.  Raises MissingExtra.
    """
    return _OPENED[engine](path, precision, batch, threads)


def _onnxruntime(path: Path, precision: str, batch: int | None, threads: int) -> Network:
    ort = require("onnxruntime", "onnx")
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # the batches are shared among threads instead
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    failures = _failures_of(ort)
    try:
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except failures as error:
        raise EngineFailed(_failed(path, {}, error)) from error
    names = [output.name for output in session.get_outputs()]

    def run(inputs: Arrays) -> dict[str, npt.NDArray[np.float32]]:
        try:
            return dict(zip(names, session.run(names, dict(inputs)), strict=True))
        except failures as error:
            raise EngineFailed(_failed(path, inputs, error)) from error

    return run


def _failures_of(ort: Any) -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises where a network cannot be run; its own errors have no class in common."""
    state = ort.capi.onnxruntime_pybind11_state
    return (state.Fail, state.InvalidArgument, state.RuntimeException, state.InvalidGraph, state.NotImplemented)


def _openvino(path: Path, precision: str, batch: int | None, threads: int) -> Network:
    openvino = require("openvino", "openvino")
    core = openvino.Core()
    model = core.read_model(str(path))
    if batch is not None:
        fixed = openvino.PartialShape
        model.reshape({entry.any_name: fixed([batch, *list(entry.partial_shape)[1:]]) for entry in model.inputs})
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": threads,  # one thread a batch, and as many batches at once
        "ENABLE_CPU_PINNING": False,  # the threads that call are not pinned either, and waited for those that were
    }
    try:
        compiled = core.compile_model(model, "CPU", settings)
    except RuntimeError as error:
        raise EngineFailed(_failed(path, {}, error)) from error
    names = [output.names for output in compiled.outputs]  # of one array: the last step may have brought its own
    own = local()

    def run(inputs: Arrays) -> dict[str, npt.NDArray[np.float32]]:
        try:
            if hasattr(own, "request"):
                given = own.request.infer(dict(inputs), **SHARED)
            else:
                with _ONE_BEGINS:
                    own.request = compiled.create_infer_request()
                    given = own.request.infer(dict(inputs), **SHARED)
        except RuntimeError as error:
            raise EngineFailed(_failed(path, inputs, error)) from error
        copies = [np.array(given[index]) for index in range(len(names))]  # the engine writes there again
        return {name: copy for copy, called in zip(copies, names, strict=True) for name in called}

    return run


def _failed(path: Path, inputs: Arrays, error: Exception) -> str:
    shapes = ", ".join(f"{name} {array.shape}" for name, array in inputs.items())
    reason = " ".join(str(error).split())[:200]
    return f"The network {path.name} cannot be run on {shapes or 'this engine'} ({reason})."


_OPENED: dict[str, Callable[[Path, str, int | None, int], Network]] = {
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
}
