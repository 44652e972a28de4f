"""A contact sheet: rows of small pictures with a title each, and outlines around what was changed in them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

ABNORMAL, NORMAL = (255, 140, 40), (90, 170, 255)  # outlines: orange and light blue
TITLE_WIDTH, SMALLEST_SIDE, GAP = 130, 128, 2


@dataclass(frozen=True, slots=True)
class SheetRow:
    """Pictures (n, h, w) of 0..1 side by side; changed: (n, h, w) bool, what is outlined in them.

    normal: what was changed counts as healthy, and is outlined in another colour.
    """

    title: str
    pictures: npt.NDArray[np.float32]
    changed: npt.NDArray[np.bool_] | None = None
    normal: bool = False


def contact_sheet(rows: Sequence[SheetRow]) -> Image.Image:
    """The sheet of these rows, one or more, whose pictures are all of one size and number.

    Small pictures are enlarged by whole numbers to at least 128 pixels a side, so that every pixel is seen.
    """
    first = rows[0].pictures
    larger = max(1, -(-SMALLEST_SIDE // first.shape[1]))
    height, width = (side * larger + GAP for side in first.shape[1:])
    page = Image.new("RGB", (TITLE_WIDTH + width * len(first), height * len(rows)), "white")
    pen = ImageDraw.Draw(page)
    for at, row in enumerate(rows):
        pen.text((4, at * height + height // 2), row.title, fill="black")
        for column, image in enumerate(row.pictures):
            outline = None if row.changed is None else _outline(row.changed[column])
            picture = _coloured(image, outline, NORMAL if row.normal else ABNORMAL)
            picture = picture.resize((width - GAP, height - GAP), Image.Resampling.NEAREST)
            page.paste(picture, (TITLE_WIDTH + column * width, at * height))
    return page


def _coloured(
    image: npt.NDArray[np.float32], outline: npt.NDArray[np.bool_] | None, colour: tuple[int, int, int]
) -> Image.Image:
    shown = np.repeat((np.clip(image, 0, 1) * 255).astype(np.uint8)[..., None], 3, axis=2)
    if outline is not None:
        shown[outline] = colour
    return Image.fromarray(shown)


def _outline(changed: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The pixels just outside what was changed."""
    from scipy.ndimage import binary_closing, binary_dilation

    closed = binary_closing(np.pad(changed, 2), iterations=2)[2:-2, 2:-2] | changed
    return np.asarray(binary_dilation(closed) & ~closed, dtype=np.bool_)
