"""The command `reproduce`: the paper's tables, chosen detectors, cross-validation."""

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from anomae.cli.app import app
from anomae.cli.options import AllowLeak, Detectors, Folds, Modality, Only, Seed, Seeds, SetOfDetector, Splits, Strict


@app.command()
def reproduce(
    data: Annotated[str, typer.Argument(help="brats2020, luna16, lgg, luna16-patches, demo or phantom.")],
    source: Annotated[
        Path | None, typer.Argument(help="Folder or file of the data set.  (demo: the installed pictures)")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of all runs and of the results page.")] = Path("reproduction"),
    only: Only = None,
    scale: Annotated[
        str, typer.Option(help="tiny, small (minutes per cell on two cores) or paper (needs a GPU).")
    ] = "small",
    modality: Modality = None,
    splits: Splits = None,
    allow_leak: AllowLeak = False,
    seed: Seed = 0,
    preparation: Annotated[
        str, typer.Option(help="plain (as in the paper) or brain (brain only, cropped, upright).")
    ] = "plain",
    detector: Detectors = None,
    seeds: Seeds = None,
    folds: Folds = None,
    settings: SetOfDetector = None,
    strict: Strict = False,
) -> None:
    """Reproduce the paper's tables and figures on your copy of a data set.  Continues where it was stopped."""
    from anomae.cli.settings import by_detector, listed_seeds
    from anomae.cli.summaries import cross_validated, reproduced
    from anomae.reproduction.run_all import reproduce as stage

    content = stage(
        data,
        source,
        out,
        only=only or (),
        scale=cast(Any, scale),
        modality=modality,
        splits=splits,
        allow_leak=allow_leak,
        seed=seed,
        preparation=cast(Any, preparation),
        detectors=detector or (),
        seeds=listed_seeds(seeds),
        folds=folds,
        overrides=by_detector(settings or []),
    )
    (reproduced if folds is None else cross_validated)(content, out, strict)
