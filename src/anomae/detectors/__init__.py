"""Every method behind one protocol and one registry: DETECTORS names them, load_detector reads a fitted one."""

from anomae.detectors.registry import DETECTORS, load_detector

__all__ = ["DETECTORS", "load_detector"]
