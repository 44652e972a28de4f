"""The masked autoencoder as a detector: what it cannot rebuild from a quarter of the patches is not healthy.

Paper sections 3 (method, eq. 1), 4.5 and Table 2a (MSE, MAE and SSIM as the score, without the classifier).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from anomae.detectors.inference import check_images, in_fixed_batches, in_use
from anomae.detectors.patches import advice, refuse_uncut
from anomae.detectors.protocol import Findings, HealthySlices, Images4
from anomae.detectors.settings import AutoencoderSettings, MaeSettings
from anomae.errors import UserError
from anomae.files import read_json, write_json
from anomae.models.checkpoints import load_published_mae
from anomae.models.crops import random_resized_crops
from anomae.models.reconstruction_errors import ERRORS, error_scores
from anomae.models.transformer.masked_autoencoder import (
    MaskedAutoencoder,
    averaged_reconstruction,
    masked_error,
    random_visible,
    training_visible,
    visible_count,
)
from anomae.models.transformer.sizes import SIZES
from anomae.seeds import content_seed, derive_seed
from anomae.training.checkpoint import load_weights, write_tensors
from anomae.training.devices import make_fabric
from anomae.training.images import ImageFeed
from anomae.training.loop import Training, train
from anomae.training.settings import DeviceSettings

MAP_NAME = "absolute residual, prepared intensity"


class MaskedAutoencoderDetector:
    """Masked autoencoder; the score is one of the reconstruction errors (`settings.autoencoder.error`)."""

    name: ClassVar[str] = "mae"
    settings_type: ClassVar[type[MaeSettings]] = MaeSettings

    def __init__(self, settings: MaeSettings) -> None:
        """Keep the settings; nothing is built before `fit`."""
        self.settings = settings

    def fit(self, healthy: HealthySlices, *, seed: int, folder: Path, fabric: Any = None) -> "FittedMaskedAutoencoder":
        """Train on healthy slices (eq. 1).  A fit stopped at any moment goes on from its checkpoint in `folder`.

        fabric: of a larger fit that this one is the beginning of; None: one of its own.

        Raises UserError where there is nothing to learn from, the image cannot be cut into patches or is one patch, of
        which nothing can be hidden; Diverged where the loss is no longer finite.
        """
        settings, device = self.settings.autoencoder, self.settings.device
        if len(healthy) == 0:
            raise UserError("There is no healthy slice to learn from.")
        self.refuse_size(healthy.image_size)
        network = _build(settings, healthy.image_size, healthy.channels, derive_seed(seed, "autoencoder", "weights"))
        if settings.start is not None:
            load_published_mae(settings.start, network)
        fabric = fabric or make_fabric(device)
        feed = ImageFeed(healthy, fabric.device)
        patches = network.patch_count
        visible_patches = visible_count(patches, settings.mask_ratio)

        def batch_loss(model: nn.Module, indices: npt.NDArray[np.int64], generator: torch.Generator) -> Tensor:
            images = feed(indices)  # (B, C, H, W)
            if settings.crop_scale is not None or settings.flip:
                scale = settings.crop_scale or (1.0, 1.0)
                images = random_resized_crops(images, scale=scale, flip=settings.flip, generator=generator)
            visible = training_visible(len(images), patches, visible_patches, generator)  # (B, K)
            on = "all" if visible_patches == patches else settings.loss_on
            predictions = model(images, visible, everywhere=on == "all")  # (B, N, P*P*C)
            return masked_error(predictions, images, visible, settings.patch, on=on)

        training = Training(
            stage="autoencoder",
            count=len(healthy),
            batch_loss=batch_loss,
            settings=settings.training,
            seed=seed,
            folder=folder,
            checkpoint_minutes=device.checkpoint_minutes,
            groups=weight_decay_groups(network, settings.training.weight_decay),
        )
        train(fabric, network, training)
        return FittedMaskedAutoencoder(self.settings, network.eval(), seed)

    def refuse_size(self, image_size: tuple[int, int]) -> None:
        """Raise UserError where `fit` refuses images of (h, w) pixels."""
        settings = self.settings.autoencoder
        refuse_uncut(image_size, settings.patch, "autoencoder.patch")
        _refuse_unhidden(image_size, settings)

    @classmethod
    def load(cls, folder: Path, device: DeviceSettings | None = None) -> "FittedMaskedAutoencoder":
        """Read what `save` wrote.  Raises UserError where something is missing or broken."""
        content = read_json(folder / "settings.json")
        settings = MaeSettings.model_validate(content["settings"])
        settings = settings.model_copy(update={"device": device or DeviceSettings()})
        height, width = content["image_size"]
        network = _build(settings.autoencoder, (height, width), int(content["channels"]), seed=0)
        load_weights(folder / "weights.safetensors", network)
        return FittedMaskedAutoencoder(settings, network.eval(), int(content["seed"]))


@dataclass(frozen=True, slots=True, eq=False)
class FittedMaskedAutoencoder:
    """Rebuilds images from some of their patches, and says how far they are from that."""

    name: ClassVar[str] = MaskedAutoencoderDetector.name
    map_name: ClassVar[str] = MAP_NAME
    description: ClassVar[str] = ""

    settings: MaeSettings
    network: MaskedAutoencoder
    seed: int

    def reconstruct(self, images: Images4, *, variant: int = 0) -> Images4:
        """What healthy would look like (n, c, h, w): visible tokens pasted, the passes averaged (paper section 3).

        The masks of an image come from a generator seeded by the image itself and the fit's seed; `variant` gives
        other masks.  Raises UserError for images unlike those that were fitted on.
        """
        check_images(images, self.network.channels, self.network.image_size)
        with in_use(self.settings.device) as device:
            self.network.to(device)
            return in_fixed_batches(images, device, lambda x, block: (self._reconstruct(x, block, variant),))[0]

    def error_scores(self, images: Images4, reconstructions: Images4) -> npt.NDArray[np.float64]:
        """(n, 3): MSE, MAE and minus SSIM, in the order of ERRORS; each image's the same in any company."""
        both = np.stack([np.asarray(images, np.float32), reconstructions], axis=1)  # (n, 2, c, h, w)

        def errors(pair: Tensor, _: npt.NDArray[np.float32]) -> tuple[Tensor]:
            return (error_scores(pair[:, 0], pair[:, 1], self.settings.autoencoder.ssim_range),)

        return in_fixed_batches(both, torch.device("cpu"), errors, dtype=torch.float64)[0]

    def inspect(self, images: Images4) -> Findings:
        """Images (n, c, h, w): score by `settings.autoencoder.error`, map |X - X^|, and the reconstruction X^.

        Raises UserError for images unlike those that were fitted on.
        """
        reconstructions = self.reconstruct(images)
        errors = self.error_scores(images, reconstructions)
        named = {name: errors[:, index] for index, name in enumerate(ERRORS)}
        return Findings(
            named[self.settings.autoencoder.error], residual_maps(images, reconstructions), reconstructions, named
        )

    def save(self, folder: Path) -> None:
        """Write weights.safetensors and, last, settings.json."""
        write_tensors(folder / "weights.safetensors", dict(self.network.state_dict()))
        content = {
            "detector": self.name,
            "seed": self.seed,
            "image_size": list(self.network.image_size),
            "channels": self.network.channels,
            "settings": self.settings.model_dump(mode="json"),
        }
        write_json(folder / "settings.json", content)

    def _reconstruct(self, images: Tensor, block: Images4, variant: int) -> Tensor:
        network, settings = self.network, self.settings.autoencoder
        ratio = settings.mask_ratio if settings.use_mask_ratio is None else settings.use_mask_ratio
        seen = visible_count(network.patch_count, ratio)
        passes = settings.passes if seen < network.patch_count else 1
        seeds = [content_seed(derive_seed(self.seed, "masks", variant), image) for image in block]
        visible = random_visible(seeds, network.patch_count, seen, passes, covering=settings.masks == "covering")
        paste = settings.paste and seen < network.patch_count
        return averaged_reconstruction(network, images, visible.to(images.device), paste=paste)


