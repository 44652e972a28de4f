"""Published weights of a backbone: from the extra, from what other libraries keep, or a file; never a download."""

import hashlib
import os
from pathlib import Path

import torch
from torch import nn

from anomae.errors import UserError
from anomae.extras import installed_file
from anomae.models.backbones.build import BACKBONES
from anomae.models.checkpoints import read_weights

ORIGINS = ("package", "torchvision", "transformers")


def load_backbone(name: str, weights: str, network: nn.Module, table: str = "") -> str:
    """Put published weights into `network`, a backbone `name`; returns the teacher's name for tables.

    weights: "package" (installed with anomae), "torchvision" or "transformers" (a file that the library has downloaded
    before, in its cache; it need not be installed), or the path of a .safetensors or .pth file, read with weights_only.
    Names may be torchvision's, timm's of a residual network, or those of the efficientnet-pytorch family or of
    transformers; a head or a deeper stage is left out.  table: of the settings `backbone` and `weights`, such as
    "teacher.", for the message.

    Raises MissingExtra where the package is not installed, UserError where there is no such file or it does not fit.
    """
    backbone = BACKBONES[name]
    path = _weights_file(name, weights, table)
    state = backbone.rename({entry.removeprefix("module."): value for entry, value in read_weights(path).items()})
    own = network.state_dict()
    for entry, tensor in own.items():
        given = state.get(entry)
        if given is None and entry.endswith("num_batches_tracked"):
            state[entry] = tensor
        elif given is None or given.shape != tensor.shape:
            has = "not there" if given is None else f"{tuple(given.shape)} there"
            raise UserError(
                f"{path} does not hold the weights of {backbone.title}: {entry} is {has}, {tuple(tensor.shape)} here; "
                f"set {table}backbone to the network of the file."
            )
    network.load_state_dict({entry: state[entry] for entry in own})
    origin = f"weights of {path.name}" if weights not in ORIGINS else f"ImageNet ({weights})"
    return f"{backbone.title}, {origin}"


def _weights_file(name: str, weights: str, table: str) -> Path:
    backbone = BACKBONES[name]
    if weights not in ORIGINS:
        return Path(weights)
    has = {"package": backbone.package, "torchvision": backbone.published, "transformers": backbone.hub}[weights]
    if has is None:
        others = f"set {table}weights to another of " + ", ".join((*ORIGINS, "random")) + ", or to a file"
        raise UserError(f"There are no weights of {name} from {weights}; {others}.")
    if backbone.package and weights == "package":
        return _packaged(*backbone.package)
    if backbone.published and weights == "torchvision":
        call = f"torchvision.models.{name}(...)"
        return _cached(Path(torch.hub.get_dir()) / "checkpoints", (backbone.published,), call, table)
    hub = Path(backbone.hub or "")
    snapshots = hub_cache() / f"models--{'--'.join(hub.parts)}" / "snapshots"
    call = f'huggingface_hub.snapshot_download("{hub.as_posix()}")'
    return _cached(snapshots, ("*/model.safetensors", "*/pytorch_model.bin"), call, table)


def _packaged(module: str, path: str, sha256: str) -> Path:
    """The file of a package that anomae depends on, after a look at its hash: features are only as good as these."""
    file = installed_file(module, path, extra="")
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != sha256:
        raise UserError(
            f"{file} is not the file of weights that anomae was made with (SHA-256 {found[:12]}... where "
            f"{sha256[:12]}... is wanted); install the package {module.replace('_', '-')} anew."
        )
    return file


def hub_cache() -> Path:
    """Where transformers keeps what it has downloaded, by the same environment variables."""
    if cache := os.environ.get("HF_HUB_CACHE"):
        return Path(cache)
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
    return Path(os.environ.get("HF_HOME") or usual) / "hub"


def _cached(folder: Path, patterns: tuple[str, ...], call: str, table: str) -> Path:
    """The newest file in `folder` of the first pattern that has one."""
    for pattern in patterns:
        if found := sorted(folder.glob(pattern), key=lambda path: (path.stat().st_mtime_ns, path.name)):
            return found[-1]
    raise UserError(
        f"{folder} holds no {' or '.join(patterns)}; nothing is downloaded here: have {call} fetch it once, or set "
        f"{table}weights to the path of that file."
    )
