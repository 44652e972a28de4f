"""A method in one place: its name, its class, and the settings that a recipe gives it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from anomae.detectors.protocol import Detector
from anomae.errors import UserError
from anomae.suggestions import nearest_sentence

DEFAULT = "anomae"  # taken where no detector is named
PAPERS = "mae-classifier"  # the paper's method
Scale = Literal["tiny", "small", "paper"]
SCALES: tuple[Scale, ...] = ("tiny", "small", "paper")
Profile = Literal["paper", "released"]
PROFILES: tuple[Profile, ...] = ("paper", "released")
# Recipes that are not `small` in what they cost.
_SCALES_OF_RECIPES: dict[str, Scale] = {
    "brats2020": "paper",
    "luna16": "paper",
    "paper": "paper",
    "phantom": "tiny",
    "tiny": "tiny",
}


def scale_of(recipe: str) -> Scale:
    """The scale that goes with a recipe: `small` unless it is of the paper's size, or a trial."""
    return _SCALES_OF_RECIPES.get(recipe, "small")


@dataclass(frozen=True, slots=True)
class Situation:
    """What a recipe may look at.

    recipe: its name, one of anomae.detectors.mae_classifier.recipes.RECIPES.  profile: of the paper's method.
    image_size: (h, w) of the prepared images.  channels: c.  aligned: a midline lies in the middle of the images.
    modality: of the scans, "" where unknown.
    """

    recipe: str
    profile: Profile
    image_size: tuple[int, int]
    channels: int = 1
    aligned: bool = False
    modality: str = ""

    @property
    def scale(self) -> Scale:
        """What the recipe may cost."""
        return scale_of(self.recipe)


@dataclass(frozen=True, slots=True)
class Method:
    """detector: its class.  recipe: its settings in a situation, see `settings`.

    profiles: those of the paper that it has; a baseline has "paper" alone.
    """

    detector: type[Detector]
    recipe: Callable[[Situation], BaseModel]
    profiles: tuple[Profile, ...] = ("paper",)

    @property
    def name(self) -> str:
        """As users type it."""
        return str(self.detector.name)  # of the class; the protocol's property is what is read of an instance

    def settings(self, situation: Situation) -> BaseModel:
        """What the recipe gives in a situation.

        Raises UserError for a profile that there is not, or that this method has not; and what the recipe raises, for
        a name that it does not know.
        """
        if situation.profile not in PROFILES:
            near = nearest_sentence(situation.profile, PROFILES)
            raise UserError(f"There is no profile {situation.profile!r}. {near}")
        if situation.profile not in self.profiles:
            raise UserError(
                f"The profile {situation.profile!r} is of the paper's method: give it with --detector {PAPERS}."
            )
        return self.recipe(situation)


def by_scale(kind: type[BaseModel], changes: dict[Scale, dict[str, Any]]) -> Callable[[Situation], BaseModel]:
    """A recipe that knows scales only: the defaults of `kind`, with these changes at a scale."""
    return lambda situation: kind.model_validate(changes.get(situation.scale, {}))
