"""The commands of the main job: each takes its arguments and calls one stage, which is imported only then."""

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from anomae.cli.app import app
from anomae.cli.options import (
    AllowLeak,
    Cohort,
    DetectorName,
    Device,
    DicomKinds,
    Engine,
    FromToml,
    Modality,
    MovedStore,
    PatientBound,
    Precision,
    Profile,
    Recipe,
    RunFolder,
    Seed,
    Series,
    Set,
    SliceBound,
    Smoothed,
    Source,
    Split,
    Splits,
    StoreFolder,
    Strict,
    UidRoot,
)


@app.command()
def prepare(
    cohort: Cohort,
    source: Source,
    store: StoreFolder,
    modality: Modality = None,
    splits: Splits = None,
    split: Split = None,
    allow_leak: AllowLeak = False,
    seed: Seed = 0,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that read scans.  (default: one per core)")
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(help="Of cohort folder: CSV with columns file or patient, and label, split, mask, site."),
    ] = None,
    settings: Set = None,
    file: FromToml = None,
    series: Series = None,
    strict: Strict = False,
) -> None:
    """Read scans and write a store of prepared slices, split by patient.

    A stopped command continues where it was; a damaged scan is listed and skipped.
    """
    from anomae.cli.settings import cohort_and_preparation, collected, series_option
    from anomae.stages.prepare import prepare as stage

    options, chosen = cohort_and_preparation(cohort, settings or [], file)
    options |= ({} if table is None else {"table": str(table)}) | series_option(cohort, series)
    opened = stage(
        cohort,
        source,
        store,
        modality=modality,
        splits=splits,
        split=split,
        allow_leak=allow_leak,
        seed=seed,
        settings=chosen,
        options=options,
        workers=workers,
    )
    from anomae.cli.summaries import prepared

    prepared(opened, strict, hint="preparation" not in collected(settings or [], file))


@app.command()
def fit(
    store: StoreFolder,
    run: RunFolder,
    detector: DetectorName = "anomae",
    recipe: Recipe = None,
    profile: Profile = "paper",
    seed: Seed = 0,
    device: Device = None,
    devices: Annotated[
        int, typer.Option(min=1, help="Number of devices (processes on a CPU) that share the work.")
    ] = 1,
    precision: Precision = None,
    keep_cache: Annotated[bool, typer.Option(help="Keep the training reconstructions in RUN/cache.")] = False,
    settings: Set = None,
    file: FromToml = None,
) -> None:
    """Fit a detector on the healthy training slices of a store.  Continues where an earlier fit stopped."""
    from anomae.cli.settings import collected
    from anomae.stages.fit import fit as stage

    overrides = collected(settings or [], file)
    given = {"accelerator": device, "precision": precision, "devices": devices if devices > 1 else None}
    overrides |= {f"device.{key}": value for key, value in given.items() if value is not None}
    fitted = stage(
        store,
        run,
        detector=detector,
        recipe=recipe,
        profile=cast(Any, profile),
        seed=seed,
        overrides=overrides,
        keep_cache=keep_cache,
    )
    from anomae.cli.summaries import fitted_on
    from anomae.runs.run import Run
    from anomae.training.leading import leads

    if leads(Run(run).facts().get("computed", {})):  # the others of several processes have the same to say
        fitted_on(fitted)


