"""The masked autoencoder as a detector: what it cannot rebuild from a quarter of the patches is not healthy.

Paper sections 3 (method, eq. 1), 4.5 and Table 2a (MSE, MAE and SSIM as the score, without the classifier).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from anomae.detectors.inference import in_fixed_batches, in_use
from anomae.detectors.protocol import Findings, HealthySlices
from anomae.detectors.settings import AutoencoderSettings
from anomae.errors import UserError
from anomae.files import read_json, write_json
from anomae.models.checkpoints import load_published_mae
from anomae.models.crops import random_resized_crops
from anomae.models.reconstruction_errors import ERRORS, error_scores
from anomae.models.transformer.mae import MaskedAutoencoder, averaged_reconstruction, masked_error
from anomae.models.transformer.masks import random_visible, training_visible, visible_count
from anomae.models.transformer.sizes import SIZES
from anomae.seeds import content_seed, derive_seed
from anomae.training.checkpoint import read_tensors, write_tensors
from anomae.training.devices import make_fabric
from anomae.training.images import ImageFeed
from anomae.training.loop import Training, train
from anomae.training.settings import DeviceSettings


class MaskedAutoencoderDetector:
    """Masked autoencoder; the score is one of the reconstruction errors (`settings.error`)."""

    name = "mae"

    def __init__(self, settings: AutoencoderSettings, device: DeviceSettings | None = None) -> None:
        """Keep the settings; nothing is built before `fit` or `load`."""
        self.settings = settings
        self.device = device or DeviceSettings()
        self.seed = 0
        self.network: MaskedAutoencoder | None = None

    def fit(self, healthy: HealthySlices, *, seed: int, folder: Path, fabric: Any = None) -> Self:
        """Train on healthy slices (eq. 1).  A fit stopped at any moment goes on from its checkpoint in `folder`.

        Raises UserError where the image cannot be cut into patches, Diverged where the loss is no longer finite.
        """
        settings, self.seed = self.settings, seed
        if len(healthy) == 0:
            raise UserError("There is no healthy slice to learn from.")
        network = self._build(healthy.image_size, derive_seed(seed, "autoencoder", "weights"))
        if settings.start is not None:
            load_published_mae(settings.start, network)
        fabric = fabric or make_fabric(self.device)
        feed = ImageFeed(healthy, fabric.device)
        patches = network.patch_count
        visible_patches = visible_count(patches, settings.mask_ratio)

        def batch_loss(model: nn.Module, places: npt.NDArray[np.int64], generator: torch.Generator) -> Tensor:
            images = feed(places)  # (B, H, W)
            if settings.crop_scale is not None or settings.flip:
                scale = settings.crop_scale or (1.0, 1.0)
                images = random_resized_crops(images, scale=scale, flip=settings.flip, generator=generator)
            visible = training_visible(len(images), patches, visible_patches, generator)  # (B, K)
            on = "all" if visible_patches == patches else settings.loss_on
            predictions = model(images, visible, everywhere=on == "all")  # (B, N, P*P)
            return masked_error(predictions, images, visible, settings.patch, on=on)

        training = Training(
            stage="autoencoder",
            count=len(healthy),
            batch_loss=batch_loss,
            settings=settings.training,
            seed=seed,
            folder=folder,
            checkpoint_minutes=self.device.checkpoint_minutes,
            groups=_decayed_and_not(network, settings.training.weight_decay),
        )
        train(fabric, network, training)
        self.network = network.eval()
        return self

    def reconstruct(self, images: npt.NDArray[np.float32], *, variant: int = 0) -> npt.NDArray[np.float32]:
        """What healthy would look like (n, h, w): visible tokens pasted, the passes averaged (paper section 3).

        The masks of an image come from a generator seeded by the image itself and the fit's seed; `variant` gives
        other masks.
        """
        with in_use(self.device) as device:
            return in_fixed_batches(images, device, lambda x, block: (self._reconstruct(x, block, variant),))[0]

    def error_scores(
        self, images: npt.NDArray[np.float32], reconstructions: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float64]:
        """(n, 3): MSE, MAE and minus SSIM, in the order of ERRORS."""
        pair = torch.from_numpy(np.asarray(images, np.float32)), torch.from_numpy(reconstructions)
        return error_scores(*pair, self.settings.ssim_range).numpy()

    def inspect(self, images: npt.NDArray[np.float32]) -> Findings:
        """Judge images (n, h, w): score by `settings.error`, map |X - X^|, and the reconstruction X^."""
        reconstructions = self.reconstruct(images)
        scores = self.error_scores(images, reconstructions)
        chosen = scores[:, ERRORS.index(self.settings.error)]
        return Findings(chosen, np.abs(images - reconstructions), reconstructions, _named(scores))

    def save(self, folder: Path) -> None:
        """Write weights.safetensors and settings.json."""
        network = self._fitted()
        write_tensors(folder / "weights.safetensors", dict(network.state_dict()))
        content = {"settings": self.settings.model_dump(mode="json"), "image_size": list(network.image_size)}
        write_json(folder / "settings.json", {"detector": self.name, "seed": self.seed, **content})

    @classmethod
    def load(cls, folder: Path, device: DeviceSettings | None = None) -> Self:
        """Read what `save` wrote.  Raises UserError where something is missing or broken."""
        content = read_json(folder / "settings.json")
        detector = cls(AutoencoderSettings.model_validate(content["settings"]), device)
        height, width = content["image_size"]
        network = detector._build((height, width), 0)
        tensors, _ = read_tensors(folder / "weights.safetensors")
        network.load_state_dict(tensors)
        detector.seed, detector.network = int(content["seed"]), network.eval()
        return detector

    def _build(self, image_size: tuple[int, int], seed: int) -> MaskedAutoencoder:
        settings = self.settings
        if settings.size not in SIZES:
            raise UserError(f"There is no network size {settings.size!r}; there are {', '.join(SIZES)}.")
        if image_size[0] % settings.patch or image_size[1] % settings.patch:
            raise UserError(
                f"Images of {image_size[0]}x{image_size[1]} pixels cannot be cut into patches of {settings.patch}; "
                f"set autoencoder.patch to a divisor of the sides."
            )
        encoder, decoder = SIZES[settings.size]
        generator = torch.Generator().manual_seed(seed)
        return MaskedAutoencoder(image_size, settings.patch, encoder, decoder, generator)

    def _fitted(self) -> MaskedAutoencoder:
        if self.network is None:
            raise UserError("This masked autoencoder was not fitted yet.")
        return self.network

    def _reconstruct(self, images: Tensor, block: npt.NDArray[np.float32], variant: int) -> Tensor:
        network, settings = self._fitted(), self.settings
        network.to(images.device)
        ratio = settings.mask_ratio if settings.use_mask_ratio is None else settings.use_mask_ratio
        seen = visible_count(network.patch_count, ratio)
        passes = settings.passes if seen < network.patch_count else 1
        seeds = [content_seed(derive_seed(self.seed, "masks", variant), image) for image in block]
        visible = random_visible(seeds, network.patch_count, seen, passes, covering=settings.masks == "covering")
        paste = settings.paste and seen < network.patch_count
        return averaged_reconstruction(network, images, visible.to(images.device), paste=paste)


def _decayed_and_not(network: nn.Module, weight_decay: float) -> Sequence[dict[str, Any]]:
    """AdamW groups: no weight decay on biases, norms and other vectors, as in the reference MAE."""
    learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in learned if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in learned if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _named(scores: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.float64]]:
    return {name: scores[:, index] for index, name in enumerate(ERRORS)}
