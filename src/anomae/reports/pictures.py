"""Rows of pictures (images of slices): input, reconstruction, difference and map, all on one common scale."""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Images = npt.NDArray[np.float32]
_ORANGE, _BLUE = (255, 140, 40), (80, 170, 255)
_TURQUOISE = (63, 224, 208)  # anomae.reports.overlay_picture.FINDING
_VIOLET = (190, 130, 255)  # of what is not to be judged
_HATCH = 4  # pixels from line to line


@dataclass(frozen=True, slots=True)
class Strip:
    """A titled row of picture columns; each column has a caption and PNG pictures (name -> data address).

    sides: whether the pictures are seen from the feet, so that the patient's right is on the left: it is then marked.
    """

    title: str
    explanation: str
    columns: list[tuple[str, dict[str, str]]]
    sides: bool = False


@dataclass(frozen=True, slots=True)
class Scales:
    """The common scales: what is black and what is white in images, and the top of differences and of maps."""

    image: tuple[float, float]
    difference: float
    map: tuple[float, float]


def choose_slices(labels: npt.NDArray[Any], scores: npt.NDArray[np.float64], count: int) -> dict[str, list[int]]:
    """Indices of the slices to look at: highest-scored abnormal and normal, lowest-scored abnormal; `count` each."""
    falling = np.argsort(-scores, kind="stable")
    abnormal, normal = falling[labels[falling] == 1], falling[labels[falling] == 0]
    return {
        "true_positives": [int(index) for index in abnormal[:count]],
        "false_positives": [int(index) for index in normal[:count]],
        "false_negatives": [int(index) for index in abnormal[::-1][:count]],
    }


def common_scales(images: Images, reconstructions: Images | None = None, maps: Images | None = None) -> Scales:
    """One scale for all images (k, h, w) and their reconstructions, one for all differences, one for all maps."""
    low, high = (float(edge) for edge in np.percentile(images, (0.5, 99.7)))
    difference = 1.0
    if reconstructions is not None:
        difference = float(np.percentile(np.abs(images - reconstructions), 99.7))
    bottom, top = (0.0, 1.0) if maps is None else (float(edge) for edge in np.percentile(maps, (1, 99.7)))
    return Scales(
        (low, high if high > low else low + 1), difference or 1.0, (bottom, top if top > bottom else bottom + 1)
    )


def picture_column(
    scales: Scales,
    image: Images,
    reconstruction: Images | None = None,
    map_: Images | None = None,
    lesion: npt.NDArray[np.bool_] | None = None,
    map_name: str = "map",
    threshold: float | None = None,
    ignored: npt.NDArray[np.bool_] | None = None,
) -> dict[str, str]:
    """Pictures (h, w) of one slice: input (with the outline of its lesion), reconstruction, difference, `map_name`.

    threshold: regions of the map above it are findings, and outlined in it; None where there is none.  ignored: (h, w),
    what is not to be judged, and hatched in input and map; None: nothing.
    """
    column = {"input": grey_png(image, scales.image, lesion, hatched=ignored)}
    if reconstruction is not None:
        column["reconstruction"] = grey_png(reconstruction, scales.image)
        column["difference"] = heat_png(np.abs(image - reconstruction), (0.0, scales.difference))
    if map_ is not None:
        column[map_name] = heat_png(map_, scales.map, None if threshold is None else map_ > threshold, ignored)
    return column


def pseudo_abnormal_strip(samples: Mapping[str, Images], count: int) -> Strip:
    """What the classifier learned from: image, reconstruction, pseudo-abnormal and what it differs by (k, h, w)."""
    images, healthy, altered = (samples[name][:count] for name in ("images", "reconstructions", "pseudo_abnormal"))
    scales = common_scales(images, altered)
    columns = [
        (
            "",
            {
                "image": grey_png(image, scales.image),
                "reconstruction": grey_png(reconstruction, scales.image),
                "pseudo-abnormal": grey_png(made, scales.image),
                "difference": heat_png(np.abs(image - reconstruction), (0.0, scales.difference)),
                "difference, pseudo": heat_png(np.abs(image - made), (0.0, scales.difference)),
            },
        )
        for image, reconstruction, made in zip(images, healthy, altered, strict=True)
    ]
    return Strip(
        "What the classifier learned from",
        "Training images, their reconstructions, the reconstructions with boxes of altered intensity, and the absolute "
        "differences of image and reconstruction (normal) and of image and altered reconstruction (pseudo-abnormal). "
        + scale_sentence(scales, reconstructions=True),
        columns,
    )


def body_strip(kind: str, images: Images, bodies: npt.NDArray[np.bool_], captions: Sequence[str]) -> Strip:
    """What the preparation `kind` ("brain", "body") left: prepared images (k, h, w), without and with the outline."""
    scales = common_scales(images)
    columns = [
        (
            caption,
            {"prepared": grey_png(image, scales.image), f"{kind} outlined": grey_png(image, scales.image, body, _BLUE)},
        )
        for caption, image, body in zip(captions, images, bodies, strict=True)
    ]
    return Strip(
        f"What the preparation left: the {kind}",
        f"A slice near mid-scan of some of the test scans. The outline of the segmented {kind} is blue; everything "
        "outside it is black. " + scale_sentence(scales, reconstructions=False),
        columns,
    )


def scale_sentence(scales: Scales, reconstructions: bool, map_name: str = "") -> str:
    """What black and white mean in the pictures; map_name: what the maps' numbers are, "" without maps."""
    low, high = scales.image
    text = f"One scale for all pictures: black {low:.3g}, white {high:.3g}"
    if reconstructions:
        text += f"; differences 0 to {scales.difference:.3g}"
    if map_name:
        text += f"; {map_name} {scales.map[0]:.3g} to {scales.map[1]:.3g}"
    return text + "."


