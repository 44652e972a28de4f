"""How a network is trained: the numbers of the loop, and the devices it runs on."""

from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from anomae.errors import UserError

Beta = Annotated[float, Field(ge=0, lt=1)]


class TrainingSettings(BaseModel):
    """Length, batch, learning rate and schedule of one training.

    Exactly one of epochs and steps.  lr is the peak rate itself (nothing is multiplied by the batch).  Warm-up is
    linear over `warmup_epochs` (or `warmup_steps`), then half a cosine down to `min_lr`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    not_settable: ClassVar[tuple[str, ...]] = ("layer_decay",)  # it acts in LayeredTraining alone

    epochs: float | None = Field(default=None, gt=0)
    steps: int | None = Field(default=None, gt=0)
    batch: int = Field(default=128, gt=0)
    accumulate: int = Field(default=1, gt=0, description="micro-batches that one step is made of, on each device")
    lr: float = Field(gt=0)
    min_lr: float = Field(default=0.0, ge=0)
    warmup_epochs: float | None = Field(default=None, ge=0)
    warmup_steps: int | None = Field(default=None, ge=0)
    weight_decay: float = Field(default=0.05, ge=0)
    betas: tuple[Beta, Beta] = Field(default=(0.9, 0.999), description="of Adam's running means")
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    clip_norm: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give exactly one of epochs and steps (set the other to none)")
        if self.warmup_epochs is not None and self.warmup_steps is not None:
            raise ValueError("give at most one of warmup_epochs and warmup_steps")
        return self

    def total_steps(self, count: int) -> int:
        """Optimiser steps for `count` samples."""
        return self.steps if self.steps is not None else max(1, round((self.epochs or 0) * count / self.batch))

    def warmup(self, count: int) -> int:
        """Steps of warm-up for `count` samples, at most half of all."""
        steps = self.warmup_steps
        if steps is None:
            steps = round((self.warmup_epochs or 0) * count / self.batch)
        return min(steps, self.total_steps(count) // 2)


class LayeredTraining(TrainingSettings):
    """A training whose learning rate is `layer_decay` times as high with each layer further from the output."""

    not_settable: ClassVar[tuple[str, ...]] = ()


class DeviceSettings(BaseModel):
    """Where and in which precision to compute, and how often to keep a checkpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = Field(default=1, gt=0)
    nodes: int = Field(default=1, gt=0)
    strategy: Literal["ddp", "fsdp"] = Field(
        default="ddp", description="of several devices: each holds the network, or a part of it"
    )
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    checkpoint_minutes: float = Field(default=5.0, gt=0)


def checked_device(device: Any) -> DeviceSettings | None:
    """From what a program names as the device: settings, or "auto", "cpu" or "cuda"; None stays None.

    Raises UserError for anything else.
    """
    if device is None or isinstance(device, DeviceSettings):
        return device
    known = get_args(DeviceSettings.model_fields["accelerator"].annotation)
    if not isinstance(device, str) or device not in known:
        raise UserError(
            f"device is {device!r}; give {', '.join(map(repr, known))}, or anomae.training.settings.DeviceSettings."
        )
    return DeviceSettings.model_validate({"accelerator": device})
