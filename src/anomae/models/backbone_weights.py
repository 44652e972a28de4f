"""Published weights of a backbone: from the extra, from torchvision's cache, or from a file; never a download."""

from pathlib import Path

import torch
from torch import nn

from anomae.errors import UserError
from anomae.extras import installed_file
from anomae.models.backbones import BACKBONES
from anomae.models.checkpoints import read_weights


def load_backbone(name: str, weights: str, network: nn.Module) -> str:
    """Put published weights into `network`, a backbone `name`; returns the teacher's name for tables.

    weights: "package" (the extra `backbones`), "torchvision" (a file that torchvision has downloaded before, in
    torch's cache), or the path of a .safetensors or .pth file, read with weights_only.  Names may be torchvision's,
    timm's of a residual network, or those of the efficientnet-pytorch family; a head or a deeper stage is left out.

    Raises MissingExtra where the extra is not installed, UserError where there is no such file or it does not fit.
    """
    backbone = BACKBONES[name]
    path = _weights_file(name, weights)
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
                f"set teacher.backbone to the network of the file."
            )
    network.load_state_dict({entry: state[entry] for entry in own})
    origin = f"weights of {path.name}" if weights not in ("package", "torchvision") else f"ImageNet ({weights})"
    return f"{backbone.title}, {origin}"


def _weights_file(name: str, weights: str) -> Path:
    backbone = BACKBONES[name]
    if weights == "package":
        if backbone.package is None:
            shipped = ", ".join(key for key, other in BACKBONES.items() if other.package)
            raise UserError(
                f"The packages ship weights of {shipped}, none of {name}; set teacher.weights to a file, to "
                f"torchvision or to random."
            )
        return installed_file(*backbone.package, extra="backbones")
    if weights == "torchvision":
        if backbone.published is None:
            raise UserError(f"torchvision has no weights of {name}; set teacher.weights to package, a file or random.")
        cache = Path(torch.hub.get_dir()) / "checkpoints"
        cached = sorted(cache.glob(backbone.published))
        if not cached:
            raise UserError(
                f"{cache} holds no {backbone.published}; nothing is downloaded here: fetch that file from "
                f"download.pytorch.org/models, and set teacher.weights to its path."
            )
        return cached[-1]
    return Path(weights)
