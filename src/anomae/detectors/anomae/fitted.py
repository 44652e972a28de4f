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

from anomae.detectors.anomae.by_area import HIGHEST, AreaExcess
from anomae.detectors.anomae.evidence import Evidence
from anomae.detectors.anomae.fitting import Parts
from anomae.detectors.anomae.measure import joined
from anomae.detectors.anomae.neighbours import apart
from anomae.detectors.anomae.samples import altered_by, asked_families, families_of
from anomae.detectors.anomae.saved import write_parts
from anomae.detectors.anomae.settings import AnomaeSettings
from anomae.detectors.checked_images import check_images, stacked
from anomae.detectors.inference import in_fixed_batches, in_use
from anomae.detectors.member_scale import MemberScale
from anomae.detectors.protocol import Findings
from anomae.files import write_json
from anomae.models.patch_head import PatchHead
from anomae.seeds import derive_seed


@dataclass(frozen=True, slots=True)
class FittedAnomae:
    """The score is the mean of the highest patches' probabilities of being abnormal; the map is the probability.

    With `settings.by_area`, it is less by what healthy images of its tissue area score above larger ones.  With
    `settings.measure`, the score is the mean of that and of the measure, each standardised over healthy images.
    seed: of the fit.  image_size: (h, w).  channels: c.  evidences, heads: for each of `settings.sizes`.  excess: what
    is taken off by area; None: nothing.  scales: of the heads' score and of the measure, where there is one.
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
    excess: AreaExcess | None = None
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
        """Inspect images (n, c, h, w): map (n, h, w) of probabilities 0..1, and the score, see above.

        neighbours: (n, 2, c, h, w), the slices below and above each, for the source `neighbours` alone; None: each
        stands for its own.  Raises UserError for images or neighbours unlike those that were fitted on.
        """
        found = self.inspect_by_heads(images, neighbours)
        found = found if self.excess is None else self.excess.taken_off(found, images)
        measure = self.settings.measure
        return found if measure is None else joined(found, images, measure, self.scales)

    def inspect_by_heads(
        self, images: npt.NDArray[np.float32], neighbours: npt.NDArray[np.float32] | None = None
    ) -> Findings:
        """As `inspect`, the score the mean of the highest patches: nothing taken off it by area, no measure joined."""
        window, top = self.parts.window, self.settings.top
        centred = self.settings.lesions.kind == "centre"

        def found(block: Tensor, _: npt.NDArray[np.float32]) -> tuple[Tensor, ...]:
            patches, image = self._probabilities(window.seen(block))
            highest = patches.flatten(1).topk(min(top, patches[0].numel()), dim=1).values.mean(dim=1)
            large = F.interpolate(patches[:, None], block.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
            return (highest if image is None else image), highest, large.clamp(0.0, 1.0)

        stacks = self._stacks(images, neighbours)
        with in_use(self.settings.device) as device:
            scores, highest, maps = in_fixed_batches(stacks, device, found)
        others = {HIGHEST: highest.astype(np.float64)} if centred else {}
        return Findings(scores.astype(np.float64), maps, None, others)

    def pretext(
        self, images: npt.NDArray[np.float32], neighbours: npt.NDArray[np.float32] | None = None
    ) -> dict[str, npt.NDArray[np.float64]]:
        """Family of pseudo-lesions, learned from or not -> scores (n,) of healthy images (n, c, h, w) with one of it.

        neighbours: as in `inspect`; the lesions go on into them.  What is drawn depends on the fit's seed, the family
        and the number of images alone.
        """
        altered = self.pretext_images(images, neighbours)
        return {family: self.inspect(slices, beside).scores for family, slices, beside in altered}

    def pretext_images(
        self, images: npt.NDArray[np.float32], neighbours: npt.NDArray[np.float32] | None = None
    ) -> Iterator[tuple[str, npt.NDArray[np.float32], npt.NDArray[np.float32] | None]]:
        """What `pretext` inspects: a family, images with one lesion of it each, and their neighbours; in turn."""
        window = self.parts.window
        seen = window.seen(torch.from_numpy(self._stacks(images, neighbours)))
        for family in asked_families(self.settings.lesions):
            generator = torch.Generator().manual_seed(derive_seed(self.seed, "pretext", family))
            slices, beside = apart(window.prepared(altered_by(seen, family, generator)))
            yield family, slices.numpy(), None if beside is None else beside.numpy()

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
            "excess": self.excess and asdict(self.excess),
            "scales": {name: asdict(scale) for name, scale in self.scales.items()},
        }
        write_json(folder / "settings.json", {**facts, "settings": self.settings.model_dump(mode="json")})

    def _probabilities(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Images (B, c, h, w) of 0..1, or stacks -> probabilities of the first size's patches (B, gh, gw), and of the
        images (B,).

        The mean over all heads, each looking at the evidence and at its mirror image.
        """
        patches, whole = [], []
        for evidence, heads in zip(self.evidences, self.heads, strict=True):
            found = evidence.of(images)
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

    def _stacks(
        self, images: npt.NDArray[np.float32], neighbours: npt.NDArray[np.float32] | None
    ) -> npt.NDArray[np.float32]:
        """The images, checked, with the neighbours that this detector looks at, or as they are."""
        check_images(images, self.channels, self.image_size)
        return stacked(images, neighbours if self.needs_neighbours else None)
