"""A memory of healthy patches: what no healthy image has shown is abnormal (PatchCore, Roth et al., CVPR 2022).

Against the original: levels of strides 8 and 16, averaged over 3x3 and concatenated, the score the largest distance to
the nearest patch kept, are the original's; it reduces widths to 1024 by averaging neighbouring channels, which is left
out (anomalib does so too), and so is the re-weighting of the score, which its paper has and its released code has not.
The greedy coreset is taken from a random part of the patches, so that time and memory stay bounded (the original takes
it from all), and the default backbone is EfficientNet-Lite0, which works offline, not WideResNet-50-2.  With `near`,
which is not the original's, a patch is compared with those from about its own position alone: for images that are
aligned.  Of images with several channels the features are concatenated over the channels.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from anomae.detectors.inference import check_images, in_fixed_batches, in_use
from anomae.detectors.protocol import Findings, HealthySlices, Images4
from anomae.detectors.teacher import Teacher
from anomae.detectors.teacher_settings import PatchMemorySettings
from anomae.errors import UserError
from anomae.files import read_json, write_json
from anomae.models.anomaly_maps import gaussian_smooth, upsampled
from anomae.models.patch_memory import greedy_coreset, nearest_distance, patch_features
from anomae.models.patch_places import blocks_of_places, out_of_reach, spread_subset
from anomae.progress import progress, say
from anomae.seeds import derive_seed
from anomae.seeds import generator as named_generator
from anomae.training.checkpoint import read_tensors, write_tensors
from anomae.training.devices import chosen_device
from anomae.training.one_device import refuse_several_devices
from anomae.training.settings import DeviceSettings

STRIDES = (8, 16)
CHUNK = 64
BEYOND = "zeros"  # beyond the border, where features are averaged; a memory of other features must not be asked
ENLARGED = "centres"  # what of a patch lies where in a map; before this was kept, maps were stretched outwards


@dataclass(frozen=True, slots=True, eq=False)
class FittedPatchMemory:
    """A teacher, and the features (m, D) of the healthy patches that are kept in memory.

    positions: (m,) int64, where in the image each of them lay, counted row by row; with `near` alone, else None.
    """

    name: ClassVar[str] = "patchcore"
    map_name: ClassVar[str] = "Euclidean distance to the nearest healthy patch, features"
    settings: PatchMemorySettings
    teacher: Teacher
    memory: Tensor
    positions: Tensor | None
    seed: int

    @property
    def description(self) -> str:
        """The method and its teacher, as a table must name them."""
        near = self.settings.near
        where = "" if near is None else f" of patches within {near:g} of the side"
        return f"PatchCore-style memory{where} ({self.teacher.description})"

    def inspect(self, images: Images4) -> Findings:
        """Images (n, c, h, w): map the distances, upsampled and smoothed; score as the settings choose.

        Raises UserError for images unlike those that were fitted on.
        """
        teacher, beyond = self.teacher, self.beyond()
        check_images(images, teacher.channels, teacher.image_size)

        def scores_and_maps(block: Tensor, _: npt.NDArray[np.float32]) -> tuple[Tensor, Tensor]:
            features = patch_features(teacher.levels(block))  # (B, D, H, W)
            kept, far = self.memory.to(block.device), None if beyond is None else beyond.to(block.device)
            each = [nearest_distance(image.flatten(1).T, kept, far) for image in features]
            distances = torch.stack(each).view(len(block), *features.shape[2:])
            large = gaussian_smooth(upsampled(distances, teacher.size, "bilinear"), self.settings.sigma)
            scores = torch.stack([distances.amax((1, 2)), distances.mean((1, 2)), large.amax((1, 2))], dim=1)
            return scores, upsampled(large, teacher.image_size, "bilinear")

        with in_use(self.settings.device) as device:
            scores, maps = in_fixed_batches(images, device, scores_and_maps, teacher.batch(device))
        named = {name: scores[:, index].astype(np.float64) for index, name in enumerate(("max", "mean", "smoothed"))}
        return Findings(named[self.settings.score], maps, None, named)

    def save(self, folder: Path) -> None:
        """Write the teacher, the memory, and settings.json last."""
        self.teacher.save(folder / "teacher.safetensors")
        positions = {} if self.positions is None else {"positions": self.positions}
        write_tensors(folder / "memory.safetensors", {"memory": self.memory, **positions})
        facts: dict[str, Any] = {"detector": self.name, "seed": self.seed, "beyond": BEYOND, "enlarged": ENLARGED}
        facts |= {**self.teacher.facts(), "settings": self.settings.model_dump(mode="json")}
        write_json(folder / "settings.json", facts)

    def beyond(self) -> Tensor | None:
        """(positions, patches of the memory) bool, or None where a neighbour may lie anywhere."""
        if self.settings.near is None or self.positions is None:
            return None
        return out_of_reach(_grid(self.teacher), self.settings.near, self.positions)


class PatchMemoryDetector:
    """The score is the largest distance of a patch's features to the nearest ones in memory."""

    name: ClassVar[str] = FittedPatchMemory.name
    settings_type = PatchMemorySettings
    one_device: ClassVar[bool] = True

    def __init__(self, settings: PatchMemorySettings) -> None:
        """Keep the settings."""
        self.settings = settings

    def fit(self, healthy: HealthySlices, *, seed: int, folder: Path) -> FittedPatchMemory:
        """Keep at most `memory` patches of the healthy slices; only images with a patch drawn are looked at.

        Nothing is trained, and nothing written: a fit that was stopped starts again, to the same memory.  Raises
        UserError where there is nothing to learn from, the backbone's weights are not to be found, or several devices
        are asked for.
        """
        settings = self.settings
        refuse_several_devices(self.name, settings.device)
        teacher = Teacher.of_normals(settings.teacher, STRIDES, healthy, seed)
        height, width = _grid(teacher)
        total = len(healthy) * height * width
        all_kept = settings.subset == "random" and settings.near is None
        wanted = settings.memory if all_kept else max(settings.candidates, settings.memory)
        random = named_generator(seed, "patch memory", "drawn")
        drawn = np.sort(random.choice(total, min(wanted, total), replace=False, shuffle=False))
        memory = torch.from_numpy(_drawn_features(teacher, healthy, drawn, settings.device))  # (m, D)
        device = torch.device(chosen_device(settings.device))
        generator = torch.Generator().manual_seed(derive_seed(seed, "patch memory", "coreset"))
        positions = None
        if settings.near is not None:
            positions = torch.from_numpy(drawn % (height * width))
            blocks = blocks_of_places((height, width), settings.near)[positions]
            kept = spread_subset(memory.to(device), blocks.to(device), settings.memory, settings.subset, generator)
            memory, positions = memory[kept.cpu()], positions[kept.cpu()]
        elif len(memory) > settings.memory:
            memory = memory[greedy_coreset(memory.to(device), settings.memory, generator).cpu()]
        return FittedPatchMemory(settings, teacher, memory, positions, seed)

    @classmethod
    def load(cls, folder: Path, device: DeviceSettings | None = None) -> FittedPatchMemory:
        """Read what `save` wrote.

        Raises UserError where something is missing or broken, or of other features, or scores maps made otherwise.
        """
        content = read_json(folder / "settings.json")
        if content.get("beyond") != BEYOND:
            raise UserError(f"{folder} holds a memory of features that this version takes otherwise; fit it again.")
        settings = PatchMemorySettings.model_validate(content["settings"])
        if content.get("enlarged") != ENLARGED:
            if settings.score == "smoothed":
                raise UserError(f"{folder} scores by maps that this version enlarges otherwise; fit a new run.")
            say(
                f"{folder} was fitted by a version that stretched maps outwards: its scores hold, but thresholds on "
                "maps are of those maps and new maps are not; fit a new run where maps or findings count."
            )
        teacher = Teacher.load(folder / "teacher.safetensors", settings.teacher, STRIDES)
        tensors, _ = read_tensors(folder / "memory.safetensors")
        settings = settings.model_copy(update={"device": device or DeviceSettings()})
        return FittedPatchMemory(settings, teacher, tensors["memory"], tensors.get("positions"), int(content["seed"]))


def _grid(teacher: Teacher) -> tuple[int, int]:
    """Rows and columns of patches."""
    height, width = teacher.size
    return (height // STRIDES[0], width // STRIDES[0])


def _drawn_features(
    teacher: Teacher, healthy: HealthySlices, drawn: npt.NDArray[np.int64], device: DeviceSettings
) -> npt.NDArray[np.float32]:
    """The features (m, D) of the patches `drawn` (m,), rising: image by image, in each counted row by row."""
    height, width = _grid(teacher)
    rows, positions = np.divmod(drawn, height * width)
    found, looked_at = [], np.unique(rows)
    with progress("memory", len(looked_at), "slices", 0) as bar, in_use(device) as used:
        size = teacher.batch(used)
        for start in range(0, len(looked_at), CHUNK):
            indices = looked_at[start : start + CHUNK]
            images = healthy.read(indices)
            (features,) = in_fixed_batches(images, used, lambda x, _: (patch_features(teacher.levels(x)),), size)
            inside = (rows >= indices[0]) & (rows <= indices[-1])
            flat = features.reshape(len(indices), -1, height * width)
            found.append(flat[np.searchsorted(indices, rows[inside]), :, positions[inside]])
            bar.advance(len(indices))
    return np.concatenate(found)
