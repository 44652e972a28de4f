"""What pages are made of: templates, scripts and styles of this room, and how bytes are put into a page."""

import base64
import gzip
from functools import cache
from importlib.resources import files
from typing import Any

from markupsafe import Markup

NIIVUE = "0.69.0"
NOT_CLINICAL = (
    "For research only. Not for clinical use: this is not a medical device; do not base a decision about a patient on "
    "it."
)


def environment() -> Any:
    """The templates of this room; every text is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    room = Environment(
        loader=PackageLoader("anomae.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    room.filters |= {"short": short, "millimetre": millimetre}
    room.globals |= {"asset": asset, "not_clinical": NOT_CLINICAL, "niivue_version": NIIVUE}
    return room


def short(value: float) -> str:
    """A number in four significant digits."""
    return f"{value:.4g}"


def millimetre(value: float) -> str:
    """A coordinate to a tenth of a millimetre, to a whole one from 100 on: three such stand side by side."""
    return f"{value:.0f}" if abs(value) >= 99.95 else f"{value:.1f}"


@cache
def asset(name: str) -> Markup:
    """A script or style of this room, put into a page as it is."""
    return Markup(files("anomae.pages").joinpath("assets", name).read_text(encoding="utf-8"))


@cache
def viewer_bundle() -> str:
    """NiiVue as gzipped base64, a megabyte less than its text; the page unpacks it."""
    content = files("anomae.pages").joinpath("assets", f"niivue-{NIIVUE}.umd.js").read_bytes()
    return text_of(gzip.compress(content, 9, mtime=0))


@cache
def viewer_licence() -> str:
    """The licences of NiiVue and of what it bundles, to be shown wherever it is."""
    return files("anomae.pages").joinpath("assets", "LICENSE-niivue.txt").read_text(encoding="utf-8")


def text_of(content: bytes) -> str:
    """Bytes as base64."""
    return base64.b64encode(content).decode("ascii")
