"""A memory of healthy patches: what no healthy image has shown is abnormal (PatchCore, Roth et al., CVPR 2022).

Against the original: levels of strides 8 and 16, averaged over 3x3 and concatenated, the score the largest distance to
the nearest patch kept, are the original's; it reduces widths to 1024 by averaging neighbouring channels, which is left
out (anomalib does so too), and so is the re-weighting of the score, which its paper has and its released code has not.
The greedy coreset is taken from a random part of the patches, so that time and memory stay bounded (the original takes
it from all), and the default backbone is EfficientNet-Lite0, which works offline, not WideResNet-50-2.  With `near`,
which is not the original's, a patch is compared with those from about its own place alone: for images that are aligned.
"""

from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from anomae.detectors.inference import in_fixed_batches, in_use
from anomae.detectors.protocol import Findings, HealthySlices
from anomae.detectors.teacher import Teacher
from anomae.detectors.teacher_settings import PatchMemorySettings
from anomae.errors import UserError
from anomae.files import read_json, write_json
from anomae.models.anomaly_maps import gaussian_smooth, upsampled
from anomae.models.patch_memory import greedy_coreset, nearest_distance, patch_features
from anomae.models.patch_places import blocks_of_places, out_of_reach, spread_subset
from anomae.progress import progress
from anomae.seeds import derive_seed
from anomae.seeds import generator as named_generator
from anomae.training.checkpoint import read_tensors, write_tensors
from anomae.training.devices import chosen_device
from anomae.training.settings import DeviceSettings

STRIDES = (8, 16)
CHUNK = 64


