"""The stage `pseudo`: every family of pseudo-lesions on the user's own healthy images, as one contact sheet."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw

from anomae.detectors.anomae.detector import Anomae
from anomae.detectors.anomae.samples import altered_by, families_of
from anomae.detectors.anomae.settings import AnomaeSettings
from anomae.detectors.anomae.window import Window
from anomae.errors import UserError
from anomae.files import written_whole
from anomae.models.pseudo_lesions.apply import changed_area
from anomae.runs.run import Run
from anomae.seeds import derive_seed
from anomae.slices.store import grey

ORANGE = (255, 140, 40)
TITLE_WIDTH, SMALLEST_SIDE, GAP = 130, 128, 2


def pseudo(
    run: Path | str, out: Path | str | None = None, *, store: Path | None = None, count: int = 10, seed: int = 0
) -> Path:
    """Draw `count` healthy training images, untouched and with a lesion of every family; returns the PNG.

    run: of the detector `anomae`, begun or fitted: its settings say what is drawn.  out: the picture; None:
    RUN/pseudo_lesions.png.  Of several channels their mean is drawn.  What was changed is outlined; families that the
    run does not learn from are marked.  Raises UserError where the run is of another detector or its store has no
    healthy training slice with content.
    """
    opened_run = Run(Path(run))
    facts = opened_run.facts()
    if facts.get("detector") != Anomae.name:
        raise UserError(f"{run} is a run of {facts.get('detector')}; only {Anomae.name} learns from these lesions.")
    settings = AnomaeSettings.model_validate(facts["settings"])
    opened = opened_run.open_store(store)
    rows = opened.rows("train", label=0)
    rows = rows[~opened.index.empty[rows]]
    if not len(rows):
        raise UserError(f"The store {opened.folder} has no healthy training slice with content.")
    # from the inner half of each stretch: the first and last slices of a scan show little
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, 2 * count + 1).astype(np.int64))[1::2]]
    window = Window.measured(opened.select(rows), settings)
    images = window.seen(torch.from_numpy(opened.select(chosen).read(slice(None))))  # (n, c, h, w)
    sheet = [_Row("healthy", grey(images.numpy()), None)]
    for family in families_of(settings.lesions, every=True):
        generator = torch.Generator().manual_seed(derive_seed(seed, "contact sheet", family))
        altered = altered_by(images, family, generator)
        title = family if family in families_of(settings.lesions) else f"{family} (not used)"
        sheet.append(_Row(title, grey(altered.numpy()), changed_area(images, altered).numpy()))
    target = Path(out) if out is not None else opened_run.folder / "pseudo_lesions.png"
    with written_whole(target) as temporary:
        _sheet(sheet).save(temporary, format="PNG")
    return target


@dataclass(frozen=True, slots=True)
class _Row:
    """Pictures (n, h, w) of 0..1 side by side; changed: (n, h, w), what is outlined in them."""

    title: str
    pictures: npt.NDArray[np.float32]
    changed: npt.NDArray[np.bool_] | None


def _sheet(rows: list[_Row]) -> Image.Image:
    first = rows[0].pictures
    larger = max(1, -(-SMALLEST_SIDE // first.shape[1]))
    height, width = (side * larger + GAP for side in first.shape[1:])
    page = Image.new("RGB", (TITLE_WIDTH + width * len(first), height * len(rows)), "white")
    pen = ImageDraw.Draw(page)
    for at, row in enumerate(rows):
        pen.text((4, at * height + height // 2), row.title, fill="black")
        for column, image in enumerate(row.pictures):
            outline = None if row.changed is None else _outlined(row.changed[column])
            picture = _coloured(image, outline).resize((width - GAP, height - GAP), Image.Resampling.NEAREST)
            page.paste(picture, (TITLE_WIDTH + column * width, at * height))
    return page


def _coloured(image: npt.NDArray[np.float32], outline: npt.NDArray[np.bool_] | None) -> Image.Image:
    grey = np.repeat((np.clip(image, 0, 1) * 255).astype(np.uint8)[..., None], 3, axis=2)
    if outline is not None:
        grey[outline] = ORANGE
    return Image.fromarray(grey)


def _outlined(changed: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The pixels just outside what was changed."""
    from scipy.ndimage import binary_closing, binary_dilation

    closed = binary_closing(np.pad(changed, 2), iterations=2)[2:-2, 2:-2] | changed
    return np.asarray(binary_dilation(closed) & ~closed, dtype=np.bool_)
