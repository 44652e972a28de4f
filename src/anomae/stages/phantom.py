"""Stage `phantom`: a made-up data set on disk, to try things out with."""

from pathlib import Path

from anomae.errors import UserError
from anomae.phantoms.layouts import usual_count, write_phantom_data_set
from anomae.progress import progress


def phantom(
    out: Path | str,
    *,
    layout: str = "brats2020",
    count: int | None = None,
    seed: int = 0,
    shape: tuple[int, int, int] | None = None,
    file_format: str | None = None,
    modality: str | None = None,
) -> Path:
    """Write `count` made-up patients into the new folder `out` and return it.

    layout: one of anomae.phantoms.layouts.LAYOUTS; the others: see write_phantom_data_set.
    Raises UserError where `out` exists and is not an empty folder, and for wrong options.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} exists and is not an empty folder; made-up scans are never mixed with other files.")
    with progress(f"phantom {layout}", count or usual_count(layout), "patients") as watch:
        write_phantom_data_set(
            out, layout, count=count, seed=seed, shape=shape, file_format=file_format, modality=modality, watch=watch
        )
    return out
