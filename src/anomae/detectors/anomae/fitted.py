"""The detector `anomae`, fitted: scores, maps of probabilities, and the pretext figure's scores."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from anomae.detectors.anomae.by_location import HealthyOdds, areas_of
from anomae.detectors.anomae.evidence import Evidence
from anomae.detectors.anomae.fitting import Parts
from anomae.detectors.anomae.measure import joined
from anomae.detectors.anomae.memory import half_of
from anomae.detectors.anomae.neighbours import apart
from anomae.detectors.anomae.samples import altered_by, asked_families, families_of
from anomae.detectors.anomae.saved import write_parts
from anomae.detectors.anomae.settings import AnomaeSettings
from anomae.detectors.checked_images import check_images, stacked
from anomae.detectors.inference import in_fixed_batches, in_use
from anomae.detectors.member_scale import MemberScale
from anomae.detectors.pretext import AlteredSlices, pretext_scores
from anomae.detectors.protocol import Findings, HealthySlices
from anomae.files import write_json
from anomae.models.patch_head import PatchHead
from anomae.seeds import derive_seed

Training = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None, npt.NDArray[np.int64]]
HIGHEST = "highest_patches"  # the score by the heads alone, where another is taken


@dataclass(frozen=True, slots=True)
class FittedAnomae:
    """The score is the mean of the highest patches' probabilities of being abnormal; the map is the probability.

    With `settings.by_location`, the probabilities are less by what healthy patches have at their location; the score
    without that stands beside as `highest_patches`.  With `settings.measure`, the score is the mean of that and of the
    measure, each standardised over healthy images.
    seed: of the fit.  image_size: (h, w).  channels: c.  evidences, heads: for each of `settings.sizes`.  healthy_odds:
    what is taken off; None: nothing.  scales: of the heads' score and of the measure, where there is one.
    """

    name: ClassVar[str] = "anomae"
    map_name: ClassVar[str] = "probability of being abnormal"

    settings: AnomaeSettings
    seed: int
    image_size: tuple[int, int]
    channels: int
    parts: Parts
    evidences: tuple[Evidence, ...]
    heads: tuple[tuple[PatchHead, ...], ...]
    healthy_odds: HealthyOdds | None = None
    scales: Mapping[str, MemberScale] = field(default_factory=dict)

    @property
    def description(self) -> str:
        """What a table must say of it."""
        features = self.parts.features
        network = features.description if features else "no pre-trained network"
        measure = self.settings.measure
        return network if measure is None else f"{network}; {measure} joins the score"

    @property
    def needs_neighbours(self) -> bool:
        """Whether `inspect` and `pretext` look at the slices below and above too."""
        return self.settings.wants_neighbours

    @property
    def trained_families(self) -> tuple[str, ...]:
        """The families of pseudo-lesions that it learned from."""
        return families_of(self.settings.lesions)

    def inspect(self, images: npt.NDArray[np.float32], neighbours: npt.NDArray[np.float32] | None = None) -> Findings:
        """Inspect images (n, c, h, w): map (n, h, w) of probabilities 0..1, the mean of the highest patches as score.

        neighbours: (n, 2, c, h, w), the slices below and above each, for the source `neighbours` alone; None: each
        stands for its own.  Raises UserError for images or neighbours unlike those that were fitted on.
        """
        return self._joined(self.inspect_by_heads(images, neighbours), images)

    def inspect_training(self, healthy: HealthySlices, indices: npt.NDArray[np.int64]) -> Findings:
        """As `inspect` of images that it was fitted on, those at `indices`, as if they were new.

        healthy: all of them.  `memory` compares each with the half of them that it does not belong to.
        """
        images, neighbours, half = self.training_images(healthy, indices)
        return self._joined(self.inspect_by_heads(images, neighbours, half), images)

    def training_images(self, healthy: HealthySlices, indices: npt.NDArray[np.int64]) -> Training:
        """Images (k, c, h, w), their neighbours if it looks at some, and the half of `healthy` that each is of (k,)."""
        beside = healthy.neighbours(indices) if self.needs_neighbours else None
        return healthy.read(indices), beside, half_of(indices, len(healthy))

    def inspect_by_heads(
        self,
        images: npt.NDArray[np.float32],
        neighbours: npt.NDArray[np.float32] | None = None,
        half: npt.NDArray[np.int64] | None = None,
    ) -> Findings:
        """As `inspect`, without what `settings.measure` adds to the score.  half: of training images alone (n,)."""
        centred, odds = self.settings.lesions.kind == "centre", self.healthy_odds

        def found(
            block: Tensor, given: npt.NDArray[np.float32], half: npt.NDArray[np.int64] | None = None
        ) -> tuple[Tensor, ...]:
            patches, image = self._probabilities(self.parts.window.seen(block), half)
            highest = self._highest(patches)
            if odds is not None:
                factors = odds.factors(areas_of(given if given.ndim == 4 else given[:, 0]))
                patches = divided_odds(patches, torch.from_numpy(factors).to(patches.device))
            large = F.interpolate(patches[:, None], block.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
            score = self._highest(patches) if image is None else image
            return score, highest, large.clamp(0.0, 1.0)

        stacks = self._stacks(images, neighbours)
        with in_use(self.settings.device) as device:
            scores, highest, maps = in_fixed_batches(stacks, device, found, along=half)
        others = {HIGHEST: highest.astype(np.float64)} if centred or odds is not None else {}
        return Findings(scores.astype(np.float64), maps, None, others)

    def patch_probabilities(
        self,
        images: npt.NDArray[np.float32],
        neighbours: npt.NDArray[np.float32] | None = None,
        half: npt.NDArray[np.int64] | None = None,
    ) -> npt.NDArray[np.float32]:
        """What the heads say of the patches of images (n, c, h, w), nothing taken off: (n, gh, gw), 0..1.

        half: as in `inspect_by_heads`.
        """

        def found(
            block: Tensor, _: npt.NDArray[np.float32], half: npt.NDArray[np.int64] | None = None
        ) -> tuple[Tensor]:
            return (self._probabilities(self.parts.window.seen(block), half)[0],)

        stacks = self._stacks(images, neighbours)
        with in_use(self.settings.device) as device:
            return in_fixed_batches(stacks, device, found, along=half)[0]

    def pretext(
        self, images: npt.NDArray[np.float32], neighbours: npt.NDArray[np.float32] | None = None
    ) -> dict[str, npt.NDArray[np.float64]]:
        """Family of pseudo-lesions, learned from or not -> scores (n,) of healthy images (n, c, h, w) with one of it.

        NaN where a lesion is not to be seen.  neighbours: as in `inspect`; the lesions go on into them.  What is drawn
        depends on the fit's seed, the family and the number of images alone.
        """
        return pretext_scores(self.inspect, self.pretext_images(images, neighbours))

    def pretext_images(
        self, images: npt.NDArray[np.float32], neighbours: npt.NDArray[np.float32] | None = None
    ) -> Iterator[AlteredSlices]:
        """What `pretext` inspects, family by family."""
        window = self.parts.window
        seen = window.seen(torch.from_numpy(self._stacks(images, neighbours)))
        for family in asked_families(self.settings.lesions):
            generator = torch.Generator().manual_seed(derive_seed(self.seed, "pretext", family))
            altered, shown = altered_by(seen, family, generator)
            slices, beside = apart(window.prepared(altered))
            yield AlteredSlices(family, slices.numpy(), None if beside is None else beside.numpy(), shown.numpy())

    def save(self, folder: Path) -> None:
        """Write backbone, masked autoencoders, memories and heads, whichever there are, and settings.json last."""
        write_parts(folder, self.parts, self.evidences, self.heads)
        facts: dict[str, Any] = {
            "detector": self.name,
            "seed": self.seed,
            "image_size": list(self.image_size),
            "channels": self.channels,
            "window": [list(self.parts.window.low), list(self.parts.window.high)],
            "teacher": self.description,
            "healthy_odds": self.healthy_odds and self.healthy_odds.content(),
            "scales": {name: asdict(scale) for name, scale in self.scales.items()},
        }
        write_json(folder / "settings.json", {**facts, "settings": self.settings.model_dump(mode="json")})

    def _joined(self, found: Findings, images: npt.NDArray[np.float32]) -> Findings:
        measure = self.settings.measure
        return found if measure is None else joined(found, images, measure, self.scales)

    def _probabilities(self, images: Tensor, half: npt.NDArray[np.int64] | None = None) -> tuple[Tensor, Tensor | None]:
        """Images (B, c, h, w) of 0..1, or stacks -> probabilities of the first size's patches (B, gh, gw), and of the
        images (B,).

        The mean over all heads, each looking at the evidence and at its mirror image.
        """
        patches, whole = [], []
        for evidence, heads in zip(self.evidences, self.heads, strict=True):
            found = evidence.of(images, None if half is None else torch.from_numpy(half))
            for head in heads:
                head.to(found.device)
                seen = head.look(found)
                for flipped in (False, True):
                    logits, image = head.logits(seen.flip(-1) if flipped else seen)
                    chances = logits.float().sigmoid()
                    chances = chances.flip(-1) if flipped else chances
                    if chances.shape[1:] != self.evidences[0].grid:
                        grid = self.evidences[0].grid
                        chances = F.interpolate(chances[:, None], grid, mode="bilinear", antialias=True)[:, 0]
                    patches.append(chances)
                    whole += [] if image is None else [image.float().sigmoid()]
        return torch.stack(patches).mean(dim=0), torch.stack(whole).mean(dim=0) if whole else None

    def _highest(self, patches: Tensor) -> Tensor:
        """The mean of the highest of patches (B, gh, gw), (B,)."""
        top = min(self.settings.top, patches[0].numel())
        return patches.flatten(1).topk(top, dim=1).values.mean(dim=1)

    def _stacks(
        self, images: npt.NDArray[np.float32], neighbours: npt.NDArray[np.float32] | None
    ) -> npt.NDArray[np.float32]:
        """The images, checked, with the neighbours that this detector looks at, or as they are."""
        check_images(images, self.channels, self.image_size)
        return stacked(images, neighbours if self.needs_neighbours else None)


def divided_odds(chances: Tensor, factors: Tensor) -> Tensor:
    """Probabilities, 0..1, whose odds are those of `chances` divided by `factors`, both (B, gh, gw)."""
    return chances / (chances + (1 - chances) * factors)
