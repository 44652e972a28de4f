"""How scans become prepared slices: size, intensity, and which slices are kept."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from anomae.errors import UserError


class PrepareSettings(BaseModel):
    """All that decides what a prepared slice looks like; it depends on its own scan and on these alone.

    image_size: (h, w) pixels; one number for a square.
    preparation: "plain" (the whole slice is resized), "brain" (all but the brain is made black, the brain cropped and
    turned until it is upright, one turn a scan), "body" (the same for the body, not turned; also of single pictures).
    intensity: "none" (as read), "hu/100" (the released code on CT), "window" (window_hu -> 0..1, clipped), "percentile"
    (from the scan's minimum to its `percentile`-th percentile within the body -> 0..1, clipped), "full_range" (the
    range of an integer type of 8 or 16 bits -> 0..1; floats stay as they are), "median" (from the scan's minimum, 0,
    to the median within the brain or body, 0.5; cut at 1.25), "auto" (median for brain and body, percentile for plain).
    margin: of brain and body, what is left around the crop, as a share of its side.
    brain_mask: of brain, where the mask comes from: "given" (a file beside the scan, see anomae.cohorts.brain_files),
    "nonzero" (the scan is skull-stripped), "extract" (deepbet), "auto": the first of these that there is.
    bias_correction: of brain and body, "n4" takes the coil's uneven sensitivity out of MRI (anomae.slices.bias).
    slices: "all", or "mid": relative position 0.35 to 0.80 in the scan and over 15 % of the pixels above 0.08 of the
    scan's maximum.
    drop_empty_training: constant slices do not stay in the training split.
    neighbours: so many slices below and above each slice are channels beside it, lowest first; the slice itself stands
    in where there is none (the detector `anomae` has a source of this name, which is something else).  Those of healthy
    training and validation slices are healthy too.
    store_type: of slices.npy; None: float32 for intensity "none", else float16.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    image_size: tuple[int, int] = (96, 96)
    preparation: Literal["plain", "brain", "body"] = "plain"
    intensity: Literal["auto", "none", "hu/100", "window", "percentile", "full_range", "median"] = "auto"
    window_hu: tuple[float, float] = (-1000.0, 400.0)
    percentile: float = Field(default=99.8, gt=0, le=100)
    body_threshold: float = Field(default=0.08, ge=0, lt=1, description="share of a scan's range above which is tissue")
    margin: float = Field(default=0.06, ge=0, le=1)
    brain_mask: Literal["auto", "nonzero", "extract", "given"] = "auto"
    bias_correction: Literal["none", "n4"] = "none"
    resampling: Literal["bicubic", "bilinear"] = "bicubic"
    slices: Literal["all", "mid"] = "all"
    drop_empty_training: bool = False
    neighbours: int = Field(default=0, ge=0, le=3, description="slices on each side that are channels beside a slice")
    store_type: Literal["float16", "float32"] | None = None

    @field_validator("image_size", mode="before")
    @classmethod
    def _square(cls, value: Any) -> Any:
        return (value, value) if isinstance(value, int) else value

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if not all(8 <= side <= 4096 for side in self.image_size):
            raise ValueError("image_size must lie between 8 and 4096 pixels")
        if not self.window_hu[0] < self.window_hu[1]:
            raise ValueError("window_hu must be (low, high) with low below high")
        if self.bias_correction != "none" and self.preparation == "plain":
            raise ValueError("bias_correction needs preparation=brain or preparation=body")
        return self

    @property
    def scaled_by(self) -> Literal["none", "hu/100", "window", "percentile", "full_range", "median"]:
        """The intensity, "auto" resolved."""
        if self.intensity != "auto":
            return self.intensity
        return "percentile" if self.preparation == "plain" else "median"

    @property
    def stored_as(self) -> Literal["float16", "float32"]:
        """The number type of slices.npy."""
        return self.store_type or ("float32" if self.intensity == "none" else "float16")

    @property
    def seeks_brain_file(self) -> bool:
        """Whether a file beside a scan may tell its brain."""
        return self.preparation == "brain" and self.brain_mask in ("auto", "given")

    def channels_of(self, read: int) -> int:
        """Channels of a prepared slice, where a slice as read has `read`."""
        return read * (2 * self.neighbours + 1)

    def with_size(self, side: int) -> "PrepareSettings":
        """The same for squares of `side` pixels.  Raises UserError where that is out of range."""
        return self.model_copy(update={"image_size": (side, side)}).checked()

    def checked(self) -> "PrepareSettings":
        """The same, validated anew: what `model_copy(update=...)` changed was not.  Raises UserError."""
        return settings_from({name: getattr(self, name) for name in type(self).model_fields})


def settings_from(content: Mapping[str, Any]) -> PrepareSettings:
    """PrepareSettings from plain values.  Raises UserError with one sentence where they do not hold."""
    try:
        return PrepareSettings.model_validate(dict(content))
    except ValidationError as error:
        complaints = "; ".join(_complaint(entry["loc"], entry["msg"]) for entry in error.errors())
        raise UserError(f"These settings of the preparation do not hold: {complaints}.") from error


def _complaint(location: tuple[int | str, ...], message: str) -> str:
    key, sentence = ".".join(map(str, location)), message.removeprefix("Value error, ")
    return f"{key}: {sentence}" if key else sentence
