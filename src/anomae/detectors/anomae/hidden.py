"""The source `hidden`: how far the features of a patch are from those that the patches around it let expect.

A masked autoencoder in the space of the frozen backbone's features.  The backbone saw the whole image, so that features
beside a hidden patch hold a little of it; `hidden.block` hides larger squares.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomae.detectors.anomae.evidence import Evidence, shown_size
from anomae.detectors.anomae.samples import views_of
from anomae.detectors.anomae.settings import AnomaeSettings, HiddenSettings
from anomae.detectors.anomae.sources import Features, View
from anomae.detectors.anomae.window import Window
from anomae.detectors.inference import in_use
from anomae.detectors.protocol import HealthySlices
from anomae.models.feature_autoencoder import FeatureAutoencoder, hidden_error, hidden_residual
from anomae.models.transformer.feature_masks import complementary_masks, training_masks
from anomae.models.transformer.sizes import Size
from anomae.seeds import content_seed, derive_seed
from anomae.training.images import ImageFeed
from anomae.training.loop import Training, train

SMOOTHED_OVER = 3  # patches
MEASURED_IMAGES, BATCH = 256, 32


class Hidden:
    """Root mean square and mean absolute residual, absolute deviation from the position's mean, smoothed first channel.

    The autoencoder was trained on views of the images that the pool's samples are altered copies of: as with
    `residual`, it has seen their healthy patches.
    """

    def __init__(self, features: Features, network: FeatureAutoencoder, settings: HiddenSettings, seed: int) -> None:
        """network: fitted at the size that this source is of.  seed: of the fit."""
        self.features, self.network, self.settings, self.seed = features, network, settings, seed

    def of(self, view: View) -> Tensor:
        """4 channels.  The masks of an image depend on the image and the fit's seed alone."""
        network = self.network.to(view.shown.device)
        scaled = network.scaled(self.features.of(view))
        start = derive_seed(self.seed, "hidden", "masks")
        seeds = [content_seed(start, image) for image in view.images.float().cpu().numpy()]
        masks = complementary_masks(seeds, view.grid, self.settings.passes, self.settings.block)
        residual = hidden_residual(network, scaled, masks.to(scaled.device))
        size = residual.square().mean(dim=1, keepdim=True).sqrt()
        away = network.deviations(scaled).abs().mean(dim=1, keepdim=True)
        around = F.avg_pool2d(size, SMOOTHED_OVER, 1, SMOOTHED_OVER // 2, count_include_pad=False)
        return torch.cat([size, residual.abs().mean(dim=1, keepdim=True), away, around], dim=1)


def fit_hidden(
    settings: AnomaeSettings,
    longer: int,
    healthy: HealthySlices,
    features: Features,
    window: Window,
    seed: int,
    folder: Path,
    fabric: Any,
) -> Hidden:
    """Measure the features of at most 256 healthy images, and train on random views of all of them.

    longer: the size, one of `settings.sizes`.  A fit stopped at any moment goes on from its checkpoint in `folder`.
    Raises Diverged where the loss is no longer finite.
    """
    chosen = settings.hidden
    bare = Evidence([features], shown_size(healthy.image_size, longer, settings.patch), settings.patch, fabric.device)

    def looked_at(images: Tensor) -> Tensor:
        """Features (B, C, gh, gw) of images (B, c, h, w) in 0..1, in the precision of use."""
        with in_use(settings.device):
            found = bare.raw(images.to(fabric.device))
        return found.clone()  # what is made in inference mode itself cannot be learned from

    def measured() -> Iterator[Tensor]:
        indices = np.unique(np.linspace(0, len(healthy) - 1, MEASURED_IMAGES).astype(np.int64))
        for start in range(0, len(indices), BATCH):
            yield looked_at(window.seen(torch.from_numpy(healthy.read(indices[start : start + BATCH]))))

    channels = looked_at(window.seen(torch.from_numpy(healthy.read(np.array([0]))))).shape[1]
    generator = torch.Generator().manual_seed(derive_seed(seed, "hidden", longer, "weights"))
    network = _build(channels, bare.grid, chosen, generator)
    network.measure(measured())
    feed = ImageFeed(healthy, torch.device("cpu"))  # views are made there

    def batch_loss(model: nn.Module, indices: npt.NDArray[np.int64], generator: torch.Generator) -> Tensor:
        drawn = int(torch.randint(2**62, (), generator=generator, device=generator.device))
        views = views_of(window.seen(feed(indices)), settings.lesions, torch.Generator().manual_seed(drawn))
        scaled = network.scaled(looked_at(views))
        masks = training_masks(len(views), bare.grid, chosen.mask_ratio, chosen.block, generator)
        return hidden_error(model(scaled, masks), scaled, masks)

    training = Training(
        stage=f"hidden-{longer}",
        count=len(healthy),
        batch_loss=batch_loss,
        settings=chosen.training,
        seed=seed,
        folder=folder,
        checkpoint_minutes=settings.device.checkpoint_minutes,
    )
    train(fabric, network, training)
    return Hidden(features, network.eval(), chosen, seed)


def written_hidden(sources: Sequence[Hidden]) -> dict[str, Tensor]:
    """Weights and statistics of the source at every size, by name."""
    return {f"{at}.{name}": value for at, one in enumerate(sources) for name, value in one.network.state_dict().items()}


def read_hidden(
    tensors: dict[str, Tensor], settings: AnomaeSettings, image_size: tuple[int, int], features: Features, seed: int
) -> list[Hidden]:
    """The source at every size, from what `written_hidden` gave."""
    found = []
    for at, longer in enumerate(settings.sizes):
        height, width = shown_size(image_size, longer, settings.patch)
        state = {name.removeprefix(f"{at}."): value for name, value in tensors.items() if name.startswith(f"{at}.")}
        grid = (height // settings.patch, width // settings.patch)
        network = _build(len(state["mean"]), grid, settings.hidden, torch.Generator().manual_seed(0))
        network.load_state_dict(state)
        found.append(Hidden(features, network.eval(), settings.hidden, seed))
    return found


def _build(
    channels: int, grid: tuple[int, int], settings: HiddenSettings, generator: torch.Generator
) -> FeatureAutoencoder:
    return FeatureAutoencoder(channels, grid, Size(settings.width, settings.depth, settings.heads), generator)
