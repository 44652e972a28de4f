"""The command `score-archive`: everything that a manifest lists, by the workers of an engine."""

import json
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from anomae.cli.app import app
from anomae.cli.options import Device, PatientBound, Precision, SliceBound, Smoothed, Strict


@app.command("score-archive")
def score_archive(
    manifest: Annotated[
        str,
        typer.Argument(
            help="CSV or Parquet with a column file (path, URL that fsspec opens, or DICOMweb study), and patient."
        ),
    ],
    out: Annotated[Path, typer.Argument(help="Folder for the results, which all workers reach.")],
    run: Annotated[Path, typer.Option(help="Folder of the run, or a copy of its fitted folder.")],
    engine: Annotated[str, typer.Option(help="local, dask or ray.")] = "local",
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that score.  (default: one a core)")] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of each.  (default: the cores shared out)")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Of a Dask scheduler or Ray cluster that runs.  (default: one is started here)")
    ] = None,
    shard: Annotated[
        int, typer.Option(min=1, help="Lines of the manifest that are scored and written at a time.")
    ] = 64,
    maps: Annotated[str, typer.Option(help="Write the maps of all, flagged or none of the scans.")] = "all",
    slice_bound: SliceBound = 0.05,
    patient_bound: PatientBound = 0.10,
    threshold: Annotated[
        float | None, typer.Option(help="Flag above this score, in place of the threshold from healthy ones.")
    ] = None,
    smoothed: Smoothed = False,
    force: Annotated[bool, typer.Option(help="Flag scans too that the model was not made for.")] = False,
    retry: Annotated[bool, typer.Option(help="Also try again what is listed as failed.")] = False,
    device: Device = None,
    precision: Precision = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")] = False,
    strict: Strict = False,
) -> None:
    """Score a whole archive shard by shard into Parquet tables and maps.  Continues where it was stopped.

    A file that cannot be read, or that ends its worker, is listed in failed.csv, and the rest goes on.
    """
    from anomae.archive.score_archive import score_archive as stage
    from anomae.archive.tables import PASSED_OVER
    from anomae.cli.settings import device_settings
    from anomae.cli.summaries import ended
    from anomae.errors import UserError
    from anomae.files import read_json

    if maps not in ("all", "flagged", "none"):
        raise UserError(f"--maps is {maps!r}; it is all, flagged or none.")
    folder = stage(
        manifest,
        out,
        run=run,
        engine=engine,
        workers=workers,
        threads=threads,
        address=address,
        shard=shard,
        maps=cast(Any, maps),
        bounds=(slice_bound, patient_bound),
        threshold=threshold,
        smoothed=smoothed,
        force=force,
        retry=retry,
        device=device_settings(device, precision),
    )
    facts = read_json(folder / "archive.json")
    failed = sum(count for kind, count in facts["failed"].items() if kind != PASSED_OVER)
    if as_json:
        typer.echo(json.dumps({"out": str(folder), **facts}))
        raise typer.Exit(2 if strict and failed else 0)
    flagged, here = facts["flagged"], facts["this_command"]
    typer.echo(facts["rules"]["scan"]["sentence"])
    typer.echo(
        f"Flagged: {flagged['scans']} of {facts['scans']} scan(s), {flagged['patients']} of {facts['patients']} "
        f"patient(s); without a flag: {facts['without_flag']['scans']} scan(s)."
    )
    typer.echo(
        f"Scored now: {here['slices']} slice(s) in {here['seconds']:.1f} s, {here['slices_per_s']:.1f}/s, by "
        f"{here['processes']} process(es)."
    )
    for note in facts["notes"]:
        typer.echo(note)
    typer.echo(f"Tables: {folder / 'shards'}; failures: {folder / 'failed.csv'}")
    ended(facts["scans"], "scan(s)", [], [facts["first_failure"]] * failed, strict)
