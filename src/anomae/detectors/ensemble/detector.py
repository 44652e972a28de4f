"""Several detectors that judge together: each fitted as alone, their scores and maps averaged on a healthy scale.

Score: the mean over the members of how many spreads above healthy images an image scores (by logarithms, where healthy
scores are all above 0, so that this is a weighted geometric mean).  Map: the mean over the members that have one, each
in units of its 99th percentile over healthy pixels.  No label takes part.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch

from anomae.detectors.ensemble.settings import EnsembleSettings
from anomae.detectors.member_scale import MemberScale, judged_together, measured_blocks
from anomae.detectors.pretext import AlteredSlices, pretext_scores
from anomae.detectors.protocol import Detector, Findings, FittedDetector, HealthySlices, Images4, with_neighbours
from anomae.detectors.registry import is_ours, method_named
from anomae.errors import UserError
from anomae.files import read_json, write_json
from anomae.progress import progress
from anomae.training.devices import chosen_device
from anomae.training.one_device import refuse_several_devices
from anomae.training.settings import DeviceSettings
from anomae.training.side_by_side import beside_one_another

MEMBERS = "members"


@dataclass(frozen=True, slots=True)
class FittedEnsemble:
    """The score is the mean of the members' scores, each standardised over healthy images.

    members: by name.  scales: of each.  image_size: (h, w); channels: c, as they were fitted.
    """

    name: ClassVar[str] = "ensemble"
    settings: EnsembleSettings
    members: Mapping[str, FittedDetector]
    scales: Mapping[str, MemberScale]
    image_size: tuple[int, int]
    channels: int

    @property
    def map_name(self) -> str:
        """What its maps hold; "" where no member has one."""
        with_maps = [name for name, scale in self.scales.items() if scale.unit > 0]
        return f"mean of {', '.join(with_maps)}, each in its 99th percentile over healthy pixels" if with_maps else ""

    @property
    def description(self) -> str:
        """Its members, and what a table must say of each."""
        said = [f"{name} ({one.description})" if one.description else name for name, one in self.members.items()]
        return " and ".join(said)

    @property
    def needs_neighbours(self) -> bool:
        """Whether a member looks at the slices below and above."""
        return any(getattr(member, "needs_neighbours", False) for member in self.members.values())

    def inspect(self, images: Images4, neighbours: npt.NDArray[np.float32] | None = None) -> Findings:
        """Inspect images (n, c, h, w): mean standardised score, mean map; each member's own score beside.

        neighbours: for the members that want them.  Raises UserError for images unlike those that were fitted on.
        """
        found = {name: _inspected(member, images, neighbours) for name, member in self.members.items()}
        return judged_together(found, self.scales)

    def save(self, folder: Path) -> None:
        """Write each member into members/NAME, and settings.json last."""
        for name, member in self.members.items():
            (folder / MEMBERS / name).mkdir(parents=True, exist_ok=True)
            member.save(folder / MEMBERS / name)
        facts: dict[str, Any] = {
            "detector": self.name,
            "image_size": list(self.image_size),
            "channels": self.channels,
            "scales": {name: asdict(scale) for name, scale in self.scales.items()},
        }
        write_json(folder / "settings.json", {**facts, "settings": self.settings.model_dump(mode="json")})


@dataclass(frozen=True, slots=True)
class FittedEnsembleWithPretext(FittedEnsemble):
    """An ensemble with a member that simulates lesions: the pretext figure is of the whole ensemble's scores."""

    @property
    def trained_families(self) -> tuple[str, ...]:
        """The families of pseudo-lesions that the member learned from."""
        return tuple(self._member.trained_families)

    def pretext(
        self, images: Images4, neighbours: npt.NDArray[np.float32] | None = None
    ) -> dict[str, npt.NDArray[np.float64]]:
        """Family of pseudo-lesions -> scores (n,) of healthy images (n, c, h, w) with one of it each; NaN: unseen."""
        return pretext_scores(self.inspect, self.pretext_images(images, neighbours))

    def pretext_images(
        self, images: Images4, neighbours: npt.NDArray[np.float32] | None = None
    ) -> Iterator[AlteredSlices]:
        """What `pretext` inspects, family by family."""
        given = with_neighbours(self._member, images, lambda: _itself(images, neighbours))
        found: Iterator[AlteredSlices] = self._member.pretext_images(*given)
        return found

    @property
    def _member(self) -> Any:
        return next(member for member in self.members.values() if hasattr(member, "pretext_images"))


