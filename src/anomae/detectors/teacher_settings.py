"""The settings of the methods that look through a frozen backbone: RD4AD, AST, and the memory of patches."""

from typing import Literal

from pydantic import Field

from anomae.detectors.settings import Percentiles, Settings
from anomae.training.settings import DeviceSettings, TrainingSettings


class TeacherSettings(Settings):
    """The frozen backbone ("teacher"), and the picture it is shown: 8-bit grey, three equal channels, resized.

    With the defaults it works offline; the originals' teachers are wide_resnet50_2 (RD4AD, PatchCore) and
    efficientnet_b5 (AST), with weights "torchvision", "transformers" or the path of a file.
    """

    backbone: Literal["wide_resnet50_2", "efficientnet_b5", "efficientnet_lite0", "tiny"] = "efficientnet_lite0"
    weights: str = Field(
        default="package",
        description="package (installed with anomae), torchvision or transformers (what it has downloaded before), "
        "random (named so in every table), or the path of a .pth or .safetensors file",
    )
    input_size: int = Field(default=256, gt=0, multiple_of=32, description="longer side of what it is shown, pixels")
    percentiles: Percentiles = Field(
        default=(0.1, 99.9), description="of the pixels of training normals, that become 0 and 255"
    )


class ReverseDistillationSettings(Settings):
    """RD4AD (Deng & Li 2022); defaults are the released code's numbers.

    For a small run: teacher.input_size=128, training.epochs=null, training.steps=1000.
    """

    teacher: TeacherSettings = TeacherSettings()
    loss: Literal["level", "position"] = Field(
        default="level", description="what a cosine is taken of: a whole level (released code), or a position (paper)"
    )
    combine: Literal["sum", "product"] = Field(default="sum", description="of the levels' maps")
    sigma: float = Field(default=4.0, ge=0, description="of the Gaussian, pixels of the teacher's input")
    score: Literal["max", "mean"] = Field(default="max", description="of the smoothed map")
    training: TrainingSettings = TrainingSettings(
        epochs=200, batch=16, lr=0.005, min_lr=0.005, betas=(0.5, 0.999), weight_decay=0.0
    )
    device: DeviceSettings = DeviceSettings()


class StudentTeacherSettings(Settings):
    """AST (Rudolph et al. 2023); defaults are the released code's numbers.

    For a small run: teacher.input_size=256 or 448, student_width=128, steps in place of epochs for both trainings.
    """

    teacher: TeacherSettings = TeacherSettings(input_size=768)
    flow_width: int = Field(default=64, gt=0, description="hidden channels of the flow's sub-networks")
    student_width: int = Field(default=1024, gt=0)
    score: Literal["max", "mean"] = Field(default="max", description="of the map at the resolution of the features")
    flow: TrainingSettings = TrainingSettings(epochs=72, batch=8, lr=2e-4, min_lr=2e-4, weight_decay=1e-5)
    student: TrainingSettings = TrainingSettings(epochs=72, batch=8, lr=2e-4, min_lr=2e-4, weight_decay=1e-5)
    device: DeviceSettings = DeviceSettings()


class PatchMemorySettings(Settings):
    """A memory of the patch features of healthy images (PatchCore, Roth et al. 2022).

    For a small run: teacher.input_size=128 or the size of the prepared images, memory=2000, candidates=10000.
    """

    teacher: TeacherSettings = TeacherSettings(input_size=224)
    memory: int = Field(default=10_000, gt=0, description="patches kept, at most")
    subset: Literal["coreset", "random"] = Field(
        default="coreset", description="'coreset': greedily the patch farthest from those kept, as the original has it"
    )
    candidates: int = Field(default=50_000, gt=0, description="patches drawn at random that a coreset is taken from")
    near: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="how far from a patch's place its neighbours in memory may lie, in longer sides of the image; then "
        "the memory is spread evenly over all places; none: anywhere",
    )
    sigma: float = Field(default=4.0, ge=0, description="of the Gaussian on the map, pixels of the teacher's input")
    score: Literal["max", "mean", "smoothed"] = Field(
        default="max", description="of the distances at all positions; 'smoothed': the maximum of the smoothed map"
    )
    device: DeviceSettings = DeviceSettings()
