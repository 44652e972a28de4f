"""The heads, and how they learn: binary cross-entropy a patch (and an image, for candidates) on samples of the pool."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomae.detectors.anomae.curriculum import Curriculum
from anomae.detectors.anomae.evidence import Evidence
from anomae.detectors.anomae.pool import Pool
from anomae.detectors.anomae.settings import AnomaeSettings, HeadSettings
from anomae.models.patch_head import PatchHead
from anomae.seeds import derive_seed
from anomae.training.devices import make_fabric
from anomae.training.loop import Training, train
from anomae.training.settings import DeviceSettings


def build_heads(
    settings: AnomaeSettings, evidences: Sequence[Evidence], channels: Sequence[int], seed: int
) -> tuple[tuple[PatchHead, ...], ...]:
    """The heads of each size, not trained.  channels: of the evidence at each size.  seed: of the fit."""
    built = []
    for longer, evidence, count in zip(settings.sizes, evidences, channels, strict=True):
        of_size = []
        for number in range(settings.heads):
            generator = torch.Generator().manual_seed(derive_seed(seed, "head", longer, number))
            head = PatchHead(
                count,
                evidence.grid,
                width=settings.head.width,
                blocks=settings.head.blocks,
                mirror="mirror" in settings.sources,
                centre=settings.lesions.kind == "centre",
                generator=generator,
            )
            of_size.append(head)
        built.append(tuple(of_size))
    return tuple(built)


def train_head(
    device: DeviceSettings,
    head: PatchHead,
    pool: Pool,
    index: int,
    settings: HeadSettings,
    *,
    name: str,
    seed: int,
    folder: Path,
    curriculum: float = 0.0,
) -> None:
    """Train `head` in place on the evidence of size number `index`; leaves it with its last weights.

    Half of the samples are mirrored, evidence and targets alike.  curriculum: as in the settings of lesions; above 0
    the pool must know how strong its samples are.
    """
    fabric = make_fabric(device)  # one of its own, since heads are trained side by side
    evidence, targets = pool.evidence[index], pool.targets[index]
    positive = torch.tensor(settings.positive_weight, device=fabric.device)

    def batch_loss(model: nn.Module, drawn: npt.NDArray[np.int64], generator: torch.Generator) -> Tensor:
        rows = np.sort(drawn)
        seen = torch.from_numpy(evidence[rows]).to(fabric.device)
        truth = torch.from_numpy(targets[rows]).to(fabric.device).float()
        mirrored = torch.rand(len(rows), generator=generator, device=generator.device) < 0.5
        truth = torch.where(mirrored[:, None, None], truth.flip(-1), truth)
        patches, image = model(seen.float(), mirrored, settings.drop, generator)
        loss = F.binary_cross_entropy_with_logits(patches.float(), truth, pos_weight=positive)
        if image is not None:
            abnormal = torch.from_numpy((pool.family[rows] >= 0).astype(np.float32)).to(fabric.device)
            loss = loss + F.binary_cross_entropy_with_logits(image.float(), abnormal)
        return loss

    towards_subtle = None
    if curriculum and pool.strength is not None:
        steps = round(curriculum * settings.training.total_steps(len(pool)))
        towards_subtle = Curriculum(pool.strength, pool.family >= 0, steps)
    train(
        fabric,
        head,
        Training(
            stage=name,
            count=len(pool),
            batch_loss=batch_loss,
            settings=settings.training,
            seed=seed,
            folder=folder,
            checkpoint_minutes=device.checkpoint_minutes,
            exchange=None if towards_subtle is None else towards_subtle.exchanged,
        ),
    )
