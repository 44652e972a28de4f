"""The detector `anomae`: evidence a patch, heads that learned to tell pseudo-lesions, a probability a patch.

The paper's idea (learn from healthy images, simulate abnormality, let a classifier judge) with abnormality simulated in
the image, before anything looks at it.  docs/method.md has the equations.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np

from anomae.detectors.anomae.by_area import AreaExcess, areas_of
from anomae.detectors.anomae.fitted import FittedAnomae
from anomae.detectors.anomae.fitting import evidences_of, fit_parts, measured, with_memories
from anomae.detectors.anomae.heads import build_heads, train_head
from anomae.detectors.anomae.measure import healthy_scales
from anomae.detectors.anomae.neighbours import read_seen
from anomae.detectors.anomae.pool import make_pool
from anomae.detectors.anomae.saved import read_parts
from anomae.detectors.anomae.settings import AnomaeSettings
from anomae.detectors.inference import in_use
from anomae.detectors.member_scale import MemberScale, measured_blocks
from anomae.detectors.protocol import HealthySlices
from anomae.errors import UserError
from anomae.slices.measures import MEASURES
from anomae.slices.store import grey
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
        return _measured_on_healthy(fitted, healthy)

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
            head.load_state_dict(state)
            head.eval()
        scales = {name: MemberScale(**scale) for name, scale in content.get("scales", {}).items()}
        excess = content.get("excess")  # of runs fitted before it was measured there is none
        return FittedAnomae(
            settings,
            int(content["seed"]),
            (height, width),
            int(content["channels"]),
            parts,
            tuple(evidences),
            heads,
            excess and AreaExcess(tuple(excess["areas"]), tuple(excess["excess"])),
            scales,
        )


def _measured_on_healthy(fitted: FittedAnomae, healthy: HealthySlices) -> FittedAnomae:
    """With what its score needs of healthy images, at most 512 of them."""
    settings = fitted.settings
    if settings.measure is None and not settings.wants_area:
        return fitted
    scores, areas, measured = [], [], []
    for indices in measured_blocks(len(healthy)):
        images = healthy.read(indices)
        beside = healthy.neighbours(indices) if fitted.needs_neighbours else None
        scores.append(fitted.inspect_by_heads(images, beside).scores)
        areas.append(areas_of(images))
        measured += [] if settings.measure is None else [MEASURES[settings.measure](grey(images))]
    by_heads = np.concatenate(scores)
    excess = AreaExcess.measured(by_heads, np.concatenate(areas)) if settings.wants_area else None
    if settings.measure is None:
        return replace(fitted, excess=excess)
    lowered = by_heads if excess is None else excess.lowered(by_heads, np.concatenate(areas))
    scales = healthy_scales(lowered, np.concatenate(measured), settings.measure)
    return replace(fitted, excess=excess, scales=scales)
