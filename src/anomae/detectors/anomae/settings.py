"""The settings of the detector `anomae`: sources of evidence, pseudo-lesions, heads."""

import math
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from anomae.detectors.dae.settings import DenoisingSettings
from anomae.detectors.settings import AutoencoderSettings, Percentiles, Settings
from anomae.training.settings import DeviceSettings, TrainingSettings

SourceName = Literal["features", "pixels", "residual", "denoised", "memory", "hidden", "mirror", "neighbours"]
SOURCES: tuple[SourceName, ...] = (
    "features",
    "pixels",
    "residual",
    "denoised",
    "memory",
    "hidden",
    "mirror",
    "neighbours",
)
MeasureName = Literal["mean", "brightest_spot_5", "brightest_spot_9", "brightest_spot_17", "darkest_spot_9"]
COMPARISONS = ("mirror", "neighbours")  # of what other sources give


def _listed(value: Any) -> Any:
    """ "a,b" and "a, b" as ["a", "b"], one number as a list of it."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return [value] if isinstance(value, int) else value


class LesionSettings(Settings):
    """Pseudo-lesions (anomae.models.pseudo_lesions)."""

    kind: Literal["area", "centre"] = Field(
        default="area", description="'centre': of patches around candidates, abnormal where a nodule is in the middle"
    )
    families: tuple[str, ...] = Field(
        default=("blob", "fill", "foreign", "deform", "tissue", "flat", "rim", "mass", "several"),
        description="those that the heads learn from, or all; area only",
    )
    weights: tuple[float, ...] | None = Field(default=None, description="how often each family; none: alike")
    brighter: float = Field(
        default=0.5, ge=0, le=1, description="share brighter than their surroundings, where a family has a sign"
    )
    healthy: float = Field(default=0.35, gt=0, lt=1, description="share of the samples that stay healthy")
    smallest_share: float = Field(default=0.25, gt=0, le=1, description="of a patch that must be changed to count")
    curriculum: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of a head's training over which subtler lesions join the strongest quarter; 0: all at once",
    )

    @field_validator("families", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        """Names, however they are listed; "all" stands for every family there is."""
        from anomae.models.pseudo_lesions.families import FAMILIES

        names = _listed(value)
        return list(FAMILIES) if isinstance(names, list | tuple) and list(names) == ["all"] else names

    @model_validator(mode="after")
    def _known(self) -> Self:
        from anomae.models.pseudo_lesions.families import FAMILIES

        unknown = [name for name in self.families if name not in FAMILIES]
        if unknown or not self.families:
            raise ValueError(f"families are out of {', '.join(FAMILIES)}")
        if self.weights is not None and (len(self.weights) != len(self.families) or min(self.weights) <= 0):
            raise ValueError("give one weight above 0 for each family")
        return self


class MemorySettings(Settings):
    """The source `memory`: distance to the nearest healthy patch at like positions."""

    images: int = Field(default=100, gt=0, description="healthy images kept of each half of them")
    near: float = Field(default=0.12, gt=0, le=1, description="how far apart like positions may lie, share of the side")


class HiddenSettings(Settings):
    """The source `hidden`: a masked autoencoder of the backbone's features, one for each size."""

    width: int = Field(default=128, gt=0, multiple_of=4)
    depth: int = Field(default=4, gt=0)
    heads: int = Field(default=4, gt=0)
    mask_ratio: float = Field(default=0.5, gt=0, lt=1, description="share of the patches hidden in training")
    passes: int = Field(default=2, ge=2, description="in use each patch is hidden once in so many passes")
    block: int = Field(default=1, gt=0, description="patches are hidden in squares of so many a side")
    training: TrainingSettings = TrainingSettings(steps=400, batch=16, lr=1e-3, warmup_steps=40, clip_norm=1.0)

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        if self.width % self.heads:
            raise ValueError("width must be a multiple of heads")
        return self


class HeadSettings(Settings):
    """The network that classifies patches by their evidence."""

    width: int = Field(default=64, gt=0, multiple_of=8)
    blocks: int = Field(default=2, ge=0)
    drop: float = Field(default=0.1, ge=0, lt=1)
    positive_weight: float = Field(default=2.0, gt=0, description="of abnormal patches in the loss")
    training: TrainingSettings = TrainingSettings(steps=1000, batch=56, lr=2e-3, warmup_steps=50)


