"""Rows of pictures: input, reconstruction, difference and map of chosen slices, all on one common intensity scale."""

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


@dataclass(frozen=True, slots=True)
class Strip:
    """A titled row of picture columns; each column has a caption and PNG pictures (name -> data address)."""

    title: str
    explanation: str
    columns: list[tuple[str, dict[str, str]]]


@dataclass(frozen=True, slots=True)
class Scales:
    """The common scales: what is black and what is white in images, and the top of differences and of maps."""

    image: tuple[float, float]
    difference: float
    map: tuple[float, float]


def choose_slices(labels: npt.NDArray[Any], scores: npt.NDArray[np.float64], count: int) -> dict[str, list[int]]:
    """Places of the slices to look at: highest-scored abnormal and normal, lowest-scored abnormal; `count` each."""
    falling = np.argsort(-scores, kind="stable")
    abnormal, normal = falling[labels[falling] == 1], falling[labels[falling] == 0]
    return {
        "abnormal_found": [int(place) for place in abnormal[:count]],
        "normal_flagged": [int(place) for place in normal[:count]],
        "abnormal_missed": [int(place) for place in abnormal[::-1][:count]],
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
) -> dict[str, str]:
    """Pictures (h, w) of one slice: input (with the outline of its lesion), reconstruction, difference, map."""
    column = {"input": grey_png(image, scales.image, lesion)}
    if reconstruction is not None:
        column["reconstruction"] = grey_png(reconstruction, scales.image)
        column["difference"] = heat_png(np.abs(image - reconstruction), (0.0, scales.difference))
    if map_ is not None:
        column["map"] = heat_png(map_, scales.map)
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
        + scale_sentence(scales, reconstructions=True, maps=False),
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
        f"A slice near mid-scan of some of the test scans; the outline of the {kind} as it was found is blue, and all "
        "outside it is black. " + scale_sentence(scales, reconstructions=False, maps=False),
        columns,
    )


def scale_sentence(scales: Scales, reconstructions: bool, maps: bool) -> str:
    """What black and white mean in the pictures."""
    low, high = scales.image
    text = f"One scale for all pictures: black {low:.3g}, white {high:.3g}"
    if reconstructions:
        text += f"; differences 0 to {scales.difference:.3g}"
    if maps:
        text += f"; maps {scales.map[0]:.3g} to {scales.map[1]:.3g}"
    return text + "."


def grey_png(
    image: Images,
    scale: tuple[float, float],
    outlined: npt.NDArray[np.bool_] | None = None,
    colour: tuple[int, int, int] = _ORANGE,
) -> str:
    """A grey PNG of (h, w) as a data address; what is outlined, such as a lesion, is so in `colour`."""
    grey = _bytes(image, scale)
    if outlined is None or not outlined.any():
        return _address(Image.fromarray(grey))
    coloured = np.repeat(grey[..., None], 3, axis=2)
    coloured[_outline(outlined)] = colour
    return _address(Image.fromarray(coloured))


def heat_png(values: Images, scale: tuple[float, float]) -> str:
    """A PNG of (h, w) from black over red to yellow, as a data address."""
    from matplotlib import colormaps

    picture = Image.fromarray(_bytes(values, scale)).convert("P")
    table = (colormaps["inferno"](np.arange(256))[:, :3] * 255).astype(np.uint8)
    picture.putpalette(table.tobytes())
    return _address(picture)


def _bytes(values: Images, scale: tuple[float, float]) -> npt.NDArray[np.uint8]:
    low, high = scale
    share = (np.nan_to_num(values.astype(np.float32)) - low) / (high - low)
    return np.asarray(np.clip(share, 0, 1) * 255, dtype=np.uint8)


def _outline(where: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The pixels just outside, so that nothing of what is outlined is covered."""
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
) -> list[Strip]:
    """The strips of the slices in `chosen`; the readers give the pictures (k, h, w) at these places, or None."""
    titles = {
        "abnormal_found": ("Highest-scored abnormal slices", "What the detector is surest of, and right."),
        "normal_flagged": ("Highest-scored normal slices", "The worst false alarms."),
        "abnormal_missed": ("Lowest-scored abnormal slices", "The worst misses."),
    }
    places = sorted({place for row in chosen.values() for place in row})
    if not places:
        return []
    found, healthy, heat, truth = images(places), reconstructions(places), maps(places), lesions(places)
    if found is None:
        return []
    scales = common_scales(found, healthy, heat)
    at = {place: number for number, place in enumerate(places)}
    sentence = scale_sentence(scales, healthy is not None, heat is not None)
    outlined = " The lesion is outlined in orange." if truth is not None else ""

    shown = [(name, row) for name, row in chosen.items() if row]

    def column(place: int) -> tuple[str, dict[str, str]]:
        one = at[place]
        pictures = picture_column(
            scales,
            found[one],
            None if healthy is None else healthy[one],
            None if heat is None else heat[one],
            None if truth is None else truth[one],
        )
        return caption(place), pictures

    return [
        # What black and white mean is the same in all of them, and said once.
        Strip(titles[name][0], titles[name][1] + said, [column(place) for place in row])
        for (name, row), said in zip(shown, (f" {sentence}{outlined}", "", ""), strict=False)
    ]
