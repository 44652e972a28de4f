"""What the classifier sees of an image and its reconstruction (paper Table 2b)."""

from typing import Literal

from torch import Tensor


def difference(images: Tensor, reconstructions: Tensor, kind: Literal["l1", "l2", "reconstruction"]) -> Tensor:
    """(B, C, H, W): |X - X^| (l1), (X - X^)^2 (l2), or X^ itself; (B, C, H, W) each."""
    if kind == "l1":
        return (images - reconstructions).abs()
    if kind == "l2":
        return (images - reconstructions).square()
    return reconstructions
