"""Commands about data: synthetic scans, and a first look at a data set."""

from pathlib import Path
from typing import Annotated

import typer

from anomae.cli.app import app
from anomae.cli.options import Cohort, Modality, Seed, Set, Source, Strict


@app.command()
def phantom(
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    layout: Annotated[
        str,
        typer.Option(help="brats2020, brats2023, luna16, lgg, dicom, folder, mvtec, arrays, bmad and others."),
    ] = "brats2020",
    count: Annotated[int | None, typer.Option(min=1, help="Number of patients. [default: 12; dicom: 1]")] = None,
    file_format: Annotated[str | None, typer.Option("--format", help="nii.gz, mha, nrrd, dicom, png, ...")] = None,
    modality: Annotated[str | None, typer.Option(help="MR or CT, of the layout dicom.")] = None,
    seed: Seed = 0,
) -> None:
    """Write synthetic scans with known lesions, in the layout of a data set, to try things out."""
    from anomae.stages.phantom import phantom as stage

    written = stage(out, layout=layout, count=count, seed=seed, file_format=file_format, modality=modality)
    from anomae.cli.summaries import made_up

    made_up(written)


@app.command("inspect-data")
def inspect_data(
    cohort: Cohort,
    source: Source,
    modality: Modality = None,
    settings: Set = None,
    strict: Strict = False,
) -> None:
    """Describe a data set: cases, patients, labels, the first scan's shape and range.  Writes nothing."""
    from anomae.cli.settings import collected
    from anomae.cli.summaries import inspected
    from anomae.stages.inspect_data import inspect_data as stage

    inspected(stage(cohort, source, modality=modality, options=collected(settings or [], None)), strict)