class Ensemble:
    """Fits each of its members on the same healthy slices."""

    name: ClassVar[str] = FittedEnsemble.name
    settings_type: ClassVar[type[EnsembleSettings]] = EnsembleSettings

    def __init__(self, settings: EnsembleSettings) -> None:
        """Keep the settings."""
        self.settings = settings

    def fit(self, healthy: HealthySlices, *, seed: int, folder: Path) -> FittedEnsemble:
        """Fit the members, each in members/NAME of `folder`, and measure their healthy scores.

        On one CPU device they are fitted side by side if all are of this package; a stranger's may draw from torch's
        global generator, which another fit beside it would move on.  At most 512 healthy images, evenly spaced, are
        measured.  Raises UserError where there is nothing to learn from, a member wants labels, refuses images of this
        size, or trains on one device where several are asked for; and what a member raises.
        """
        if len(healthy) == 0:
            raise UserError("There is no healthy slice to learn from.")
        detectors = {name: method_named(name).detector(self.settings.of(name)) for name in self.settings.members}
        for name, detector in detectors.items():
            if getattr(detector, "one_device", False):
                refuse_several_devices(name, self.settings.device)
            asks = getattr(detector, "chooses_by_labels", None)
            if asks is not None and asks():
                raise UserError(f"An ensemble sees no label, and {name} would choose its checkpoint by some.")
            if hasattr(detector, "refuse_size"):
                detector.refuse_size(healthy.image_size)
        fits = [partial(_fitted, name, detector, healthy, seed, folder) for name, detector in detectors.items()]
        device = self.settings.device
        if all(map(is_ours, detectors)) and device.devices * device.nodes == 1:
            found = beside_one_another(fits, torch.device(chosen_device(device)))
        else:
            found = [one() for one in fits]
        members = {name: member for name, (member, _) in zip(detectors, found, strict=True)}
        scales = {name: scale for name, (_, scale) in zip(detectors, found, strict=True)}
        return _ensemble(self.settings, members, scales, healthy.image_size, healthy.channels)

    @classmethod
    def load(cls, folder: Path, device: DeviceSettings | None = None) -> FittedEnsemble:
        """Read what `save` wrote.  Raises UserError where something is missing or broken."""
        content = read_json(folder / "settings.json")
        settings = EnsembleSettings.model_validate(content["settings"])
        members = {name: method_named(name).detector.load(folder / MEMBERS / name, device) for name in settings.members}
        scales = {name: MemberScale(**content["scales"][name]) for name in settings.members}
        height, width = content["image_size"]
        return _ensemble(settings, members, scales, (height, width), int(content["channels"]))


def _ensemble(
    settings: EnsembleSettings,
    members: Mapping[str, FittedDetector],
    scales: Mapping[str, MemberScale],
    image_size: tuple[int, int],
    channels: int,
) -> FittedEnsemble:
    simulates = any(hasattr(member, "pretext_images") for member in members.values())
    kind = FittedEnsembleWithPretext if simulates else FittedEnsemble
    return kind(settings, members, scales, image_size, channels)


def _fitted(
    name: str, detector: Detector, healthy: HealthySlices, seed: int, folder: Path
) -> tuple[FittedDetector, MemberScale]:
    inside = folder / MEMBERS / name
    inside.mkdir(parents=True, exist_ok=True)
    member = detector.fit(healthy, seed=seed, folder=inside)
    return member, _measured(name, member, healthy)


def _measured(name: str, member: FittedDetector, healthy: HealthySlices) -> MemberScale:
    blocks = measured_blocks(len(healthy))
    scores, maps = [], []
    with progress(f"healthy scores of {name}", sum(map(len, blocks)), "slices", 0) as bar:
        for block in blocks:
            found = _of_training(member, healthy, block)
            scores.append(found.scores)
            maps += [] if found.maps is None else [found.maps]
            bar.advance(len(block))
    return MemberScale.measured(np.concatenate(scores), maps)


def _of_training(member: FittedDetector, healthy: HealthySlices, indices: npt.NDArray[np.int64]) -> Findings:
    """What a member says of images that it was fitted on, as of new ones where it knows how to."""
    if hasattr(member, "inspect_training"):
        found: Findings = member.inspect_training(healthy, indices)
        return found
    return _inspected(member, healthy.read(indices), None, lambda: healthy.neighbours(indices))


def _inspected(
    member: FittedDetector,
    images: Images4,
    neighbours: npt.NDArray[np.float32] | None,
    read: Any = None,
) -> Findings:
    """What a member says; read: gives the neighbours where they are not at hand yet."""
    beside = read or (lambda: _itself(images, neighbours))
    return member.inspect(*with_neighbours(member, images, beside))


def _itself(images: Images4, neighbours: npt.NDArray[np.float32] | None) -> Images4:
    """The neighbours, or each slice in place of its own."""
    return np.stack([images, images], axis=1) if neighbours is None else neighbours
