"""The settings of an ensemble: its members, and the settings of each."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

from pydantic import BaseModel, Field, model_validator

from anomae.detectors.method import Method, Situation
from anomae.detectors.registry import method_named
from anomae.detectors.settings import Settings
from anomae.errors import UserError
from anomae.training.settings import DeviceSettings

MEMBERS = ("anomae", "dae")


class EnsembleSettings(Settings):
    """Which detectors judge together.

    settings: of each member, by name; of one that is missing, those of its recipe in `situation`, which holds the
    fields of anomae.detectors.method.Situation.
    """

    shaping: ClassVar[tuple[str, ...]] = ("members",)

    members: tuple[str, ...] = Field(default=MEMBERS, description="names of detectors, two or more")
    situation: dict[str, Any] = Field(description="what the recipes of the members look at")
    settings: dict[str, dict[str, Any]] = Field(default={}, description="of each member, by its name")
    device: DeviceSettings = Field(default=DeviceSettings(), description="of every member that has one")

    @model_validator(mode="before")
    @classmethod
    def _whole(cls, content: Any) -> Any:
        """Members as a list, and the settings of each of them and of no other.

        Raises UserError where a member is no detector, or its recipe refuses the situation.
        """
        if not isinstance(content, Mapping):
            return content
        members = content.get("members", MEMBERS)
        if isinstance(members, str):
            members = [part.strip() for part in members.split(",") if part.strip()]
        if not isinstance(members, Sequence) or len(members) < 2 or len(set(members)) < len(members):
            raise ValueError("members are two or more, each named once")
        device = DeviceSettings.model_validate(content.get("device", {}))
        given = content.get("settings", {})
        # A UserError, of a member's recipe say, goes through pydantic as it is: one sentence, wherever these are made.
        settings = {name: _settings(str(name), given.get(name), content, device) for name in members}
        situation = {**content["situation"], "image_size": list(content["situation"]["image_size"])}
        return {**content, "members": members, "situation": situation, "settings": settings}

    @property
    def not_settable(self) -> tuple[str, ...]:
        """What is the store's, and where members compute: where the ensemble does."""
        return ("situation", *(f"settings.{name}.device" for name in self.members))

    @property
    def settings_within(self) -> dict[str, BaseModel]:
        """The settings of the members by their dotted key, as their own classes have them."""
        return {f"settings.{name}": self.of(name) for name in self.members}

    def of(self, name: str) -> Any:
        """The settings of a member, as its own class has them."""
        return _type(_member(name)).model_validate(self.settings[name])


def _settings(name: str, given: Any, content: Mapping[str, Any], device: DeviceSettings) -> dict[str, Any]:
    method = _member(name)
    if given is None:
        situation = Situation(**{**content["situation"], "image_size": tuple(content["situation"]["image_size"])})
        usual = method.settings(situation)
    else:
        usual = _type(method).model_validate(given)
    if "device" in type(usual).model_fields:
        usual = usual.model_copy(update={"device": device})
    return usual.model_dump(mode="json")


def _member(name: str) -> Method:
    if name == "ensemble":
        raise UserError("An ensemble is no member of another.")
    return method_named(name)


def _type(method: Method) -> type[BaseModel]:
    """Of the class; the protocol's property is an instance's."""
    return cast(type[BaseModel], method.detector.settings_type)
