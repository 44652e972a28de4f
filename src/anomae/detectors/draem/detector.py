"""DRAEM-like: anomalies are made, and two networks learn to undo and to outline them (Zavrtanik et al., ICCV 2021).

Against the original: Perlin masks, blending, half of the samples healthy, losses and their weights, and the score (the
highest mean over 21x21 of 256 pixels) are the original's.  Its textures, the DTD pictures, are not at hand: other
healthy images and noise stand for them (anomae.models.simulated_anomalies).  Anomalies lie on tissue alone.  Both
networks have the blocks of our U-Net (swish for ReLU, transposed convolutions for bilinear ones, group norm in the
reconstructive network, as many levels in the segmentation network as in the other), SSIM has a uniform 7x7 window,
images are not turned in training, the rate follows half a cosine, and a pixel is one logit, which says the same as two,
and starts from a low probability.  Of several channels all have the same mask and blend, and textures of their own
grey and contrast; tissue is where any channel is bright enough.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from anomae.detectors.draem.settings import DraemSettings
from anomae.detectors.fitted_networks import Build, FittedNetworks, load_networks, named_scores
from anomae.detectors.one_network import Shown, train_the_one
from anomae.detectors.protocol import Findings, HealthySlices, Images4
from anomae.errors import UserError
from anomae.models.anomaly_maps import box_mean
from anomae.models.draem import ReconstructAndSegment, draem_loss
from anomae.models.simulated_anomalies import simulated_anomalies
from anomae.models.unet import fits
from anomae.training.settings import DeviceSettings

SCORES = ("max", "mean")
BOX, OF_PIXELS = 21, 256
SMALLEST = 8  # pixels of a side: SSIM's window is 7


@dataclass(frozen=True, slots=True, eq=False)
class FittedDraem:
    """The score is the highest probability, averaged over a small square, of being such an anomaly as was made."""

    name: ClassVar[str] = "draem"
    map_name: ClassVar[str] = "probability of being abnormal"
    description: ClassVar[str] = ""
    settings: DraemSettings
    fitted: FittedNetworks

    def inspect(self, images: Images4) -> Findings:
        """Images (n, c, h, w): map the probability of each pixel, x^ in prepared intensities.

        Scores are taken of the map averaged over a square: its maximum, or its mean.
        """
        maps, reconstructions, measured = self.fitted.apply(images, self.settings.device, self._segmented)
        scores = named_scores(measured, SCORES)
        return Findings(scores[self.settings.score], maps, reconstructions, scores)

    def save(self, folder: Path) -> None:
        """Write weights.safetensors and, last, settings.json."""
        self.fitted.save(folder, self.name, self.settings)

    def _segmented(self, images: Tensor, _: npt.NDArray[np.float32]) -> tuple[Tensor, Tensor, Tensor]:
        fitted = self.fitted
        reconstructions, logits = fitted.networks["draem"](fitted.scale.shown(images))
        maps = logits.sigmoid()
        smooth = box_mean(maps, box_side(fitted.image_size))
        scores = torch.stack([smooth.amax(dim=(1, 2)), smooth.mean(dim=(1, 2))], dim=1)
        return maps, fitted.scale.prepared(reconstructions), scores


class DraemDetector:
    """Learns to undo and to outline anomalies made on healthy slices."""

    name: ClassVar[str] = FittedDraem.name
    settings_type = DraemSettings

    def __init__(self, settings: DraemSettings) -> None:
        """Keep the settings."""
        self.settings = settings

    def fit(self, healthy: HealthySlices, *, seed: int, folder: Path) -> FittedDraem:
        """Train on healthy slices.  A fit stopped at any moment goes on from its checkpoint in `folder`.

        Raises UserError where there is nothing to learn from or the sides cannot be halved so often, Diverged where
        the loss is no longer finite.
        """
        settings, count = self.settings, len(healthy)

        def loss(model: nn.Module, shown: Shown, indices: npt.NDArray[np.int64], generator: torch.Generator) -> Tensor:
            clean = shown(indices)  # (B, C, H, W)
            others = torch.randint(count, (len(indices),), generator=generator, device=generator.device)
            altered, masks = simulated_anomalies(
                clean,
                shown(others.cpu().numpy()),
                (clean > settings.tissue).any(dim=1),
                share=settings.anomalous,
                most_seen=settings.most_seen,
                generator=generator,
            )
            reconstructions, logits = model(altered)
            return draem_loss(clean, masks, reconstructions, logits, settings.gamma)

        build = _building(settings)
        fitted = train_the_one(
            self.name,
            FittedNetworks.begun(self.name, healthy, build, percentiles=settings.percentiles, seed=seed),
            healthy,
            loss,
            settings=settings.training,
            device=settings.device,
            folder=folder,
            optimizer=torch.optim.Adam,
        )
        return FittedDraem(settings, fitted)

    @classmethod
    def load(cls, folder: Path, device: DeviceSettings | None = None) -> FittedDraem:
        """Read what `save` wrote.  Raises UserError where something is missing or broken."""
        return FittedDraem(*load_networks(folder, DraemSettings, _building, device))


def _building(settings: DraemSettings) -> Build:
    def build(image_size: tuple[int, int], channels: int, generator: torch.Generator) -> dict[str, nn.Module]:
        halvings = settings.halvings
        if not fits(image_size, halvings) or min(image_size) < SMALLEST:
            raise UserError(
                f"DRAEM cannot halve images of {image_size[0]}x{image_size[1]} pixels {halvings} times; prepare them "
                f"with sides of at least {SMALLEST} that are multiples of {2**halvings}, or set fewer halvings."
            )
        widths = (settings.width, settings.segmentation_width)
        return {"draem": ReconstructAndSegment(channels, *widths, halvings, generator)}

    return build


def box_side(image_size: tuple[int, int]) -> int:
    """Pixels, odd: of the longer side the share that 21 is of 256."""
    return 2 * round((BOX * max(image_size) / OF_PIXELS - 1) / 2) + 1
