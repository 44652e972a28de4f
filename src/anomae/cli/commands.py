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
    FromToml,
    Modality,
    Precision,
    Profile,
    Recipe,
    RunFolder,
    Seed,
    Set,
    Source,
    Split,
    Splits,
    StoreFolder,
    StorePlace,
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
    workers: Annotated[int | None, typer.Option(min=0, help="Processes that read.  [default: one a core]")] = None,
    settings: Set = None,
    file: FromToml = None,
) -> None:
    """Scans as they lie on disk -> a store of prepared slices, split by patient.

    A stopped command goes on where it was; a broken scan is listed and skipped.
    """
    from anomae.cli.settings import cohort_and_preparation
    from anomae.stages.prepare import prepare as stage

    options, chosen = cohort_and_preparation(cohort, settings or [], file)
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

    prepared(opened)


@app.command()
def fit(
    store: StoreFolder,
    run: RunFolder,
    detector: DetectorName = "anomae",
    recipe: Recipe = None,
    profile: Profile = "paper",
    seed: Seed = 0,
    device: Device = None,
    devices: Annotated[int, typer.Option(min=1, help="How many devices (processes on CPU) share the work.")] = 1,
    precision: Precision = None,
    keep_cache: Annotated[bool, typer.Option(help="Keep the training reconstructions in RUN/cache.")] = False,
    settings: Set = None,
    file: FromToml = None,
) -> None:
    """A store -> a fitted detector, of the paper's method or a baseline's.  Continues where an earlier fit stopped."""
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
    typer.echo(f"Fitted: {fitted}")


@app.command()
def score(
    run: RunFolder,
    paths: Annotated[
        list[Path] | None, typer.Argument(help="New scans, pictures or folders; none: the store's test split.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the findings on new scans.")] = None,
    split: Annotated[str, typer.Option(help="Part of the store to score: test, validation or train.")] = "test",
    maps: Annotated[bool, typer.Option(help="Write maps and reconstructions of the store's slices too.")] = True,
    calibration: Annotated[bool, typer.Option(help="Score the normal validation slices too, for a threshold.")] = True,
    overlays: Annotated[int, typer.Option(min=0, help="Pictures of the highest slices of each new scan.")] = 8,
    device: Device = None,
    precision: Precision = None,
    store: StorePlace = None,
) -> None:
    """Give every slice a score and a map: of the store's test split, or of new scans with the fitted folder alone."""
    from anomae.errors import UserError
    from anomae.training.settings import DeviceSettings

    given = {"accelerator": device, "precision": precision}
    chosen = {key: value for key, value in given.items() if value is not None}
    where = DeviceSettings.model_validate(chosen) if chosen else None
    if paths:
        if out is None:
            raise UserError("Scoring new scans needs a folder for the findings: --out DIR.")
        from anomae.stages.score_scans import score_scans

        written = score_scans(run, paths, out, overlays=overlays, device=where)
    else:
        if out is not None:
            raise UserError("--out goes with new scans; the store's test split is written to RUN/findings.")
        from anomae.stages.score import score as stage

        written = stage(run, split=split, maps=maps, calibration=calibration, store=store, device=where)
    typer.echo(f"Scores: {written / 'scores.csv'}")


@app.command()
def evaluate(
    run: Annotated[Path | None, typer.Argument(help="Folder of the run.")] = None,
    scores: Annotated[Path | None, typer.Option(help="Anyone's scores: columns case, patient, slice, score.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Their labels: columns case, patient, slice, label.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the report on --scores.")] = None,
    slice_bound: Annotated[
        float, typer.Option(help="Bound on false alarms per healthy slice, for the threshold from normal slices.")
    ] = 0.05,
    patient_bound: Annotated[float, typer.Option(help="The same per healthy patient.")] = 0.10,
    resamples: Annotated[int, typer.Option(min=100, help="Bootstrap resamples, by patient.")] = 2000,
    seed: Seed = 0,
    store: StorePlace = None,
) -> None:
    """What the scores are worth: RUN/report/report.json and report.html, trivial baselines beside every figure."""
    from anomae.errors import UserError
    from anomae.stages.evaluate import evaluate as stage
    from anomae.stages.evaluate import evaluate_scores

    bounds = (slice_bound, patient_bound)
    if run is not None and (scores or labels or out):
        raise UserError("Give either RUN or --scores, --labels and --out, not both.")
    if run is not None:
        report, place = stage(run, store=store, bounds=bounds, resamples=resamples, seed=seed), run / "report"
    elif scores and labels and out:
        report, place = evaluate_scores(scores, labels, out, bounds=bounds, resamples=resamples, seed=seed), out
    else:
        raise UserError("Give RUN, or all of --scores, --labels and --out.")
    from anomae.cli.summaries import evaluated

    evaluated(report, place)


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Scored runs, or tables of scores.")],
    out: Annotated[Path, typer.Option(help="Folder of the comparison.")],
    labels: Annotated[Path | None, typer.Option(help="Labels, where tables of scores are compared.")] = None,
    resamples: Annotated[int, typer.Option(min=100, help="Bootstrap resamples, by patient.")] = 2000,
    seed: Seed = 0,
) -> None:
    """Several runs on the same images: paired differences, spread over seeds, all of them merged, trivial baselines."""
    from anomae.stages.compare import compare as stage

    typer.echo(stage(runs, out, labels=labels, resamples=resamples, seed=seed)["verdict"])
    typer.echo(f"Comparison: {out / 'compare.html'}")


@app.command()
def pseudo(
    run: RunFolder,
    out: Annotated[Path | None, typer.Option(help="The picture.  [default: RUN/pseudo_lesions.png]")] = None,
    count: Annotated[int, typer.Option(min=1, help="How many healthy images.")] = 10,
    seed: Seed = 0,
    store: StorePlace = None,
) -> None:
    """Draw every family of pseudo-lesions on your own healthy images: what the detector `anomae` learns from."""
    from anomae.stages.pseudo import pseudo as stage

    typer.echo(f"Contact sheet: {stage(run, out, store=store, count=count, seed=seed)}")


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Where the demo works.")] = Path("demo"),
    seed: Seed = 0,
) -> None:
    """The whole chain on real pictures: prepare, fit, score, evaluate, report; about ten minutes on two cores."""
    from anomae.cli.summaries import evaluated
    from anomae.files import read_json
    from anomae.stages.demo import demo as stage

    made = stage(folder, seed=seed)
    report = made.run / "report"
    evaluated(read_json(report / "report.json"), report)
    typer.echo(f"Picture: {made.picture}")
    typer.echo(made.worth)
