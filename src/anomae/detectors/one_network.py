"""The training of the one network that some detectors have, on healthy slices in the range that it sees."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from anomae.detectors.fitted_networks import FittedNetworks
from anomae.detectors.protocol import HealthySlices
from anomae.training.devices import make_fabric
from anomae.training.images import ImageFeed
from anomae.training.loop import Training, train
from anomae.training.settings import DeviceSettings, TrainingSettings

# indices (b,) -> healthy images (b, c, h, w) in the network's range
Shown = Callable[[npt.NDArray[np.int64]], Tensor]
# the network, its healthy images, the indices of a step's share of samples, generator -> their mean loss
Loss = Callable[[nn.Module, Shown, npt.NDArray[np.int64], torch.Generator], Tensor]


def train_the_one(
    detector: str,
    begun: FittedNetworks,
    healthy: HealthySlices,
    loss: Loss,
    *,
    settings: TrainingSettings,
    device: DeviceSettings,
    folder: Path,
    optimizer: type[torch.optim.Adam] = torch.optim.AdamW,
    fabric: Any = None,
) -> FittedNetworks:
    """Train the one network of `begun` in place, from its checkpoint in `folder` if there is one; returns it fitted.

    detector: its name, that of the stage.  fabric: of a larger fit that this is a part of; None: one of its own.  All
    that `loss` draws comes from its generator.  Raises Diverged where the loss is no longer finite, UserError where a
    device is not to be had.
    """
    (network,) = begun.networks.values()
    fabric = fabric or make_fabric(device)
    feed = ImageFeed(healthy, fabric.device)

    def shown(indices: npt.NDArray[np.int64]) -> Tensor:
        return begun.scale.shown(feed(indices))

    training = Training(
        stage=detector,
        count=len(healthy),
        batch_loss=lambda model, indices, generator: loss(model, shown, indices, generator),
        settings=settings,
        seed=begun.seed,
        folder=folder,
        checkpoint_minutes=device.checkpoint_minutes,
        optimizer=optimizer,
    )
    train(fabric, network, training)
    return begun
