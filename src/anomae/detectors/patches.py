"""Into which patches images can be cut, and what is said where they cannot."""

from collections.abc import Iterator

from anomae.errors import UserError

FEWEST, MOST = 16, 200  # patches: of fewer, what stays visible says next to nothing of the rest
COARSE = 100  # what a size that is recommended has at most, so that every recipe takes it


def fitting_patch(image_size: tuple[int, int], most: int = MOST) -> int | None:
    """The smallest patch side, at least 2 px, that divides both sides and leaves 16 to `most` patches; None: none."""
    height, width = image_size
    for patch in range(2, min(image_size) + 1):
        if height % patch == 0 and width % patch == 0 and FEWEST <= (height // patch) * (width // patch) <= most:
            return patch
    return None


def coarse_patch(image_size: tuple[int, int]) -> int | None:
    """The smallest patch side, at least 2 px, that divides both sides and leaves fewer than 16 patches; None: none."""
    height, width = image_size
    for patch in range(2, min(image_size) + 1):
        if height % patch == 0 and width % patch == 0 and (height // patch) * (width // patch) < FEWEST:
            return patch
    return None


def refuse_uncut(image_size: tuple[int, int], patch: int, setting: str) -> None:
    """Raise UserError where images of (h, w) pixels cannot be cut into patches.  setting: the patch side's name."""
    height, width = image_size
    if height % patch or width % patch:
        said = f"Images of {height}x{width} pixels cannot be cut into patches of {patch}"
        raise UserError(f"{said}; {advice(image_size, setting)}.")


def advice(image_size: tuple[int, int], setting: str) -> str:
    """What to do about a patch that images of (h, w) pixels cannot have; setting: the patch side's name."""
    patch = fitting_patch(image_size)
    if patch is not None:
        return f"set {setting} to a divisor of the sides, {patch} say"
    near = " or ".join(f"{height}x{width}" for height, width in nearest_sizes(image_size))
    return f"prepare them at another image_size, {near} say"


def nearest_sizes(image_size: tuple[int, int]) -> list[tuple[int, int]]:
    """The two sizes nearest to (h, w) pixels that every recipe can cut into patches, squares for a square."""

    def change(size: tuple[int, int]) -> tuple[int, tuple[int, int]]:
        return abs(size[0] - image_size[0]) + abs(size[1] - image_size[1]), size

    return sorted(set(_rounded(image_size)), key=change)[:2]


def _rounded(image_size: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """(h, w) rounded down and up to multiples of each patch side, where that leaves a fitting number of patches."""
    height, width = image_size
    square = height == width
    for patch in range(2, max(8, *image_size) + 1):
        for rows in (height // patch, height // patch + 1):
            for columns in (rows,) if square else (width // patch, width // patch + 1):
                if FEWEST <= rows * columns <= COARSE:
                    yield rows * patch, columns * patch
