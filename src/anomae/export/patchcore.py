"""How the memory of patches is exported: one network, the memory in it, from prepared images to scores and maps."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomae.detectors.inference import USE_BATCH
from anomae.detectors.patchcore.detector import FittedPatchMemory
from anomae.export.teacher import ExportedTeacher, Smooth
from anomae.export.traceable import Resize, Traceable, TraceableNetwork, interpolation


def traceable(fitted: FittedPatchMemory) -> Traceable:
    """The networks of a fitted memory of patches."""
    teacher, chosen = fitted.teacher, fitted.settings.score
    example = torch.rand(2, teacher.channels, *teacher.image_size)
    outputs = ("score_max", "score_mean", "score_smoothed", "map")
    named = {"score": f"score_{chosen}", **{name: name for name in outputs}}
    return Traceable(
        networks={"whole": TraceableNetwork(_Whole(fitted), {"images": example}, outputs)},
        runner={"kind": "chain", "chain": [["whole", ["images"]]], "outputs": named},
        batch=min(USE_BATCH["cpu"], teacher.batch(torch.device("cpu"))),
    )


class _Whole(nn.Module):
    """Of each patch the distance to its nearest in memory, as anomae.models.patch_memory.nearest_distance has it."""

    def __init__(self, fitted: FittedPatchMemory) -> None:
        super().__init__()
        teacher = fitted.teacher
        self.teacher = ExportedTeacher(teacher)
        memory = fitted.memory.float()
        centre = memory.mean(dim=0)
        self.centre: Tensor
        self.memory: Tensor
        self.lengths: Tensor
        self.register_buffer("centre", centre)
        self.register_buffer("memory", memory - centre)  # (m, D)
        self.register_buffer("lengths", self.memory.square().sum(dim=1))
        beyond = fitted.beyond()
        self.far: Tensor | None
        self.register_buffer("far", None if beyond is None else torch.zeros(beyond.shape).masked_fill(beyond, 1e30))
        with torch.no_grad():
            levels = self.teacher(torch.zeros(1, teacher.channels, *teacher.image_size))
        sides = [(level.shape[2], level.shape[3]) for level in levels]
        half = interpolation("bilinear")
        self.join = nn.ModuleList(Resize(side, sides[0], half) for side in sides[1:])
        self.enlarge = Resize(sides[0], teacher.size, half)
        self.smooth = Smooth(teacher.size, fitted.settings.sigma)
        self.bring = Resize(teacher.size, teacher.image_size, half)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        first, *coarser = (F.avg_pool2d(level, 3, 1, 1) for level in self.teacher(images))
        joined = [first, *(bring(level) for bring, level in zip(self.join, coarser, strict=True))]
        features = torch.cat(joined, dim=1)  # (B, D, H, W)
        patches = features.flatten(2).transpose(1, 2) - self.centre  # (B, N, D)
        relative = self.lengths - 2.0 * (patches @ self.memory.T)  # (B, N, m)
        if self.far is not None:
            relative = relative + self.far
        nearest = self.memory[relative.argmin(dim=2)]  # (B, N, D)
        flat = (patches - nearest).square().sum(dim=2).sqrt()
        distances = flat.reshape(flat.shape[0], features.shape[2], features.shape[3])
        large = self.smooth(self.enlarge(distances))
        scores = (distances.amax(dim=(1, 2)), distances.mean(dim=(1, 2)), large.amax(dim=(1, 2)))
        return *scores, self.bring(large)
