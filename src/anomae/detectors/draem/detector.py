"""DRAEM-like: anomalies are made, and two networks learn to undo and to outline them (Zavrtanik et al., ICCV 2021).

Against the original: Perlin masks, blending, half of the samples healthy, losses and their weights, and the score (the
highest mean over 21x21 of 256 pixels) are the original's.  Its textures, the DTD pictures, are not at hand: other
healthy images and noise stand for them (anomae.models.simulated_anomalies).  Anomalies lie on tissue alone.  Both
networks have the blocks of our U-Net (swish for ReLU, transposed convolutions for bilinear ones, group norm in the
reconstructive network, as many levels in the segmentation network as in the other), SSIM has a uniform 7x7 window,
images are not turned in training, the rate follows half a cosine, and a pixel is one logit, which says the same as two,
and starts from a low probability.
"""

from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from anomae.detectors.baselines.fitted_scale import FittedScale
from anomae.detectors.corruption_settings import DraemSettings
from anomae.detectors.fitted_networks import FittedNetworks
from anomae.detectors.protocol import Findings, HealthySlices
from anomae.errors import UserError
from anomae.files import read_json
from anomae.models.anomaly_maps import box_mean
from anomae.models.draem import ReconstructAndSegment, draem_loss
from anomae.models.simulated_anomalies import simulated_anomalies
from anomae.models.unet import fits
from anomae.seeds import derive_seed
from anomae.training.devices import make_fabric
from anomae.training.images import ImageFeed
from anomae.training.loop import Training, train
from anomae.training.settings import DeviceSettings

SCORES = ("max", "mean")
BOX, OF_PIXELS = 21, 256
SMALLEST = 8  # pixels of a side: SSIM's window is 7


class DraemDetector:
    """The score is the highest probability, averaged over a small square, of being such an anomaly as was made."""

    name = "draem"

    def __init__(self, settings: DraemSettings) -> None:
        """Keep the settings; nothing is built before `fit` or `load`."""
        self.settings = settings
        self.fitted: FittedNetworks | None = None

    def fit(self, healthy: HealthySlices, *, seed: int, folder: Path) -> Self:
        """Train on healthy slices.  A fit stopped at any moment goes on from its checkpoint in `folder`.

        Raises UserError where there is nothing to learn from or the sides cannot be halved so often, Diverged where
        the loss is no longer finite.
        """
        settings = self.settings
        if len(healthy) == 0:
            raise UserError("There is no healthy slice to learn from.")
        weights = torch.Generator().manual_seed(derive_seed(seed, self.name, "weights"))
        networks = self._build(healthy.image_size, weights)
        scale = FittedScale.measured(healthy, settings.percentiles, lowest=0.0)
        fabric = make_fabric(settings.device)
        feed = ImageFeed(healthy, fabric.device)

        def batch_loss(model: nn.Module, places: npt.NDArray[np.int64], generator: torch.Generator) -> Tensor:
            clean = scale.shown(feed(places))  # (B, H, W)
            drawn = torch.randint(len(healthy), (len(places),), generator=generator, device=generator.device)
            altered, masks = simulated_anomalies(
                clean,
                scale.shown(feed(drawn.cpu().numpy())),
                clean > settings.tissue,
                share=settings.anomalous,
                most_seen=settings.most_seen,
                generator=generator,
            )
            reconstructions, logits = model(altered)
            return draem_loss(clean, masks, reconstructions, logits, settings.gamma)

        training = Training(
            stage=self.name,
            count=len(healthy),
            batch_loss=batch_loss,
            settings=settings.training,
            seed=seed,
            folder=folder,
            checkpoint_minutes=settings.device.checkpoint_minutes,
            optimizer=torch.optim.Adam,
        )
        train(fabric, networks["draem"], training)
        self.fitted = FittedNetworks(networks, scale, healthy.image_size, seed)
        return self

    def inspect(self, images: npt.NDArray[np.float32]) -> Findings:
        """Judge images (n, h, w): map the probability of each pixel, x^ in prepared intensities.

        Scores are taken of the map averaged over a square: its maximum, or its mean.
        """
        maps, reconstructions, measured = self._fitted().apply(images, self.settings.device, self._judge)
        scores = {name: measured[:, index].astype(np.float64) for index, name in enumerate(SCORES)}
        return Findings(scores[self.settings.score], maps, reconstructions, scores)

    def save(self, folder: Path) -> None:
        """Write weights.safetensors and, last, settings.json."""
        self._fitted().save(folder, self.name, self.settings)

    @classmethod
    def load(cls, folder: Path, device: DeviceSettings | None = None) -> Self:
        """Read what `save` wrote.  Raises UserError where something is missing or broken."""
        content = read_json(folder / "settings.json")
        settings = DraemSettings.model_validate(content["settings"])
        detector = cls(settings.model_copy(update={"device": device or DeviceSettings()}))
        detector.fitted = FittedNetworks.load(folder, content, detector._build)
        return detector

    def _fitted(self) -> FittedNetworks:
        if self.fitted is None:
            raise UserError("This DRAEM was not fitted yet.")
        return self.fitted

    def _build(self, image_size: tuple[int, int], generator: torch.Generator) -> dict[str, nn.Module]:
        chosen = self.settings
        if not fits(image_size, chosen.halvings) or min(image_size) < SMALLEST:
            raise UserError(
                f"DRAEM cannot halve images of {image_size[0]}x{image_size[1]} pixels {chosen.halvings} times; prepare "
                f"them with sides of at least {SMALLEST} that are multiples of {2**chosen.halvings}, or set fewer "
                f"halvings."
            )
        network = ReconstructAndSegment(chosen.width, chosen.segmentation_width, chosen.halvings, generator)
        return {"draem": network}

    def _judge(self, images: Tensor, _: npt.NDArray[np.float32]) -> tuple[Tensor, Tensor, Tensor]:
        fitted = self._fitted()
        reconstructions, logits = fitted.networks["draem"](fitted.scale.shown(images))
        maps = logits.sigmoid()
        smooth = box_mean(maps, box_side(fitted.image_size))
        scores = torch.stack([smooth.amax(dim=(1, 2)), smooth.mean(dim=(1, 2))], dim=1)
        return maps, fitted.scale.prepared(reconstructions), scores


def box_side(image_size: tuple[int, int]) -> int:
    """Pixels, odd: of the longer side the share that 21 is of 256."""
    return 2 * round((BOX * max(image_size) / OF_PIXELS - 1) / 2) + 1