@app.command()
def score(
    run: RunFolder,
    paths: Annotated[
        list[Path] | None, typer.Argument(help="New scans, pictures or folders.  (default: the store's test split)")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the results on new scans.")] = None,
    split: Annotated[str, typer.Option(help="Split of the store to score: test, validation or train.")] = "test",
    maps: Annotated[bool, typer.Option(help="Also write maps and reconstructions of the store's slices.")] = True,
    calibration: Annotated[
        bool, typer.Option(help="Also score the normal validation slices, for an operating threshold.")
    ] = True,
    overlays: Annotated[
        int, typer.Option(min=0, help="How many of the highest-scoring slices of each new scan to draw.")
    ] = 8,
    device: Device = None,
    precision: Precision = None,
    store: MovedStore = None,
    series: Series = None,
    slice_bound: SliceBound = 0.05,
    patient_bound: PatientBound = 0.10,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Flag new scans above this score, and find regions of the map above it; no bound holds then."
        ),
    ] = None,
    smoothed: Smoothed = False,
    force: Annotated[bool, typer.Option(help="Flag new scans too that the model was not made for.")] = False,
    dicom: DicomKinds = None,
    uid_root: UidRoot = None,
    pages: Annotated[
        bool, typer.Option(help="Write a page of each new scan (study.html), and a table of several.")
    ] = True,
    identify: Annotated[bool, typer.Option(help="Name scans and patients in the pages.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary on new scans as one JSON object.")] = False,
    engine: Engine = "auto",
    strict: Strict = False,
) -> None:
    """Score every slice of the store's test split, or of new scans, which are flagged, and write anomaly maps."""
    from anomae.cli.settings import device_settings
    from anomae.errors import UserError
    from anomae.export.choice import engine_for

    computing = device_settings(device, precision)
    if paths:
        if out is None:
            raise UserError("Scoring new scans needs a folder for the results: --out DIR.")
        if uid_root is not None and dicom is None:
            raise UserError("--uid-root is of DICOM results; name the kinds that you want with --dicom.")
        from anomae.cli.summaries import scored
        from anomae.stages.score_scans import score_scans
        from anomae.volumes.series import checked_series

        written = score_scans(
            run,
            paths,
            out,
            overlays=overlays,
            series=None if series is None else checked_series(series),
            bounds=(slice_bound, patient_bound),
            threshold=threshold,
            smoothed=smoothed,
            force=force,
            dicom=dicom,
            uid_root=uid_root,
            pages=pages,
            identify=identify,
            device=computing,
            load=engine_for(run, engine, computing, store=store),
        )
        scored(written, strict, as_json)
    else:
        if dicom is not None or uid_root is not None:
            raise UserError("--dicom and --uid-root are for new scans: DICOM results refer to the files of a scan.")
        asked = threshold is not None or smoothed or force or as_json or identify or not pages
        if asked or (slice_bound, patient_bound) != (0.05, 0.10):
            raise UserError(
                "--threshold, --smoothed, --force, --json, --identify, --no-pages and the bounds are for new scans; of "
                "a store, `anomae evaluate` takes bounds and --smoothed, and says what the thresholds are worth."
            )
        if out is not None:
            raise UserError("--out is for new scans; results on the store's slices are written to RUN/findings.")
        if series is not None:
            raise UserError("--series is for new scans; a store knows none.")
        from anomae.stages.score import score as stage

        load = engine_for(run, engine, computing, store=store, pretext=True)
        written = stage(run, split=split, maps=maps, calibration=calibration, store=store, device=computing, load=load)
        from anomae.cli.summaries import scored_store

        scored_store(run, written)


@app.command()
def evaluate(
    run: Annotated[Path | None, typer.Argument(help="Folder of the run.")] = None,
    scores: Annotated[
        Path | None,
        typer.Option(
            help="Scores of any program: columns case, patient, score, and slice (axial, from the feet up, from 0) or "
            "file_slice (the file's own index, from 0)."
        ),
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="Their labels: columns case, patient, slice, label.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the report on --scores.")] = None,
    slice_bound: SliceBound = 0.05,
    patient_bound: PatientBound = 0.10,
    smoothed: Smoothed = False,
    resamples: Annotated[int, typer.Option(min=100, help="Bootstrap resamples, by patient.")] = 2000,
    seed: Seed = 0,
    store: MovedStore = None,
    strict: Strict = False,
) -> None:
    """Evaluate the scores and compare them with trivial baselines: RUN/report/report.html and report.json."""
    from anomae.errors import UserError
    from anomae.stages.evaluate import evaluate as stage
    from anomae.stages.evaluate import evaluate_scores

    bounds = (slice_bound, patient_bound)
    if run is not None and (scores or labels or out):
        raise UserError("Give either RUN or --scores, --labels and --out, not both.")
    if run is not None:
        report = stage(run, store=store, bounds=bounds, smoothed=smoothed, resamples=resamples, seed=seed)
        folder = run / "report"
    elif smoothed:
        raise UserError("--smoothed is for runs; smooth the column score of your table yourself.")
    elif scores and labels and out:
        report, folder = evaluate_scores(scores, labels, out, bounds=bounds, resamples=resamples, seed=seed), out
    else:
        raise UserError("Give RUN, or all of --scores, --labels and --out.")
    from anomae.cli.summaries import evaluated

    evaluated(report, folder, strict)


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Scored runs, or tables of scores.")],
    out: Annotated[Path, typer.Option(help="Folder of the comparison.")],
    labels: Annotated[
        Path | None, typer.Option(help="Labels, if tables of scores are compared; runs too then.")
    ] = None,
    resamples: Annotated[int, typer.Option(min=100, help="Bootstrap resamples, by patient.")] = 2000,
    seed: Seed = 0,
    strict: Strict = False,
) -> None:
    """Compare runs on the same images: paired differences, spread over seeds, their ensemble, trivial baselines."""
    from anomae.stages.compare import compare as stage

    content = stage(runs, out, labels=labels, resamples=resamples, seed=seed)
    from anomae.cli.summaries import compared

    compared(content, out, strict)


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Folder of the demo.")] = Path("demo"),
    seed: Seed = 0,
) -> None:
    """Run the whole pipeline on real images: prepare, fit, score, evaluate; about five minutes on two cores."""
    from anomae.cli.summaries import evaluated
    from anomae.files import read_json
    from anomae.stages.demo import demo as stage

    made = stage(folder, seed=seed)
    report = made.run / "report"
    typer.echo(f"Picture: {made.picture}")
    typer.echo(made.worth)
    evaluated(read_json(report / "report.json"), report)
