"""The detector `anomae`: evidence a patch, heads that learned to tell pseudo-lesions, a probability a patch.

The paper's idea (learn from healthy images, simulate abnormality, let a classifier judge) with abnormality simulated in
the image, before anything looks at it.  docs/method.md has the equations.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from anomae.detectors.anomae.by_location import HealthyOdds, areas_of
from anomae.detectors.anomae.fitted import FittedAnomae
from anomae.detectors.anomae.fitting import evidences_of, fit_parts, measured, refuse_size, with_memories
from anomae.detectors.anomae.heads import build_heads, train_head
from anomae.detectors.anomae.measure import healthy_scales
from anomae.detectors.anomae.neighbours import read_seen
from anomae.detectors.anomae.pool import make_pool
from anomae.detectors.anomae.saved import read_parts
from anomae.detectors.anomae.settings import AnomaeSettings
from anomae.detectors.inference import in_use
from anomae.detectors.member_scale import MemberScale, measured_blocks
from anomae.detectors.protocol import Findings, HealthySlices
from anomae.errors import UserError
from anomae.slices.store import grey
from anomae.training.checkpoint import put_weights
from anomae.training.devices import make_fabric
from anomae.training.one_device import refuse_several_devices
from anomae.training.settings import DeviceSettings
from anomae.training.side_by_side import side_by_side


class Anomae:
    """Learns what healthy patches look like and to tell pseudo-lesions from them."""

    name: ClassVar[str] = FittedAnomae.name
    settings_type: ClassVar[type[AnomaeSettings]] = AnomaeSettings
    one_device: ClassVar[bool] = True

    def __init__(self, settings: AnomaeSettings) -> None:
        """Keep the settings; nothing is built before `fit` or `load`."""
        self.settings = settings

    def fit(self, healthy: HealthySlices, *, seed: int, folder: Path) -> FittedAnomae:
        """Fit the sources, make the pool of samples once, train every head; a stopped fit goes on where it was.

        Raises UserError where there is nothing to learn from, weights are not to be had, or several devices are asked
        for; Diverged where a loss is lost.
        """
        settings = self.settings
        refuse_several_devices(self.name, settings.device)
        if len(healthy) == 0:
            raise UserError("There is no healthy slice to learn from.")
        fabric = make_fabric(settings.device)
        parts = fit_parts(settings, healthy, seed, folder, fabric)
        with in_use(settings.device) as device:
            parts = with_memories(settings, healthy, parts, device)
            evidences = measured(evidences_of(settings, healthy.image_size, parts, device), healthy, parts)
            pool = make_pool(
                folder / "cache" / "pool",
                settings.pool,
                lambda indices: read_seen(healthy, parts.window, indices, settings.wants_neighbours),
                len(healthy),
                evidences,
                settings.lesions,
                seed,
            )
        heads = build_heads(settings, evidences, [int(array.shape[1]) for array in pool.evidence], seed)
        trainings = [
            partial(
                train_head,
                settings.device,
                head,
                pool,
                index,
                settings.head,
                name=f"head-{longer}-{number}",
                seed=seed,
                folder=folder,
                curriculum=settings.lesions.curriculum,
            )
            for index, (longer, of_size) in enumerate(zip(settings.sizes, heads, strict=True))
            for number, head in enumerate(of_size)
        ]
        side_by_side("heads", trainings, settings.head.training.total_steps(len(pool)), fabric.device)
        fitted = FittedAnomae(settings, seed, healthy.image_size, healthy.channels, parts, tuple(evidences), heads)
        if settings.wants_healthy_odds:
            fitted = replace(fitted, healthy_odds=_healthy_odds(fitted, healthy))
        return (
            fitted if settings.measure is None else replace(fitted, scales=_scales(fitted, settings.measure, healthy))
        )

    def refuse_size(self, image_size: tuple[int, int]) -> None:
        """Raise UserError where `fit` refuses images of (h, w) pixels."""
        refuse_size(self.settings, image_size)

    @classmethod
    def load(cls, folder: Path, device: DeviceSettings | None = None) -> FittedAnomae:
        """Read what `save` wrote.  Raises UserError where something is missing or broken."""
        device = device or DeviceSettings()
        content, parts, statistics, states = read_parts(folder, device)
        settings = AnomaeSettings.model_validate(content["settings"]).model_copy(update={"device": device})
        height, width = content["image_size"]
        with in_use(device) as used:
            bare = evidences_of(settings, (height, width), parts, used)
        evidences = [
            replace(evidence, mean=mean, spread=spread)
            for evidence, (mean, spread) in zip(bare, statistics, strict=True)
        ]
        heads = build_heads(settings, evidences, [len(mean[0]) for mean, _ in statistics], 0)
        for head, state in zip((head for of_size in heads for head in of_size), states, strict=True):
            put_weights(folder / "heads.safetensors", head, state)
            head.eval()
        scales = {name: MemberScale(**scale) for name, scale in content.get("scales", {}).items()}
        seed, channels = int(content["seed"]), int(content["channels"])
        odds = content.get("healthy_odds")  # runs of before have none
        healthy_odds = None if odds is None else HealthyOdds.read(odds)
        size = (height, width)
        return FittedAnomae(
            settings, seed, size, channels, parts, tuple(evidences), heads, healthy_odds=healthy_odds, scales=scales
        )


def _scales(fitted: FittedAnomae, measure: str, healthy: HealthySlices) -> dict[str, MemberScale]:
    def found(indices: npt.NDArray[np.int64]) -> Findings:
        return fitted.inspect_by_heads(*fitted.training_images(healthy, indices))

    return healthy_scales(found, healthy.read, len(healthy), measure)


def _healthy_odds(fitted: FittedAnomae, healthy: HealthySlices) -> HealthyOdds:
    """From at most 512 healthy images, evenly spaced."""
    patches, tissue, areas = [], [], []
    for indices in measured_blocks(len(healthy)):
        images, beside, half = fitted.training_images(healthy, indices)
        patches.append(fitted.patch_probabilities(images, beside, half))
        body = torch.from_numpy((grey(images) > 0).astype(np.float32))
        tissue.append(F.adaptive_avg_pool2d(body[:, None], patches[-1].shape[1:])[:, 0].numpy())
        areas.append(areas_of(images))
    return HealthyOdds.measured(np.concatenate(patches), np.concatenate(tissue), np.concatenate(areas))
