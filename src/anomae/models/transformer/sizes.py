"""Named sizes of the networks."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    """Width (D), number of blocks, and attention heads of a transformer; width is a multiple of heads and of 4."""

    width: int
    depth: int
    heads: int


# name -> encoder (also the classifier's), decoder.  `base` is the paper's: ViT-Base, decoder 512 / 8 / 16.
SIZES: dict[str, tuple[Size, Size]] = {
    "nano": (Size(64, 2, 2), Size(32, 1, 2)),
    "micro": (Size(128, 4, 4), Size(64, 2, 2)),
    "tiny": (Size(192, 6, 3), Size(128, 2, 4)),
    "small": (Size(384, 12, 6), Size(256, 4, 8)),
    "base": (Size(768, 12, 12), Size(512, 8, 16)),
    "large": (Size(1024, 24, 16), Size(512, 8, 16)),
}
