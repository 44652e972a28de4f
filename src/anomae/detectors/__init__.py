"""Every method behind one protocol, a file a method; DETECTORS names them."""

from typing import Any


def __getattr__(name: str) -> Any:
    """DETECTORS and load_detector, imported with torch only when they are asked for."""
    if name in ("DETECTORS", "load_detector"):
        from anomae.detectors import registry

        return getattr(registry, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