def grey_png(
    image: Images,
    scale: tuple[float, float],
    outlined: npt.NDArray[np.bool_] | None = None,
    colour: tuple[int, int, int] = _ORANGE,
    hatched: npt.NDArray[np.bool_] | None = None,
) -> str:
    """A grey PNG of (h, w) as a data address; what is outlined, such as a lesion, is so in `colour`.

    hatched: (h, w), what is not to be judged; None: nothing.
    """
    grey = _bytes(image, scale)
    if not (_marks(outlined) or _marks(hatched)):
        return _address(Image.fromarray(grey))
    coloured = np.repeat(grey[..., None], 3, axis=2)
    _mark(coloured, outlined, colour, hatched)
    return _address(Image.fromarray(coloured))


def heat_png(
    values: Images,
    scale: tuple[float, float],
    outlined: npt.NDArray[np.bool_] | None = None,
    hatched: npt.NDArray[np.bool_] | None = None,
) -> str:
    """A PNG of (h, w) from black over red to yellow, as a data address; findings are outlined in turquoise.

    hatched: (h, w), what is not to be judged; None: nothing.
    """
    from matplotlib import colormaps

    picture = Image.fromarray(_bytes(values, scale)).convert("P")
    table = (colormaps["inferno"](np.arange(256))[:, :3] * 255).astype(np.uint8)
    picture.putpalette(table.tobytes())
    if not (_marks(outlined) or _marks(hatched)):
        return _address(picture)
    coloured = np.array(picture.convert("RGB"))
    _mark(coloured, outlined, _TURQUOISE, hatched)
    return _address(Image.fromarray(coloured))


def _marks(where: npt.NDArray[np.bool_] | None) -> bool:
    return where is not None and bool(where.any())


def _mark(
    coloured: npt.NDArray[np.uint8],
    outlined: npt.NDArray[np.bool_] | None,
    colour: tuple[int, int, int],
    hatched: npt.NDArray[np.bool_] | None,
) -> None:
    """Draw hatches, and outlines above them, into `coloured` (h, w, 3)."""
    if hatched is not None:
        rows, columns = np.indices(hatched.shape)
        # The border pixels too, or a region narrower than the hatch would not be seen.
        coloured[hatched & (((rows + columns) % _HATCH == 0) | _outline(~hatched))] = _VIOLET
    if outlined is not None:
        coloured[_outline(outlined)] = colour


def _bytes(values: Images, scale: tuple[float, float]) -> npt.NDArray[np.uint8]:
    low, high = scale
    share = (np.nan_to_num(values.astype(np.float32)) - low) / (high - low)
    return np.asarray(np.clip(share, 0, 1) * 255, dtype=np.uint8)


def _outline(where: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The pixels just outside, so that nothing outlined is covered."""
    padded = np.pad(where, 1)
    beside = padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
    return beside & ~where


def _address(picture: Image.Image) -> str:
    page = io.BytesIO()
    picture.save(page, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(page.getvalue()).decode("ascii")


Reader = Callable[[list[int]], Images | None]


def slice_strips(
    chosen: Mapping[str, list[int]],
    caption: Callable[[int], str],
    images: Reader,
    reconstructions: Reader,
    maps: Reader,
    lesions: Callable[[list[int]], npt.NDArray[np.bool_] | None],
    map_name: str = "map",
    *,
    threshold: float | None = None,
    sides: bool = False,
    ignored: Callable[[list[int]], npt.NDArray[np.bool_] | None] = lambda _: None,
) -> list[Strip]:
    """The strips of the slices in `chosen`; the readers give the pictures (k, h, w) at these indices, or None.

    threshold: of findings, which are outlined in the maps.  sides: see `Strip`.  ignored: gives what is not to be
    judged (k, h, w), or None where nothing is so.
    """
    titles = {
        "true_positives": ("Highest-scored abnormal slices", "The clearest true positives."),
        "false_positives": ("Highest-scored normal slices", "The worst false positives."),
        "false_negatives": ("Lowest-scored abnormal slices", "The worst false negatives."),
    }
    indices = sorted({index for row in chosen.values() for index in row})
    if not indices:
        return []
    shown, healthy, heat, truth = images(indices), reconstructions(indices), maps(indices), lesions(indices)
    if shown is None:
        return []
    scales = common_scales(shown, healthy, heat)
    at = {index: number for number, index in enumerate(indices)}
    sentence = scale_sentence(scales, healthy is not None, "" if heat is None else map_name)
    outlined = " The lesion is outlined in orange." if truth is not None else ""
    if threshold is not None and heat is not None:
        outlined += f" Findings, where the map is above {threshold:.3g}, are outlined in turquoise."
    hidden = ignored(indices)
    if hidden is not None and hidden.any():
        outlined += " What is not to be judged (ignore) is hatched in violet, in inputs and maps."
    if sides:
        outlined += " R and L: the patient's right and left."

    rows = [(name, row) for name, row in chosen.items() if row]

    def column(index: int) -> tuple[str, dict[str, str]]:
        one = at[index]
        pictures = picture_column(
            scales,
            shown[one],
            None if healthy is None else healthy[one],
            None if heat is None else heat[one],
            None if truth is None else truth[one],
            map_name,
            threshold,
            None if hidden is None else hidden[one],
        )
        return caption(index), pictures

    return [
        # What black and white mean is the same in all of them, and said once.
        Strip(titles[name][0], titles[name][1] + said, [column(index) for index in row], sides)
        for (name, row), said in zip(rows, (f" {sentence}{outlined}", "", ""), strict=False)
    ]
