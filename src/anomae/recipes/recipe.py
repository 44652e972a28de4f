"""The two profiles that every recipe has."""

from typing import Literal

Profile = Literal["paper", "released"]
PROFILES: tuple[Profile, ...] = ("paper", "released")
