"""AST (Rudolph et al., "Asymmetric Student-Teacher Networks for Industrial Anomaly Detection", WACV 2023).

Against the original: features, positions, flow, student, losses, optimiser and scores are those
of the authors' released code, for pictures (its depth channel is left out).  It reads the test AUROC after every round
of epochs; here nothing is chosen and the last weights are kept (as its saved ones are).  Features are always taken with
the backbone in evaluation; without its cache the original leaves batch norm in training.  The default teacher is
EfficientNet-Lite0 (192 channels of stride 32), which works offline, not EfficientNet-B5 (304).  Of images with several
channels the features are concatenated over the channels.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from anomae.detectors.inference import check_images, in_fixed_batches, in_use
from anomae.detectors.mae.reconstruction_cache import cached_reconstructions
from anomae.detectors.protocol import Findings, HealthySlices, Images4
from anomae.detectors.teacher import Teacher
from anomae.detectors.teacher_settings import StudentTeacherSettings
from anomae.files import read_json, write_json
from anomae.models.anomaly_maps import upsampled
from anomae.models.conditional_flow import ConditionalFlow, flow_loss
from anomae.models.student import Student
from anomae.models.transformer.masked_autoencoder import sincos_positions
from anomae.seeds import derive_seed
from anomae.training.checkpoint import load_weights, write_tensors
from anomae.training.devices import make_fabric
from anomae.training.images import ImageFeed
from anomae.training.loop import Training, train
from anomae.training.settings import DeviceSettings

STRIDES = (32,)
POSITIONS = 32


@dataclass(frozen=True, slots=True, eq=False)
class FittedStudentTeacher:
    """The frozen backbone ("teacher" of both), the flow, and the student that learned what the flow makes of it."""

    name: ClassVar[str] = "ast"
    map_name: ClassVar[str] = "squared difference of student and teacher, mean over features"
    settings: StudentTeacherSettings
    teacher: Teacher
    networks: nn.ModuleDict
    seed: int

    @property
    def description(self) -> str:
        """The method and the backbone of its teacher, as a table must name them."""
        return f"AST ({self.teacher.description})"

    def inspect(self, images: Images4) -> Findings:
        """Images (n, c, h, w): map of the mean squared difference of student and flow; score its maximum or mean.

        The score is taken of the map at the features' resolution; the map is brought to the image's (bicubic).
        Raises UserError for images unlike those that were fitted on.
        """
        teacher, networks = self.teacher, self.networks
        check_images(images, teacher.channels, teacher.image_size)

        def scores_and_maps(block: Tensor, _: npt.NDArray[np.float32]) -> tuple[Tensor, Tensor]:
            networks.to(block.device)
            inputs = with_positions(teacher.levels(block)[0].float())
            wrong = (networks["flow"](*inputs)[0] - networks["student"](*inputs).float()).square().mean(dim=1)
            scores = torch.stack([wrong.amax(dim=(1, 2)), wrong.mean(dim=(1, 2))], dim=1)
            return scores, upsampled(wrong, teacher.image_size, "bicubic")

        with in_use(self.settings.device) as device:
            scores, maps = in_fixed_batches(images, device, scores_and_maps, teacher.batch(device))
        named = {name: scores[:, index].astype(np.float64) for index, name in enumerate(("max", "mean"))}
        return Findings(named[self.settings.score], maps, None, named)

    def save(self, folder: Path) -> None:
        """Write the backbone, flow and student, and settings.json last."""
        self.teacher.save(folder / "teacher.safetensors")
        write_tensors(folder / "weights.safetensors", dict(self.networks.state_dict()))
        facts: dict[str, Any] = {"detector": self.name, "seed": self.seed, **self.teacher.facts()}
        write_json(folder / "settings.json", {**facts, "settings": self.settings.model_dump(mode="json")})


class StudentTeacherDetector:
    """Where the student's guess of the flow's output is wrong, the features are none of healthy images."""

    name: ClassVar[str] = FittedStudentTeacher.name
    settings_type = StudentTeacherSettings

    def __init__(self, settings: StudentTeacherSettings) -> None:
        """Keep the settings."""
        self.settings = settings

    def fit(self, healthy: HealthySlices, *, seed: int, folder: Path) -> FittedStudentTeacher:
        """Take the features of healthy slices once (folder/cache), train the flow on them, then the student.

        A fit stopped at any moment goes on.  Raises UserError where there is nothing to learn from, the backbone's
        weights are not to be found or a batch is too small for the student's batch norms, Diverged where a loss is no
        longer finite.
        """
        settings = self.settings
        teacher = Teacher.of_normals(settings.teacher, STRIDES, healthy, seed)
        teacher.refuse_one_position("student", settings.student, settings.device)
        networks = _build(teacher, settings, seed)
        fabric = make_fabric(settings.device)

        def features_of(images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
            """(k, C, h, w): features are stored and fed as images of many channels are."""
            with in_use(settings.device) as device:
                size = teacher.batch(device)
                return in_fixed_batches(images, device, lambda x, _: (teacher.levels(x)[0],), size)[0]

        cached = cached_reconstructions(folder / "cache" / "features.npy", healthy, features_of, fabric)
        feed = ImageFeed(cached, fabric.device)
        flow = networks["flow"]

        def features(indices: npt.NDArray[np.int64]) -> tuple[Tensor, Tensor]:
            return with_positions(feed(indices))

        def loss_of_flow(model: nn.Module, indices: npt.NDArray[np.int64], _: torch.Generator) -> Tensor:
            return flow_loss(*model(*features(indices)))

        def loss_of_student(model: nn.Module, indices: npt.NDArray[np.int64], _: torch.Generator) -> Tensor:
            inputs = features(indices)
            with torch.no_grad():
                taught, _log_det = flow(*inputs)
            wrong: Tensor = model(*inputs).float() - taught
            return wrong.square().mean()

        for stage, length, loss in (
            ("flow", settings.flow, loss_of_flow),
            ("student", settings.student, loss_of_student),
        ):
            training = Training(
                stage=f"ast-{stage}",
                count=len(healthy),
                batch_loss=loss,
                settings=length,
                seed=seed,
                folder=folder,
                checkpoint_minutes=settings.device.checkpoint_minutes,
                optimizer=torch.optim.Adam,
            )
            train(fabric, networks[stage], training)
        return FittedStudentTeacher(settings, teacher, networks.eval(), seed)

    @classmethod
    def load(cls, folder: Path, device: DeviceSettings | None = None) -> FittedStudentTeacher:
        """Read what `save` wrote.  Raises UserError where something is missing or broken."""
        content = read_json(folder / "settings.json")
        settings = StudentTeacherSettings.model_validate(content["settings"])
        teacher = Teacher.load(folder / "teacher.safetensors", settings.teacher, STRIDES)
        networks = _build(teacher, settings, 0)
        load_weights(folder / "weights.safetensors", networks)
        settings = settings.model_copy(update={"device": device or DeviceSettings()})
        return FittedStudentTeacher(settings, teacher, networks.eval(), int(content["seed"]))


def _build(teacher: Teacher, settings: StudentTeacherSettings, seed: int) -> nn.ModuleDict:
    flow, student = (torch.Generator().manual_seed(derive_seed(seed, "ast", name)) for name in ("flow", "student"))
    channels = teacher.widths[0]
    return nn.ModuleDict(
        {
            "flow": ConditionalFlow(channels, POSITIONS, flow, settings.flow_width),
            "student": Student(channels, POSITIONS, settings.student_width, student),
        }
    )


def with_positions(features: Tensor) -> tuple[Tensor, Tensor]:
    """Features (B, C, H, W), and sines and cosines of where each of them is, (B, 32, H, W)."""
    size = (features.shape[2], features.shape[3])
    where = sincos_positions(size, POSITIONS, False).to(features.device).transpose(1, 2).reshape(1, POSITIONS, *size)
    return features, where.expand(len(features), -1, -1, -1)
