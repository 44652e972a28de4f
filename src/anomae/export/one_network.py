"""How the denoising autoencoder, DRAEM and the convolutional autoencoder are exported: scale, network, scores."""

from typing import Any

import torch
from torch import Tensor, nn

from anomae.detectors.baselines.conv_autoencoder import FittedConvAutoencoder
from anomae.detectors.dae.detector import SCORES as DAE_SCORES
from anomae.detectors.dae.detector import FittedDenoisingAutoencoder
from anomae.detectors.draem.detector import SCORES as DRAEM_SCORES
from anomae.detectors.draem.detector import FittedDraem, box_side
from anomae.detectors.fitted_scale import FittedScale
from anomae.detectors.inference import USE_BATCH
from anomae.export.residuals import median_filtered
from anomae.export.traceable import EXACT, Step, Traceable, traced_in_turn
from anomae.models.anomaly_maps import box_mean, highest_mean
from anomae.models.reconstruction_errors import ERRORS

Fitted = FittedDenoisingAutoencoder | FittedDraem | FittedConvAutoencoder


def traceable(fitted: Fitted) -> Traceable:
    """The networks of any of the three, fitted."""
    networks, scale = fitted.fitted, fitted.fitted.scale
    runner: dict[str, Any] = {"kind": "chain"}
    scores: tuple[str, ...]
    finish: nn.Module
    if isinstance(fitted, FittedConvAutoencoder):
        given, scores, chosen = ["rebuilt"], (), f"error_{fitted.settings.error}"
        finish, further = Unlike(scale), {f"score_{name}": f"error_{name}" for name in ERRORS}
        runner["errors"] = ["shown", "rebuilt", 1.0]
    else:
        dae = isinstance(fitted, FittedDenoisingAutoencoder)
        given = ["rebuilt"] if dae else ["rebuilt", "logits"]
        scores = tuple(f"score_{name}" for name in (DAE_SCORES if dae else DRAEM_SCORES))
        finish = _Denoised(fitted) if isinstance(fitted, FittedDenoisingAutoencoder) else _Segmented(fitted)
        further, chosen = {name: name for name in scores}, f"score_{fitted.settings.score}"
    (network,) = networks.networks.values()
    steps: tuple[Step, ...] = (
        ("show", Shown(scale), ["images"], ["shown"], EXACT),
        ("rebuild", network.cpu().eval(), ["shown"], given, {}),
        ("finish", finish, ["images", "shown", *given], ["map", "reconstruction", *scores], EXACT),
    )
    images = torch.rand(2, networks.channels, *networks.image_size)
    runner["chain"] = [[name, inputs] for name, _, inputs, _, _ in steps]
    runner["outputs"] = {"score": chosen, "map": "map", "reconstruction": "reconstruction", **further}
    return Traceable(traced_in_turn(steps, {"images": images}), runner, USE_BATCH["cpu"])


class Shown(nn.Module):
    """Prepared images as the network sees them."""

    def __init__(self, scale: FittedScale) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, images: Tensor) -> Tensor:
        """Of the same shape."""
        return self.scale.shown(images)


class Unlike(nn.Module):
    """Images, in both scales, and what was rebuilt -> the map of absolute differences and the reconstruction."""

    def __init__(self, scale: FittedScale) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, images: Tensor, shown: Tensor, rebuilt: Tensor) -> tuple[Tensor, Tensor]:
        """(B, c, h, w) each -> (B, h, w) and (B, c, h, w)."""
        reconstruction = self.scale.prepared(rebuilt)
        return (images - reconstruction).abs().mean(dim=1), reconstruction


class _Denoised(nn.Module):
    """What `FittedDenoisingAutoencoder` makes of a reconstruction."""

    def __init__(self, fitted: FittedDenoisingAutoencoder) -> None:
        super().__init__()
        self.scale, self.settings = fitted.fitted.scale, fitted.settings

    def forward(self, images: Tensor, shown: Tensor, rebuilt: Tensor) -> tuple[Tensor, ...]:
        residuals = median_filtered((shown - rebuilt).abs(), self.settings.median)
        residual = residuals.mean(dim=1)
        scores = (highest_mean(residual, self.settings.top_share), residual.amax(dim=(1, 2)), residual.mean(dim=(1, 2)))
        return self.scale.prepared_distances(residuals).mean(dim=1), self.scale.prepared(rebuilt), *scores


class _Segmented(nn.Module):
    """What `FittedDraem` makes of a reconstruction and the logits."""

    def __init__(self, fitted: FittedDraem) -> None:
        super().__init__()
        self.scale, self.side = fitted.fitted.scale, box_side(fitted.fitted.image_size)

    def forward(self, images: Tensor, shown: Tensor, rebuilt: Tensor, logits: Tensor) -> tuple[Tensor, ...]:
        maps = logits.sigmoid()
        smooth = box_mean(maps, self.side)
        return maps, self.scale.prepared(rebuilt), smooth.amax(dim=(1, 2)), smooth.mean(dim=(1, 2))
