"""A fitted `anomae` on disk: backbone, autoencoders, memories and heads, each a safetensors file; no pickle."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from anomae.detectors.anomae.evidence import Evidence
from anomae.detectors.anomae.fitting import Parts
from anomae.detectors.anomae.hidden import Hidden, read_hidden, written_hidden
from anomae.detectors.anomae.settings import AnomaeSettings
from anomae.detectors.anomae.sources import Features, empty_backbone
from anomae.detectors.anomae.window import Window
from anomae.detectors.dae.detector import DenoisingAutoencoderDetector
from anomae.detectors.mae.detector import MaskedAutoencoderDetector
from anomae.files import read_json
from anomae.models.patch_head import PatchHead
from anomae.training.checkpoint import put_weights, read_tensors, write_tensors
from anomae.training.settings import DeviceSettings

State = dict[str, Tensor]


def write_parts(
    folder: Path, parts: Parts, evidences: Sequence[Evidence], heads: Sequence[Sequence[PatchHead]]
) -> None:
    """Write all tensors of a fitted detector; heads: of each evidence."""
    if parts.features is not None:
        named = {"description": parts.features.description}
        write_tensors(folder / "backbone.safetensors", dict(parts.features.network.state_dict()), named)
    if parts.autoencoder is not None:
        parts.autoencoder.save(folder / "autoencoder")
    if parts.denoiser is not None:
        parts.denoiser.save(folder / "denoiser")
    if parts.memories:
        write_tensors(folder / "memory.safetensors", {str(at): kept for at, kept in enumerate(parts.memories)})
    if parts.hidden:
        write_tensors(folder / "hidden.safetensors", written_hidden(parts.hidden))
    tensors: State = {}
    for at, (evidence, of_size) in enumerate(zip(evidences, heads, strict=True)):
        tensors |= {f"{at}.mean": evidence.mean, f"{at}.spread": evidence.spread}
        for number, head in enumerate(of_size):
            tensors |= {f"{at}.{number}.{name}": value for name, value in head.state_dict().items()}
    write_tensors(folder / "heads.safetensors", tensors)


def read_parts(
    folder: Path, device: DeviceSettings
) -> tuple[dict[str, Any], Parts, list[tuple[Tensor, Tensor]], list[State]]:
    """Content of settings.json, the parts, mean and spread by size, and the heads' states in order.

    Raises UserError where something is missing or broken.
    """
    content = read_json(folder / "settings.json")
    settings = AnomaeSettings.model_validate(content["settings"])
    features = autoencoder = denoiser = None
    if settings.wants_backbone:
        tensors, facts = read_tensors(folder / "backbone.safetensors")
        network = empty_backbone(settings.backbone)
        put_weights(folder / "backbone.safetensors", network, tensors)
        features = Features(settings.backbone, network, str(facts["description"]))
    if "residual" in settings.sources:
        autoencoder = MaskedAutoencoderDetector.load(folder / "autoencoder", device)
    if "denoised" in settings.sources:
        denoiser = DenoisingAutoencoderDetector.load(folder / "denoiser", device)
    memories: list[Tensor] = []
    if "memory" in settings.sources:
        kept = read_tensors(folder / "memory.safetensors")[0]
        memories = [kept[str(at)] for at in range(len(settings.sizes))]
    hidden: list[Hidden] = []
    if "hidden" in settings.sources and features is not None:
        tensors, _ = read_tensors(folder / "hidden.safetensors")
        height, width = content["image_size"]
        hidden = read_hidden(tensors, settings, (height, width), features, int(content["seed"]))
    tensors, _ = read_tensors(folder / "heads.safetensors")
    statistics, states = [], []
    for at in range(len(settings.sizes)):
        statistics.append((tensors[f"{at}.mean"], tensors[f"{at}.spread"]))
        for number in range(settings.heads):
            prefix = f"{at}.{number}."
            states.append({name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)})
    low, high = (tuple(values) for values in content["window"])
    parts = Parts(Window(low, high), features, autoencoder, denoiser, tuple(memories), tuple(hidden))
    return content, parts, statistics, states
