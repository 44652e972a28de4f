"""The settings of the paper's method: masked autoencoder, pseudo-abnormal module, anomaly classifier."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from anomae.training.settings import DeviceSettings, LayeredTraining, TrainingSettings


class Settings(BaseModel):
    """Typed, unchangeable, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _rising(percentiles: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= percentiles[0] < percentiles[1] <= 100:
        raise ValueError("percentiles must rise, from 0 to 100")
    return percentiles


# Of the training pixels: the range of prepared intensities that a network is shown.
Percentiles = Annotated[tuple[float, float], AfterValidator(_rising)]


def _of_the_area(scale: tuple[float, float]) -> tuple[float, float]:
    if not 0 < scale[0] <= scale[1] <= 1:
        raise ValueError("a crop's shares of the area must rise, from above 0 to 1")
    return scale


# Of the area of an image, what a random crop has at least and at most.
CropScale = Annotated[tuple[float, float], AfterValidator(_of_the_area)]


class AutoencoderSettings(Settings):
    """The masked autoencoder (paper section 3, eq. 1) and how its reconstruction is made for use."""

    size: str = Field(default="base", description="a name in anomae.models.transformer.sizes.SIZES")
    patch: int = Field(default=16, gt=0, description="side of a patch, pixels")
    mask_ratio: float = Field(default=0.75, ge=0, lt=1, description="alpha; 0: a plain autoencoder")
    loss_on: Literal["masked", "all"] = "masked"
    crop_scale: CropScale | None = Field(default=(0.7, 1.0), description="random resized crop: share of area")
    flip: bool = Field(default=True, description="mirror left and right at random in training")
    start: Path | None = Field(default=None, description="a published MAE checkpoint to start from")
    passes: int = Field(default=4, gt=0)
    masks: Literal["random", "covering"] = "random"
    use_mask_ratio: float | None = Field(default=None, ge=0, lt=1, description="alpha in use, if not that of training")
    paste: bool = Field(default=True, description="put the original pixels back where they were visible")
    error: Literal["mse", "mae", "ssim"] = Field(default="ssim", description="score without the classifier")
    ssim_range: float = Field(default=1.0, gt=0, description="data range of SSIM")
    training: TrainingSettings


class PseudoAbnormalSettings(Settings):
    """The pseudo-abnormal module (paper section 3): boxes in which intensity is multiplied by beta ~ U(0, 1)."""

    k_min: int = Field(default=1, gt=0)
    k_max: int = Field(default=10, gt=0)
    side_min: int = Field(default=10, gt=0, description="pixels of the prepared image")
    side_max: int = Field(default=40, gt=0)
    per_pixel: bool = False
    intensity_origin: float = Field(default=0.0, description="beta pulls towards this value")
    inside_body: bool = Field(default=False, description="centres of boxes on tissue only")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.k_min > self.k_max or self.side_min > self.side_max:
            raise ValueError("k_min must not be above k_max, nor side_min above side_max")
        return self


class ClassifierSettings(Settings):
    """The anomaly classifier (paper section 3): a ViT on what differs between an image and its reconstruction."""

    input: Literal["l1", "l2", "reconstruction", "image"] = Field(
        default="l1", description="'image': no masked autoencoder, the classifier sees the images themselves"
    )
    size: str = "base"
    patch: int = Field(default=16, gt=0)
    pooling: Literal["mean", "class"] = "mean"
    start: Literal["scratch", "encoder"] = "scratch"
    scale_input: bool = Field(default=False, description="divide by the spread of the input over the training normals")
    positives: Literal["same", "separate"] = Field(
        default="same", description="'separate': X' is made from a second reconstruction with other masks"
    )
    boxes: Literal["redrawn", "frozen"] = Field(default="redrawn", description="'frozen': drawn once for all epochs")
    empty: Literal["altered", "dropped"] = Field(
        default="altered",
        description="empty slices: 'altered' gives each its altered sample as any other; 'dropped' leaves both out",
    )
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    drop_path: float = Field(default=0.0, ge=0, lt=1)
    erase: float = Field(default=0.0, ge=0, le=1, description="probability of random erasing with noise")
    crop_scale: CropScale | None = None
    flip: bool = False
    choice: Literal["last", "validation_auroc"] = Field(
        default="last", description="'validation_auroc' chooses the checkpoint with labelled abnormal images"
    )
    training: LayeredTraining


class MaeSettings(Settings):
    """The masked autoencoder alone."""

    autoencoder: AutoencoderSettings
    device: DeviceSettings = DeviceSettings()


class MethodSettings(Settings):
    """All of the paper's method."""

    autoencoder: AutoencoderSettings
    pseudo_abnormal: PseudoAbnormalSettings = PseudoAbnormalSettings()
    classifier: ClassifierSettings
    device: DeviceSettings = DeviceSettings()
