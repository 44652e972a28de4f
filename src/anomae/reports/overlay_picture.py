"""One overlay: a slice in grey, beside it the same with what the detector marks in colour above it.

Drawn with Pillow: eight such pictures a scan took longer than scoring it where matplotlib drew them.
"""

import math
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from anomae.files import written_whole

FINDING = "#3fe0d0"  # the outline of findings, on pages too: no colour of the maps is near it
CLEAR_BELOW = 0.1  # share of the colour scale below which the scan alone is seen
_KEY = "anomae findings above"  # in the PNG: by which threshold it was drawn
_ACROSS, _TITLE, _FOOT, _BESIDE = 420, 35, 32, 100  # pixels: a panel and its margin; above, below and right of both
_MARGIN = 5
_MOST_TICKS = 8
_INK, _PALE = "#1f2933", "#9aa5b1"


def draw_overlay(
    path: Path,
    image: npt.NDArray[np.float32],
    heat: npt.NDArray[np.float32],
    *,
    grey: tuple[float, float],
    heat_top: float,
    title: str,
    map_name: str,
    aspect: float = 1.0,
    threshold: float | None = None,
    without: str = "",
    slice_of: tuple[int, int] | None = None,
    sides: bool = False,
) -> None:
    """Write a PNG to `path`.

    image, heat: (h, w), of the same pixels.  grey: the values of `image` drawn black and white.  heat_top: the value
    of `heat` at the upper end of the colour bar, the same for all pictures that are to be compared; what is below a
    tenth of it stays grey.  aspect: height of a pixel over its width.  map_name: what `heat` is.  threshold: of
    findings, which are outlined.  without: why there are none, said where there is no threshold.  slice_of: the number
    of the slice, counted from the feet, and how many there are.  sides: mark the patient's right, which is on the left,
    and left.
    """
    rows, columns = image.shape
    shape = float(np.clip(rows * aspect / columns, 0.4, 2.5))  # height of a panel whose width is 1
    high = round(shape * _ACROSS)
    canvas = Image.new("RGB", (2 * _ACROSS + _BESIDE, _TITLE + high + _FOOT), "white")
    draw = ImageDraw.Draw(canvas)
    middle = canvas.width // 2
    draw.text((middle, 6), _cut(title, 14, canvas.width - 20), "black", _font(14), anchor="ma")
    top = heat_top if heat_top > 0 else 1.0
    scale = min((_ACROSS - 2 * _MARGIN) / columns, (high - 2 * _MARGIN) / (rows * aspect))
    size = (max(1, round(scale * columns)), max(1, round(scale * rows * aspect)))
    low, white = grey
    levels = np.clip((image - low) / (max(white, low + 1e-6) - low) * 255, 0, 255).round().astype(np.uint8)
    plain = Image.fromarray(levels).resize(size, Image.Resampling.BOX).convert("RGBA")
    marked = Image.fromarray((coloured(heat, top) * 255).round().astype(np.uint8)).resize(size, Image.Resampling.BOX)
    marked = Image.alpha_composite(plain, marked)
    _outline(marked, heat, threshold)
    for start, panel in ((0, plain), (_ACROSS, marked)):
        corner = (start + (_ACROSS - size[0]) // 2, _TITLE + (high - size[1]) // 2)
        canvas.paste(panel.convert("RGB"), corner)
        if sides:
            _mark_sides(draw, corner, size)
    _draw_scale(canvas, top, map_name, threshold, _TITLE + high // 10, _TITLE + high - high // 10)
    line = canvas.height - _FOOT // 2
    if slice_of is not None:
        _draw_position(draw, line, *slice_of)
    if threshold is not None:
        draw.line((_ACROSS + 9, line, _ACROSS + 38, line), FINDING, 2)
        told = f"finding: above {threshold:.4g}" + ("" if (heat > threshold).any() else " (none in this slice)")
        draw.text((_ACROSS + 47, line), told, "black", _font(12), anchor="lm")
    elif without:
        draw.text((_ACROSS + 9, line), without, "black", _font(12), anchor="lm")
    kept = PngInfo()
    kept.add_text(_KEY, said(threshold))
    with written_whole(path) as temporary:
        canvas.save(temporary, "PNG", pnginfo=kept, compress_level=4)


def said(threshold: float | None) -> str:
    """How a picture says by which threshold it was drawn."""
    return "none" if threshold is None else repr(float(threshold))


def threshold_of(picture: Path) -> str:
    """By which threshold the findings of an overlay were outlined; "" in a picture of an earlier version."""
    with Image.open(picture) as opened:
        return str(opened.info.get(_KEY, ""))


def coloured(heat: npt.NDArray[np.float32], top: float) -> npt.NDArray[np.float64]:
    """A map (h, w) as colours (h, w, 4) to be laid over its image: clear below a tenth of `top`."""
    from matplotlib import colormaps

    colours: npt.NDArray[np.float64] = colormaps["inferno"](np.clip(heat / top, 0.0, 1.0))
    colours[..., 3] = np.clip((heat / top - CLEAR_BELOW) / 0.5, 0.0, 0.75)
    return colours


def _outline(panel: Image.Image, heat: npt.NDArray[Any], threshold: float | None) -> None:
    """Draw the border of the regions of `heat` above `threshold` into a panel: a bright line with dark edges."""
    if threshold is None or not (heat > threshold).any():
        return
    inside = Image.fromarray(np.where(heat > threshold, np.uint8(255), np.uint8(0)))
    # A pixel that is smaller than one of the panel is seen too; the image's edge is a border.
    shown = np.pad(np.asarray(inside.resize(panel.size, Image.Resampling.BOX)) > 0, 2)
    for reach, colour, strength in ((2, "black", 128), (1, FINDING, 255)):
        band = (_grown(shown, reach) & _grown(~shown, reach))[2:-2, 2:-2]
        panel.paste(Image.new("RGBA", panel.size, colour), (0, 0), Image.fromarray(band.astype(np.uint8) * strength))


def _grown(mask: npt.NDArray[np.bool_], reach: int) -> npt.NDArray[np.bool_]:
    """The mask (h, w) and all within `reach` pixels of it, side by side or one above the other or across."""
    for _ in range(reach):
        wide = mask.copy()
        wide[1:] |= mask[:-1]
        wide[:-1] |= mask[1:]
        mask = wide.copy()
        mask[:, 1:] |= wide[:, :-1]
        mask[:, :-1] |= wide[:, 1:]
    return mask


def _mark_sides(draw: ImageDraw.ImageDraw, corner: tuple[int, int], size: tuple[int, int]) -> None:
    """Write R and L at the edges of a slice that is seen from the feet: the patient's right is on the left."""
    (left, top), (width, height) = corner, size
    for letter, across, anchor in (("R", 0.02, "lm"), ("L", 0.98, "rm")):
        at = (left + across * width, top + height / 2)
        draw.text(at, letter, "white", _font(13, bold=True), anchor=anchor, stroke_width=2, stroke_fill="black")


def _draw_scale(
    canvas: Image.Image, top: float, map_name: str, threshold: float | None, upper: int, lower: int
) -> None:
    """The colour bar from 0 to `top`, right of the panels."""
    from matplotlib import colormaps

    draw, left, right = ImageDraw.Draw(canvas), 2 * _ACROSS + 5, 2 * _ACROSS + 24
    colours = colormaps["inferno"](np.linspace(1, 0, lower - upper))[:, None, :3] * 255
    bar = Image.fromarray(colours.round().astype(np.uint8)).resize((right - left, lower - upper))
    canvas.paste(bar, (left, upper))
    draw.rectangle((left, upper, right, lower), outline="black")
    ticks, labels = _ticks(top)
    for tick, label in zip(ticks, labels, strict=True):
        at = lower - (lower - upper) * tick / top
        draw.line((right, at, right + 5, at), "black")
        draw.text((right + 8, at), label, "black", _font(11), anchor="lm")
    if threshold is not None and threshold <= top:
        at = lower - (lower - upper) * threshold / top
        draw.line((left, at, right, at), FINDING, 2)
    name = _cut(map_name, 11, canvas.height)
    said_up = Image.new("RGB", (int(_font(11).getlength(name)) + 1, 16), "white")
    ImageDraw.Draw(said_up).text((0, 8), name, "black", _font(11), anchor="lm")
    said_up = said_up.rotate(90, expand=True)
    canvas.paste(said_up, (canvas.width - 20, max(0, (upper + lower - said_up.height) // 2)))


def _ticks(top: float) -> tuple[list[float], list[str]]:
    """Round numbers from 0 to `top`, and how they are written."""
    power = 10.0 ** math.floor(math.log10(top / _MOST_TICKS))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if top / (factor * power) <= _MOST_TICKS)
    ticks = [step * number for number in range(int(top / step * (1 + 1e-9)) + 1)]
    decimals = max(0, -math.floor(math.log10(step) + 1e-9) + (1 if abs(step / power - 2.5) < 1e-6 else 0))
    plain = decimals <= 4 and top < 1e6
    return ticks, [f"{tick:.{decimals}f}" if plain else f"{tick:.3g}" for tick in ticks]


def _draw_position(draw: ImageDraw.ImageDraw, line: int, number: int, count: int) -> None:
    """A line from feet to head with the slice on it."""
    start, end = 51, 224
    draw.text((start - 8, line), "feet", "black", _font(12), anchor="rm")
    draw.text((end + 6, line), "head", "black", _font(12), anchor="lm")
    draw.line((start, line, end, line), _PALE, 2)
    at = start + (end - start) * number / max(count - 1, 1)
    draw.ellipse((at - 4, line - 4, at + 4, line + 4), _INK)
    draw.text((end + 48, line), f"slice {number} of {count}", "black", _font(12), anchor="lm")


def _cut(text: str, size: int, width: int) -> str:
    """The text, its end left out where it is wider than so many pixels."""
    whole = " ".join(text.splitlines())
    if _font(size).getlength(whole) <= width:
        return whole
    while whole and _font(size).getlength(whole + "…") > width:
        whole = whole[:-1]
    return whole + "…"


@lru_cache(maxsize=8)
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib brings along."""
    package = find_spec("matplotlib")
    assert package is not None
    assert package.origin is not None
    fonts = Path(package.origin).parent / "mpl-data" / "fonts" / "ttf"
    return ImageFont.truetype(str(fonts / f"DejaVuSans{'-Bold' if bold else ''}.ttf"), size)
