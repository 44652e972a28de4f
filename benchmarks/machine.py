"""The machine and the versions that figures are of: a header for every program here, the same in all."""

import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import IO, Any

from anomae.workers import usable_cores

PACKAGES = ("anomae", "torch", "numpy", "onnxruntime", "openvino")
FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_int8")


def processor() -> str:
    """Name, family and model, and the kinds of instructions that count here; what Python knows where lscpu is not."""
    if shutil.which("lscpu") is None:
        return platform.processor() or platform.machine()
    environment = {**os.environ, "LC_ALL": "C"}
    said = subprocess.run(["lscpu"], check=True, capture_output=True, text=True, env=environment).stdout
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in said.splitlines())}
    has = facts.get("Flags", "").split()
    name = f"{facts.get('Model name', platform.machine())} (family {facts.get('CPU family', '?')}, "
    return name + ", ".join([f"model {facts.get('Model', '?')})", *[flag for flag in FLAGS if flag in has]])


def machine() -> dict[str, Any]:
    """Processor, cores that this process may use, threads asked for, load of the last minute, versions; for JSON."""
    versions: dict[str, str] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "none"
    return {
        "processor": processor(),
        "cores": usable_cores(),
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "load": round(os.getloadavg()[0], 1),
        "versions": versions,
    }


def show_machine(file: IO[str] | None = None) -> None:
    """Print it in two lines; file: standard output where it is not said."""
    facts = machine()
    cores = f"{facts['cores']} core(s), OMP_NUM_THREADS {facts['threads']}, load {facts['load']}"
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    print(f"{facts['processor']}; {cores}\n{versions}", file=file or sys.stdout, flush=True)
