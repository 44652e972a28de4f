"""The command `reproduce`: the paper's tables, chosen detectors, cross-validation."""

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from anomae.cli.app import app
from anomae.cli.options import AllowLeak, Detectors, Folds, Modality, Only, Seed, Seeds, SetOfDetector, Splits


@app.command()
def reproduce(
    data: Annotated[str, typer.Argument(help="brats2020, luna16, lgg, luna16-patches, demo or phantom.")],
    source: Annotated[Path | None, typer.Argument(help="Where its files lie.  [demo: the installed pictures]")] = None,
    out: Annotated[Path, typer.Option(help="Folder of all runs and of the page.")] = Path("reproduction"),
    only: Only = None,
    scale: Annotated[str, typer.Option(help="tiny, small (minutes a cell on two cores) or paper (a GPU).")] = "small",
    modality: Modality = None,
    splits: Splits = None,
    allow_leak: AllowLeak = False,
    seed: Seed = 0,
    preparation: Annotated[
        str, typer.Option(help="plain (as the paper has it) or brain (all but the brain black, cropped, upright).")
    ] = "plain",
    detector: Detectors = None,
    seeds: Seeds = None,
    folds: Folds = None,
    settings: SetOfDetector = None,
) -> None:
    """The paper's tables and figures on your copy of a data set, baselines included; a stopped command goes on."""
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
    (reproduced if folds is None else cross_validated)(content, out)
