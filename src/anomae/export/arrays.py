"""How the baselines without a network are exported: a few products and means, in fp32 alone."""

import torch
from torch import Tensor, nn

from anomae.detectors.baselines.mean_image import FittedMeanImage
from anomae.detectors.baselines.pca import FittedPrincipalComponents
from anomae.detectors.baselines.pixel_gaussian import FittedPixelGaussian
from anomae.detectors.inference import USE_BATCH
from anomae.export.traceable import EXACT, Traceable, TraceableNetwork

Fitted = FittedMeanImage | FittedPixelGaussian | FittedPrincipalComponents


def traceable(fitted: Fitted) -> Traceable:
    """The one network of any of the three, fitted."""
    outputs = ("score", "map", "reconstruction")
    example = torch.rand(2, *fitted.fitted.mean.shape)
    network = TraceableNetwork(_Whole(fitted), {"images": example}, outputs, computed_in=EXACT)
    names = {name: name for name in outputs}
    runner = {"kind": "chain", "chain": [["whole", ["images"]]], "outputs": names}
    return Traceable({"whole": network}, runner, USE_BATCH["cpu"])


class _Whole(nn.Module):
    """Images (B, c, h, w) -> score (B,), map (B, h, w) and reconstruction (B, c, h, w)."""

    def __init__(self, fitted: Fitted) -> None:
        super().__init__()
        arrays = {name: torch.from_numpy(array.copy()) for name, array in fitted.fitted.arrays.items()}
        self.mean: Tensor
        self.deviation: Tensor
        self.components: Tensor
        self.register_buffer("mean", arrays["mean"])
        self.register_buffer("deviation", arrays.get("deviation", torch.ones(1)))
        components = arrays.get("components", torch.zeros(0))
        self.register_buffer("components", components.flatten(1) if components.ndim > 1 else components)  # (k, c*h*w)
        self.squared = not isinstance(fitted, FittedMeanImage)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        centred = images - self.mean
        rebuilt = self.mean.expand(images.shape[0], -1, -1, -1)
        if self.components.ndim > 1 and self.components.shape[0] > 0:
            weights = centred.flatten(1) @ self.components.T  # (B, k)
            rebuilt = rebuilt + (weights @ self.components).reshape(images.shape)
        away = (images - rebuilt).abs() / self.deviation
        measured = away.square() if self.squared else away
        return measured.mean(dim=(1, 2, 3)), away.mean(dim=1), rebuilt