def residual_maps(images: Images4, reconstructions: Images4) -> npt.NDArray[np.float32]:
    """|X - X^| of images (n, c, h, w), the mean over the channels: (n, h, w), what MAP_NAME says."""
    return np.asarray(np.abs(images - reconstructions).mean(axis=1), dtype=np.float32)


def weight_decay_groups(network: nn.Module, weight_decay: float) -> Sequence[dict[str, Any]]:
    """AdamW groups: no weight decay on biases, norms and other vectors, as in the reference MAE."""
    learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in learned if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in learned if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _refuse_unhidden(image_size: tuple[int, int], settings: AutoencoderSettings) -> None:
    """At a fit only: what was fitted without a hidden patch by an earlier version is read as ever."""
    (height, width), patch = image_size, settings.patch
    count = (height // patch) * (width // patch)
    if settings.mask_ratio > 0 and visible_count(count, settings.mask_ratio) == count:
        raise UserError(
            f"Nothing can be hidden of images of {height}x{width} pixels that are one patch of {patch}; "
            f"{advice(image_size, 'autoencoder.patch')}, or autoencoder.mask_ratio=0 for a plain autoencoder."
        )


def _build(settings: AutoencoderSettings, image_size: tuple[int, int], channels: int, seed: int) -> MaskedAutoencoder:
    if settings.size not in SIZES:
        raise UserError(f"There is no network size {settings.size!r}; there are {', '.join(SIZES)}.")
    refuse_uncut(image_size, settings.patch, "autoencoder.patch")
    encoder, decoder = SIZES[settings.size]
    generator = torch.Generator().manual_seed(seed)
    return MaskedAutoencoder(image_size, settings.patch, encoder, decoder, generator, channels)
