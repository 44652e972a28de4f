"""The stage `pseudo`: every family of pseudo-lesions on the user's own healthy images, as one contact sheet."""

from pathlib import Path

import numpy as np

from anomae.detectors.anomae.shown_samples import NAME, settings_among, shown_samples
from anomae.errors import UserError
from anomae.files import written_whole
from anomae.reports.contact_sheet import SheetRow, contact_sheet
from anomae.runs.run import Run
from anomae.slices.store import grey


def pseudo(
    run: Path | str, out: Path | str | None = None, *, store: Path | None = None, count: int = 10, seed: int = 0
) -> Path:
    """Draw `count` healthy training images, untouched and with a lesion of every family; returns the PNG.

    run: of the detector `anomae`, or of an ensemble that it is a member of, begun or fitted: its settings say what is
    drawn.  out: the picture; None: RUN/pseudo_lesions.png.  Of several channels their mean is drawn.  What was changed
    is outlined; families that the run does not learn from are marked, and what counts as normal (the blobs and vessels
    beside candidates) is called so.  Raises UserError where the run is of another detector or its store has no healthy
    training slice with content.
    """
    opened_run = Run(Path(run))
    facts = opened_run.facts()
    settings = settings_among(str(facts.get("detector")), facts["settings"])
    if settings is None:
        raise UserError(f"{run} is a run of {facts.get('detector')}; only {NAME} learns from these lesions.")
    opened = opened_run.open_store(store)
    rows = opened.learnable("train")
    rows = rows[~opened.index.empty[rows]]
    if not len(rows):
        raise UserError(f"The store {opened.folder} has no healthy training slice with content.")
    # from the inner half of each stretch: the first and last slices of a scan show little
    chosen = np.unique(np.linspace(0, len(rows) - 1, 2 * count + 1).astype(np.int64))[1::2]
    sheet = [
        SheetRow(
            one.title, grey(one.images.numpy()), None if one.changed is None else one.changed.numpy(), normal=one.normal
        )
        for one in shown_samples(opened.select(rows), chosen, settings, seed)
    ]
    target = Path(out) if out is not None else opened_run.folder / "pseudo_lesions.png"
    with written_whole(target) as temporary:
        contact_sheet(sheet).save(temporary, format="PNG")
    return target