class PatchMemoryDetector:
    """The score is the largest distance of a patch's features to the nearest ones in memory."""

    name = "patchcore"

    def __init__(self, settings: PatchMemorySettings) -> None:
        """Keep the settings; nothing is built before `fit` or `load`."""
        self.settings = settings
        self.seed = 0
        self.teacher: Teacher | None = None
        self.memory: Tensor | None = None
        self.places: Tensor | None = None  # of the memory's patches, counted row by row; only with `near`

    @property
    def description(self) -> str:
        """The method and its teacher, as a table must name them."""
        near = self.settings.near
        where = "" if near is None else f" of patches within {near:g} of the side"
        return f"PatchCore-style memory{where} ({self._fitted()[0].description})"

    def fit(self, healthy: HealthySlices, *, seed: int, folder: Path) -> Self:
        """Keep at most `memory` patches of the healthy slices; only images with a patch drawn are looked at.

        Nothing is trained, and nothing written: a fit that was stopped starts again, to the same memory.  Raises
        UserError where there is nothing to learn from or the backbone's weights are not to be found.
        """
        settings, self.seed = self.settings, seed
        self.teacher = Teacher.of_normals(settings.teacher, STRIDES, healthy, seed)
        height, width = (side // STRIDES[0] for side in self.teacher.size)
        total = len(healthy) * height * width
        all_kept = settings.subset == "random" and settings.near is None
        wanted = settings.memory if all_kept else max(settings.candidates, settings.memory)
        random = named_generator(seed, "patch memory", "drawn")
        drawn = np.sort(random.choice(total, min(wanted, total), replace=False, shuffle=False))
        rows, positions = np.divmod(drawn, height * width)
        candidates = []
        looked_at = np.unique(rows)
        with progress("memory", len(looked_at), "slices", 0) as bar:
            for start in range(0, len(looked_at), CHUNK):
                places = looked_at[start : start + CHUNK]
                features = self._features(healthy.read(places)).reshape(len(places), -1, height * width)
                inside = (rows >= places[0]) & (rows <= places[-1])
                candidates.append(features[np.searchsorted(places, rows[inside]), :, positions[inside]])
                bar.advance(len(places))
        memory = torch.from_numpy(np.concatenate(candidates))  # (m, D)
        device = torch.device(chosen_device(settings.device))
        generator = torch.Generator().manual_seed(derive_seed(seed, "patch memory", "coreset"))
        self.places = None
        if settings.near is not None:
            places_kept = torch.from_numpy(positions)
            blocks = blocks_of_places((height, width), settings.near)[places_kept]
            kept = spread_subset(memory.to(device), blocks.to(device), settings.memory, settings.subset, generator)
            memory, self.places = memory[kept.cpu()], places_kept[kept.cpu()]
        elif len(memory) > settings.memory:
            memory = memory[greedy_coreset(memory.to(device), settings.memory, generator).cpu()]
        self.memory = memory
        return self

    def inspect(self, images: npt.NDArray[np.float32]) -> Findings:
        """Judge images (n, h, w): map the distances, upsampled and smoothed; score as the settings choose."""
        teacher, memory = self._fitted()
        beyond = self._out_of_reach(teacher)

        def judge(block: Tensor, _: npt.NDArray[np.float32]) -> tuple[Tensor, Tensor]:
            features = patch_features(teacher.levels(block))  # (B, D, H, W)
            kept, far = memory.to(block.device), None if beyond is None else beyond.to(block.device)
            each = [nearest_distance(image.flatten(1).T, kept, far) for image in features]
            distances = torch.stack(each).view(len(block), *features.shape[2:])
            large = gaussian_smooth(upsampled(distances, teacher.size, "bilinear"), self.settings.sigma)
            scores = torch.stack([distances.amax((1, 2)), distances.mean((1, 2)), large.amax((1, 2))], dim=1)
            return scores, upsampled(large, teacher.image_size, "bilinear")

        with in_use(self.settings.device) as device:
            scores, maps = in_fixed_batches(images, device, judge, teacher.batch(device))
        named = {name: scores[:, index].astype(np.float64) for index, name in enumerate(("max", "mean", "smoothed"))}
        return Findings(named[self.settings.score], maps, None, named)

    def save(self, folder: Path) -> None:
        """Write the teacher, the memory, and settings.json last."""
        teacher, memory = self._fitted()
        teacher.save(folder / "teacher.safetensors")
        places = {} if self.places is None else {"places": self.places}
        write_tensors(folder / "memory.safetensors", {"memory": memory, **places})
        facts: dict[str, Any] = {"detector": self.name, "seed": self.seed, "teacher": teacher.description}
        write_json(folder / "settings.json", {**facts, "settings": self.settings.model_dump(mode="json")})

    @classmethod
    def load(cls, folder: Path, device: DeviceSettings | None = None) -> Self:
        """Read what `save` wrote.  Raises UserError where something is missing or broken."""
        content = read_json(folder / "settings.json")
        settings = PatchMemorySettings.model_validate(content["settings"])
        detector = cls(settings.model_copy(update={"device": device or DeviceSettings()}))
        detector.seed = int(content["seed"])
        detector.teacher = Teacher.load(folder / "teacher.safetensors", settings.teacher, STRIDES)
        tensors, _ = read_tensors(folder / "memory.safetensors")
        detector.memory, detector.places = tensors["memory"], tensors.get("places")
        return detector

    def _features(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        teacher = self.teacher
        assert teacher is not None
        with in_use(self.settings.device) as device:
            size = teacher.batch(device)
            return in_fixed_batches(images, device, lambda x, _: (patch_features(teacher.levels(x)),), size)[0]

    def _out_of_reach(self, teacher: Teacher) -> Tensor | None:
        """(places, patches of the memory) bool, or None where a neighbour may lie anywhere."""
        if self.settings.near is None or self.places is None:
            return None
        height, width = teacher.size
        return out_of_reach((height // STRIDES[0], width // STRIDES[0]), self.settings.near, self.places)

    def _fitted(self) -> tuple[Teacher, Tensor]:
        if self.teacher is None or self.memory is None:
            raise UserError("This memory of patches was not fitted yet.")
        return self.teacher, self.memory
