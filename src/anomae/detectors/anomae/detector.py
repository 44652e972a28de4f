"""The detector `anomae`: evidence a patch, heads that learned to tell pseudo-lesions, a probability a patch.

The paper's idea (learn from healthy images, simulate abnormality, let a classifier judge) with abnormality simulated in
the image, before anything looks at it.  docs/method.md has the equations.
"""

from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from anomae.detectors.anomae.evidence import Evidence
from anomae.detectors.anomae.fitting import Parts, evidences_of, fit_parts, keep_memories, measure
from anomae.detectors.anomae.heads import train_head
from anomae.detectors.anomae.neighbours import apart, read_seen
from anomae.detectors.anomae.pool import make_pool
from anomae.detectors.anomae.samples import altered_by, families_of
from anomae.detectors.anomae.saved import read_parts, write_parts
from anomae.detectors.anomae.settings import AnomaeSettings
from anomae.detectors.anomae.window import with_tissue
from anomae.detectors.inference import in_fixed_batches, in_use
from anomae.detectors.protocol import Findings, HealthySlices
from anomae.errors import UserError
from anomae.models.patch_head import PatchHead
from anomae.seeds import derive_seed
from anomae.training.devices import make_fabric
from anomae.training.settings import DeviceSettings


class Anomae:
    """The score is the mean of the highest patches' probabilities of being abnormal; the map is the probability."""

    name = "anomae"
    map_label = "probability of being abnormal"

    def __init__(self, settings: AnomaeSettings) -> None:
        """Keep the settings; nothing is built before `fit` or `load`."""
        self.settings = settings
        self.seed = 0
        self.image_size = (0, 0)
        self.parts: Parts | None = None
        self.evidences: list[Evidence] = []
        self.heads: list[list[PatchHead]] = []

    @property
    def description(self) -> str:
        """What a table must say of it."""
        features = self.parts.features if self.parts else None
        return features.description if features else "no pre-trained network"

    @property
    def needs_neighbours(self) -> bool:
        """Whether `inspect` and `pretext` look at the slices below and above too."""
        return "neighbours" in self.settings.sources

    def fit(self, healthy: HealthySlices, *, seed: int, folder: Path) -> Self:
        """Fit the sources, make the pool of samples once, train every head; a stopped fit goes on where it was.

        Raises UserError where there is nothing to learn from, weights are not to be had, or several devices are asked
        for; Diverged where a loss is lost.
        """
        settings, self.seed = self.settings, seed
        if len(healthy) == 0:
            raise UserError("There is no healthy slice to learn from.")
        if settings.device.devices * settings.device.nodes > 1:
            raise UserError("This detector trains on one device; use --set device.devices=1 and device.nodes=1.")
        fabric = make_fabric(settings.device)
        parts = fit_parts(settings, healthy, seed, folder, fabric)
        with in_use(settings.device) as device:
            keep_memories(settings, healthy, parts, device)
            evidences = evidences_of(settings, healthy.image_size, parts, device)
            measure(evidences, healthy, parts)
            pool = make_pool(
                folder / "cache" / "pool",
                settings.pool,
                lambda places: read_seen(healthy, parts.window, places, self.needs_neighbours),
                with_tissue(healthy, parts.window),
                len(healthy) // 2,
                evidences,
                settings.lesions,
                seed,
            )
        channels = [int(array.shape[1]) for array in pool.evidence]
        heads = self._build(evidences, channels, seed)
        for index, (longer, of_size) in enumerate(zip(settings.sizes, heads, strict=True)):
            for number, head in enumerate(of_size):
                train_head(
                    fabric,
                    head,
                    pool,
                    index,
                    settings.head,
                    name=f"head-{longer}-{number}",
                    seed=seed,
                    folder=folder,
                    checkpoint_minutes=settings.device.checkpoint_minutes,
                )
        self.parts, self.evidences, self.heads, self.image_size = parts, evidences, heads, healthy.image_size
        return self

    def inspect(self, images: npt.NDArray[np.float32], neighbours: npt.NDArray[np.float32] | None = None) -> Findings:
        """Judge images (n, h, w): map (n, h, w) of probabilities 0..1, and the mean of the highest patches as score.

        neighbours: (n, 2, h, w), the slices below and above each, for the source `neighbours` alone; None: each stands
        for its own.
        """
        parts, top = self._fitted(), self.settings.top
        centred = self.settings.lesions.kind == "centre"

        def judge(block: Tensor, _: npt.NDArray[np.float32]) -> tuple[Tensor, ...]:
            patches, image = self._probabilities(parts.window.seen(block))
            highest = patches.flatten(1).topk(min(top, patches[0].numel()), dim=1).values.mean(dim=1)
            large = F.interpolate(patches[:, None], block.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
            return (highest if image is None else image), highest, large.clamp(0.0, 1.0)

        with in_use(self.settings.device) as device:
            scores, highest, maps = in_fixed_batches(self._stacked(images, neighbours), device, judge)
        others = {"highest_patches": highest.astype(np.float64)} if centred else {}
        return Findings(scores.astype(np.float64), maps, None, others)

    @property
    def trained_families(self) -> tuple[str, ...]:
        """The families of pseudo-lesions that it learned from."""
        return families_of(self.settings.lesions)

    def pretext(
        self, images: npt.NDArray[np.float32], neighbours: npt.NDArray[np.float32] | None = None
    ) -> dict[str, npt.NDArray[np.float64]]:
        """Family of pseudo-lesions, learned from or not -> scores (n,) of healthy images (n, h, w) with one of it.

        neighbours: as in `inspect`; the lesions go on into them.  What is drawn depends on the fit's seed, the family
        and the number of images alone.
        """
        window, found = self._fitted().window, {}
        seen = window.seen(torch.from_numpy(self._stacked(images, neighbours)))
        for family in families_of(self.settings.lesions, every=True):
            generator = torch.Generator().manual_seed(derive_seed(self.seed, "pretext", family))
            slices, beside = apart(window.prepared(altered_by(seen, family, generator)))
            found[family] = self.inspect(slices.numpy(), None if beside is None else beside.numpy()).scores
        return found

    def save(self, folder: Path) -> None:
        """Write backbone, masked autoencoders, memories and heads, whichever there are, and settings.json last."""
        write_parts(folder, self, self._fitted())

    @classmethod
    def load(cls, folder: Path, device: DeviceSettings | None = None) -> Self:
        """Read what `save` wrote.  Raises UserError where something is missing or broken."""
        content, parts, statistics, states = read_parts(folder, device or DeviceSettings())
        settings = AnomaeSettings.model_validate(content["settings"])
        detector = cls(settings.model_copy(update={"device": device or DeviceSettings()}))
        height, width = content["image_size"]
        detector.seed, detector.image_size, detector.parts = int(content["seed"]), (height, width), parts
        with in_use(detector.settings.device) as used:
            detector.evidences = evidences_of(settings, detector.image_size, parts, used)
        for evidence, (mean, spread) in zip(detector.evidences, statistics, strict=True):
            evidence.mean, evidence.spread = mean, spread
        detector.heads = detector._build(detector.evidences, [len(mean[0]) for mean, _ in statistics], 0)
        for head, state in zip((head for some in detector.heads for head in some), states, strict=True):
            head.load_state_dict(state)
            head.eval()
        return detector

    def _build(self, evidences: list[Evidence], channels: list[int], seed: int) -> list[list[PatchHead]]:
        chosen, built = self.settings.head, []
        for longer, evidence, count in zip(self.settings.sizes, evidences, channels, strict=True):
            of_size = []
            for number in range(self.settings.heads):
                generator = torch.Generator().manual_seed(derive_seed(seed, "head", longer, number))
                head = PatchHead(
                    count,
                    evidence.grid,
                    width=chosen.width,
                    blocks=chosen.blocks,
                    mirror="mirror" in self.settings.sources,
                    centre=self.settings.lesions.kind == "centre",
                    generator=generator,
                )
                of_size.append(head)
            built.append(of_size)
        return built

    def _probabilities(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Images (B, h, w) of 0..1, or stacks (B, 3, h, w) -> probabilities of the first size's patches (B, gh, gw),
        and of the images (B,).

        The mean over all heads, each looking at the evidence and at its mirror image.
        """
        patches, whole = [], []
        for evidence, heads in zip(self.evidences, self.heads, strict=True):
            found = evidence.of(images)
            for head in heads:
                head.to(found.device)
                seen = head.look(found)
                for flipped in (False, True):
                    logits, image = head.judge(seen.flip(-1) if flipped else seen)
                    chances = logits.float().sigmoid()
                    chances = chances.flip(-1) if flipped else chances
                    if chances.shape[1:] != self.evidences[0].grid:
                        grid = self.evidences[0].grid
                        chances = F.interpolate(chances[:, None], grid, mode="bilinear", antialias=True)[:, 0]
                    patches.append(chances)
                    whole += [] if image is None else [image.float().sigmoid()]
        return torch.stack(patches).mean(dim=0), torch.stack(whole).mean(dim=0) if whole else None

    def _stacked(
        self, images: npt.NDArray[np.float32], neighbours: npt.NDArray[np.float32] | None
    ) -> npt.NDArray[np.float32]:
        """Images (n, h, w) with the neighbours that this detector looks at, (n, 3, h, w); or as they are."""
        if neighbours is None or not self.needs_neighbours:
            return images
        return np.concatenate([images[:, None], neighbours], axis=1)

    def _fitted(self) -> Parts:
        if self.parts is None:
            raise UserError("This detector was not fitted yet.")
        return self.parts
