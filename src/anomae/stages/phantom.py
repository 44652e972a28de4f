"""Stage `phantom`: a made-up data set on disk, to try things out with."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from anomae.errors import UserError
from anomae.locks import LOCK, locked
from anomae.phantoms.layouts import usual_count, write_phantom_data_set
from anomae.progress import progress

_UNFINISHED = ".part-phantom"


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
    """Write `count` made-up patients into the new folder `out` and return it; nothing is left of what was stopped.

    layout: one of anomae.phantoms.layouts.LAYOUTS; the others: see write_phantom_data_set.
    Raises UserError where `out` exists and is not an empty folder, or another process is writing it, and for wrong
    options.
    """
    out = Path(out)
    new = not out.exists()
    if not new and (not out.is_dir() or {path.name for path in out.iterdir()} - {LOCK, _UNFINISHED}):
        raise UserError(f"{out} exists and is not an empty folder; made-up scans are never mixed with other files.")
    patients = count or usual_count(layout)
    try:
        with locked(out), _moved_up(out) as made, progress(f"phantom {layout}", patients, "patients") as watch:
            write_phantom_data_set(
                made,
                layout,
                count=count,
                seed=seed,
                shape=shape,
                file_format=file_format,
                modality=modality,
                watch=watch,
            )
    except BaseException:
        if new and out.is_dir() and not any(out.iterdir()):
            out.rmdir()
        raise
    return out


@contextmanager
def _moved_up(out: Path) -> Iterator[Path]:
    """A folder in `out`, which may be another disk than what is beside it; its content goes up if the block ends well.

    What a killed process left there before is removed.
    """
    made = out / _UNFINISHED
    shutil.rmtree(made, ignore_errors=True)
    try:
        yield made
        for path in sorted(made.iterdir()):
            path.rename(out / path.name)
    finally:
        shutil.rmtree(made, ignore_errors=True)
