"""How the paper's method is exported: its masked autoencoder and its classifier, masks and pasting left outside."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from anomae.detectors.inference import USE_BATCH
from anomae.detectors.mae_classifier.fitted import FittedPseudoAbnormalClassifier
from anomae.detectors.mae_classifier.training import classifier_inputs
from anomae.export.mae import EIGHT_BIT, drawn_masks, reconstruct_network
from anomae.export.traceable import Traceable, TraceableNetwork
from anomae.inference.exported.batches import in_batches
from anomae.inference.exported.detector import ExportedDetector
from anomae.inference.exported.masked import classified, reconstructed

Images = npt.NDArray[np.float32]


def traceable(fitted: FittedPseudoAbnormalClassifier) -> Traceable:
    """The networks of the paper's method, fitted."""
    example = torch.rand(2, fitted.network.channels, *fitted.network.image_size)
    pair = {"images": example, "rebuilt": example * 0.9}
    classify = TraceableNetwork(_Classify(fitted), pair, ("logit",), eight_bit=EIGHT_BIT)
    networks: dict[str, TraceableNetwork] = {"classify": classify}
    runner: dict[str, str | int | float | bool] = {"kind": "masked"}
    if fitted.autoencoder is not None:
        numbers = drawn_masks(fitted.autoencoder)
        networks["reconstruct"] = reconstruct_network(fitted.autoencoder.network, numbers)
        runner |= numbers
    return Traceable(
        networks=networks,
        runner=runner,
        batch=USE_BATCH["cpu"],
        pretext=lambda exported, images, _: {"boxes": _boxes(fitted, exported, images)},
    )


def _boxes(
    fitted: FittedPseudoAbnormalClassifier, exported: ExportedDetector, images: Images
) -> npt.NDArray[np.float64]:
    """The pretext task as `FittedPseudoAbnormalClassifier.pretext` has it, both networks the exported ones."""
    runner, networks = exported.card["runner"], exported.networks

    def rebuilt(block: Images) -> dict[str, Images]:
        return {"rebuilt": reconstructed(networks["reconstruct"], runner, block)}

    def judged(pair: Images) -> dict[str, Images]:
        return {"score": classified(networks, pair[:, 0], pair[:, 1])}

    batch, threads = int(exported.card["batch"]), exported.threads
    seen = images if fitted.autoencoder is None else in_batches(images, batch, threads, rebuilt)["rebuilt"]
    pairs = np.stack([images, fitted.altered(seen)], axis=1)
    return np.asarray(in_batches(pairs, batch, threads, judged)["score"], dtype=np.float64)


class _Classify(nn.Module):
    """Images and what was rebuilt of them, (B, C, H, W) each -> logits (B,)."""

    def __init__(self, fitted: FittedPseudoAbnormalClassifier) -> None:
        super().__init__()
        self.network, self.settings = fitted.network.cpu().eval(), fitted.settings.classifier
        self.scale = fitted.input_scale

    def forward(self, images: Tensor, rebuilt: Tensor) -> Tensor:
        given: Tensor = self.network(classifier_inputs(images, rebuilt, self.settings, self.scale))
        return given
