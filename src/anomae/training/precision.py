"""Fabric's bf16, for networks that are trained in several threads of one process."""

from lightning_fabric.plugins.precision import MixedPrecision, Precision


class Bfloat16(MixedPrecision):
    """The same numbers.  It has no step of its own on the way back, which only a gradient scaler (of fp16) needs.

    With one, Fabric watches every way back by a flag that all threads share: what one of them ended another had begun.
    """

    backward = Precision.backward
