"""Stage `phantom`: a made-up data set on disk, to try things out with."""

from pathlib import Path

from anomae.errors import UserError
from anomae.phantoms.layouts import write_phantom_data_set
from anomae.progress import progress


def phantom(
    out: Path | str,
    *,
    layout: str = "brats2020",
    count: int = 12,
    seed: int = 0,
    shape: tuple[int, int, int] | None = None,
    file_format: str | None = None,
) -> Path:
    """Write `count` made-up patients into the new folder `out` and return it.

    layout: one of anomae.phantoms.layouts.LAYOUTS ("brats2020", "folder" and so on); shape: (z, y, x) of every
    scan, None: small; file_format: such as "nii.gz", "dicom" or "png", None: the layout's usual one; see
    write_phantom_data_set.  Raises UserError where `out` exists and is not an empty folder, and for wrong options.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} exists and is not an empty folder; made-up scans are never mixed with other files.")
    with progress(f"phantom {layout}", count, "patients") as watch:
        write_phantom_data_set(out, layout, count=count, seed=seed, shape=shape, file_format=file_format, watch=watch)
    return out
