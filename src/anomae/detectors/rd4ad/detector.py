"""RD4AD (Deng & Li, "Anomaly Detection via Reverse Distillation from One-Class Embedding", CVPR 2022).

Against the original: network, loss, optimiser, map and score are those of the authors' released
code.  Its layers that are never used (8.4 M parameters) are not built, its image size is a setting and not fixed at
256, and nothing is looked at on the way: the last weights are kept, as there.  `loss="position"` is the paper's text.
The default teacher is EfficientNet-Lite0, which works offline, not WideResNet-50-2: all widths then follow its levels
(24, 40 and 112 channels; 0.9 M trained parameters for 83.8 M), and the decoder's levels are not cut off below 0.
Of images with several channels the teacher's features are concatenated over the channels.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from anomae.detectors.inference import check_images, in_fixed_batches, in_use
from anomae.detectors.protocol import Findings, HealthySlices, Images4
from anomae.detectors.teacher import Teacher
from anomae.detectors.teacher_feed import TeacherFeed
from anomae.detectors.teacher_settings import ReverseDistillationSettings
from anomae.files import read_json, write_json
from anomae.models.anomaly_maps import combined_map, cosine_distance, gaussian_smooth, upsampled
from anomae.models.reverse_distillation import ReverseDistillation, distillation_loss
from anomae.seeds import derive_seed
from anomae.training.checkpoint import load_weights, write_tensors
from anomae.training.devices import make_fabric
from anomae.training.loop import Training, train
from anomae.training.settings import DeviceSettings

STRIDES = (4, 8, 16)


@dataclass(frozen=True, slots=True, eq=False)
class FittedReverseDistillation:
    """A teacher, and the bottleneck and decoder that learned to rebuild its features of healthy images."""

    name: ClassVar[str] = "rd4ad"
    settings: ReverseDistillationSettings
    teacher: Teacher
    network: ReverseDistillation
    seed: int

    @property
    def map_name(self) -> str:
        """What a map's numbers are: from 0, without unit."""
        return f"cosine distance, {self.settings.combine} over {len(STRIDES)} levels"

    @property
    def description(self) -> str:
        """The method and its teacher, as a table must name them."""
        return f"RD4AD ({self.teacher.description})"

    def inspect(self, images: Images4) -> Findings:
        """Images (n, c, h, w): map of 1 - cosine, combined over the levels and smoothed; score its maximum or mean.

        The score is taken of the map at the size of the teacher's input; the map is then brought to that of the image.
        Raises UserError for images unlike those that were fitted on.
        """
        teacher, settings = self.teacher, self.settings
        check_images(images, teacher.channels, teacher.image_size)

        def scores_and_maps(block: Tensor, _: npt.NDArray[np.float32]) -> tuple[Tensor, Tensor]:
            levels = teacher.levels(block)
            pairs = zip(levels, self.network.to(block.device)(levels), strict=True)
            distances = [cosine_distance(taught, decoded).clamp(min=0) for taught, decoded in pairs]
            heat = gaussian_smooth(combined_map(distances, teacher.size, settings.combine), settings.sigma)
            scores = torch.stack([heat.amax(dim=(1, 2)), heat.mean(dim=(1, 2))], dim=1)
            return scores, upsampled(heat, teacher.image_size, "bilinear", corners=True)

        with in_use(settings.device) as device:
            scores, maps = in_fixed_batches(images, device, scores_and_maps, teacher.batch(device))
        named = {name: scores[:, index].astype(np.float64) for index, name in enumerate(("max", "mean"))}
        return Findings(named[settings.score], maps, None, named)

    def save(self, folder: Path) -> None:
        """Write the teacher, the trained weights, and settings.json last."""
        self.teacher.save(folder / "teacher.safetensors")
        write_tensors(folder / "weights.safetensors", dict(self.network.state_dict()))
        facts: dict[str, Any] = {"detector": self.name, "seed": self.seed, **self.teacher.facts()}
        write_json(folder / "settings.json", {**facts, "settings": self.settings.model_dump(mode="json")})


class ReverseDistillationDetector:
    """What a decoder that learned to rebuild the teacher's features of healthy images cannot rebuild is not healthy."""

    name: ClassVar[str] = FittedReverseDistillation.name
    settings_type = ReverseDistillationSettings

    def __init__(self, settings: ReverseDistillationSettings) -> None:
        """Keep the settings."""
        self.settings = settings

    def fit(self, healthy: HealthySlices, *, seed: int, folder: Path) -> FittedReverseDistillation:
        """Train bottleneck and decoder on healthy slices; a fit stopped at any moment goes on from its checkpoint.

        Raises UserError where there is nothing to learn from, the teacher's weights are not to be found or a batch is
        too small for its batch norms, Diverged where the loss is no longer finite.
        """
        settings = self.settings
        teacher = Teacher.of_normals(settings.teacher, STRIDES, healthy, seed)
        teacher.refuse_one_position("training", settings.training, settings.device)
        network = _build(teacher, derive_seed(seed, "rd4ad", "weights"))
        fabric = make_fabric(settings.device)
        levels_of = TeacherFeed(teacher, healthy, fabric.device)

        def batch_loss(model: nn.Module, indices: npt.NDArray[np.int64], _: torch.Generator) -> Tensor:
            levels = levels_of(indices)
            return distillation_loss(levels, model(levels), settings.loss)

        training = Training(
            stage="rd4ad",
            count=len(healthy),
            batch_loss=batch_loss,
            settings=settings.training,
            seed=seed,
            folder=folder,
            checkpoint_minutes=settings.device.checkpoint_minutes,
            optimizer=torch.optim.Adam,
        )
        train(fabric, network, training)
        return FittedReverseDistillation(settings, teacher, network.eval(), seed)

    @classmethod
    def load(cls, folder: Path, device: DeviceSettings | None = None) -> FittedReverseDistillation:
        """Read what `save` wrote.  Raises UserError where something is missing or broken."""
        content = read_json(folder / "settings.json")
        settings = ReverseDistillationSettings.model_validate(content["settings"])
        teacher = Teacher.load(folder / "teacher.safetensors", settings.teacher, STRIDES)
        network = _build(teacher, 0)
        load_weights(folder / "weights.safetensors", network)
        settings = settings.model_copy(update={"device": device or DeviceSettings()})
        return FittedReverseDistillation(settings, teacher, network.eval(), int(content["seed"]))


def _build(teacher: Teacher, seed: int) -> ReverseDistillation:
    generator = torch.Generator().manual_seed(seed)
    return ReverseDistillation(teacher.widths, generator, signed=teacher.backbone.signed)