class AnomaeSettings(Settings):
    """All of the detector."""

    # Its autoencoders give evidence, and no score of their own; they compute where the detector does.
    not_settable: ClassVar[tuple[str, ...]] = (
        "autoencoder.error",
        "autoencoder.ssim_range",
        "denoiser.score",
        "denoiser.top_share",
        "denoiser.device",
    )

    sources: tuple[SourceName, ...] = ("features", "pixels", "mirror")
    sizes: tuple[int, ...] = Field(default=(128, 192), description="longer side at which images are looked at, pixels")
    patch: int = Field(default=8, gt=0, description="side of a patch at each of these sizes, pixels")
    heads: int = Field(default=2, gt=0, description="for each size; their probabilities are averaged")
    pool: int = Field(default=6000, gt=0, description="samples that the heads learn from, made once")
    backbone: Literal["efficientnet_lite0", "efficientnet_b5", "wide_resnet50_2", "tiny"] = "efficientnet_lite0"
    weights: str = Field(default="package", description="package, torchvision, transformers, random, or a file")
    percentiles: Percentiles = Field(default=(0.1, 99.9), description="of training pixels: the range of healthy tissue")
    headroom: float = Field(default=1.25, ge=1, description="the range goes on above it, to hold what is brighter")
    window: tuple[float, float] | None = Field(
        default=None, description="the range itself, of every channel, instead of measuring it"
    )
    top: int = Field(default=5, gt=0, description="the score is the mean of so many highest patches")
    by_location: bool = Field(
        default=False, description="take off what healthy patches at the same location have; not of candidates"
    )
    measure: MeasureName | None = Field(
        default=None, description="what joins the score beside the heads, each on the scale of healthy images"
    )
    lesions: LesionSettings = LesionSettings()
    memory: MemorySettings = MemorySettings()
    hidden: HiddenSettings = HiddenSettings()
    head: HeadSettings = HeadSettings()
    autoencoder: AutoencoderSettings = Field(description="of the source `residual`; not trained without it")
    denoiser: DenoisingSettings = Field(
        default=DenoisingSettings(), description="of the source `denoised`; not trained without it"
    )
    denoised_size: int = Field(
        default=64, ge=8, description="longer side of the images that the source `denoised` looks at, pixels"
    )
    device: DeviceSettings = DeviceSettings()

    _split = field_validator("sources", "sizes", mode="before")(_listed)

    @field_validator("window")
    @classmethod
    def _rising(cls, window: tuple[float, float] | None) -> tuple[float, float] | None:
        if window is not None and not 0 < window[1] - window[0] < math.inf:
            raise ValueError("it must rise from one finite number to another")
        return window

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if not set(self.sources) - set(COMPARISONS):
            raise ValueError(f"sources needs at least one of {', '.join(s for s in SOURCES if s not in COMPARISONS)}")
        if "neighbours" in self.sources and not {"features", "pixels"} & set(self.sources):
            raise ValueError("the source neighbours compares features or pixels; name one of them too")
        if "neighbours" in self.sources and self.lesions.kind == "centre":
            raise ValueError("patches around candidates have no neighbours; leave the source neighbours out")
        if len(set(self.sources)) < len(self.sources):
            raise ValueError("sources names one twice")
        if "denoised" in self.sources and round(self.denoised_size / 2**self.denoiser.halvings) < 2:
            raise ValueError("denoised_size is too small for denoiser.halvings; set a larger one, or fewer of these")
        if not self.sizes or min(self.sizes) < 2 * self.patch:
            raise ValueError("sizes must each hold at least two patches")
        if "hidden" in self.sources and min(self.sizes) < 2 * self.patch * self.hidden.block:
            raise ValueError("sizes must each hold at least two squares of hidden.block patches a side")
        return self

    @property
    def wants_backbone(self) -> bool:
        """Whether a source looks at the features of the frozen backbone."""
        return bool({"features", "memory", "hidden"} & set(self.sources))

    @property
    def wants_healthy_odds(self) -> bool:
        """Whether patches are compared with healthy ones at their location."""
        return self.by_location and self.lesions.kind == "area"

    @property
    def wants_neighbours(self) -> bool:
        """Whether a source looks at the slices below and above."""
        return "neighbours" in self.sources
