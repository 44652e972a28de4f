"""The settings of f-AnoGAN; defaults are its authors' numbers, those of the architecture that is chosen."""

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from anomae.detectors.adversarial_settings import AdversarialSettings, Length

# What differs where the method's own authors are followed.
SCHLEGL: dict[str, Any] = {
    "width": 64,
    "dropout": 0.0,
    "betas": (0.0, 0.9),
    "training": Length(epochs=7, batch=64),
    "critic_batches": "fresh",
    "flip": True,
    "encoder_optimizer": "rmsprop",
    "encoder_lr": 5e-5,
    "encoder_training": Length(steps=50_000, batch=64),
}


class FAnoGanSettings(AdversarialSettings):
    """f-AnoGAN; what is not given is what the architecture's authors had, DEN's notebook or Schlegl et al.

    `arch` decides the other defaults, when the settings are made and by `--set arch=schlegl` too: what the recipe left
    as it was in the unified form, which is all but sizes and lengths at the smaller scales, becomes the authors'.
    Of a member of an ensemble `--set fanogan.arch=schlegl` changes the form alone.
    """

    shaping: ClassVar[tuple[str, ...]] = ("arch",)

    arch: Literal["unified", "schlegl"] = "unified"
    critic_batches: Literal["same", "fresh"] = Field(
        default="same", description="real images of the critic's steps: those of the generator's step, or new ones"
    )
    flip: bool = Field(default=False, description="mirror left and right at random in training")
    encoder_optimizer: Literal["adam", "rmsprop"] = "adam"
    encoder_lr: float = Field(default=1e-4, gt=0)
    encoder_training: Length = Length(epochs=20, batch=128)
    kappa: float = Field(default=1.0, ge=0, description="weight of the critic's features beside the pixels")
    score: Literal["residual_and_features", "residual"] = Field(
        default="residual_and_features", description="mean squared residual, with or without kappa times the features'"
    )

    @model_validator(mode="before")
    @classmethod
    def _as_the_authors_had_it(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("arch") == "schlegl":
            return {**SCHLEGL, **given}
        return given

    @classmethod
    def reshaped(cls, content: dict[str, Any]) -> dict[str, Any]:
        """Dumped settings whose `arch` was set: what they left as the unified form has it is the authors'."""
        if content["arch"] != "schlegl":
            return content
        unified = cls().model_dump()
        return {**content, **{name: value for name, value in SCHLEGL.items() if content[name] == unified[name]}}
