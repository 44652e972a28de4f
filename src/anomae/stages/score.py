"""The stage `score` on the store's test split: scores.csv, maps and reconstructions; memory stays bounded."""

from collections.abc import Callable
from pathlib import Path

from anomae.detectors.protocol import FittedDetector, engine_of, own_calibration_of
from anomae.detectors.registry import load_detector
from anomae.errors import UserError
from anomae.locks import locked
from anomae.runs.calibrate import calibrate, device_of
from anomae.runs.model_fingerprint import fingerprint
from anomae.runs.run import Run
from anomae.runs.scoring_rows import finish, score_rows
from anomae.training.devices import computed_on
from anomae.training.settings import DeviceSettings, checked_device


def score(
    run: Path | str,
    *,
    split: str = "test",
    store: Path | str | None = None,
    device: DeviceSettings | str | None = None,
    maps: bool = True,
    calibration: bool = True,
    load: Callable[[Path, DeviceSettings | None], FittedDetector] | None = None,
) -> Path:
    """Score every slice of `split` of the run's store; returns the folder of the findings.

    Works in blocks of 256 slices, each journalled: a stopped scoring goes on, and memory does not grow with the slices.
    scores.csv has a column for every score of the detector and, of slices of scans, score_neighbours, smoothed over the
    neighbouring slices scored.  A detector that looks at neighbours gets those of the same split, whatever their label;
    where healthy slices are scored for the threshold, healthy ones alone.
    maps: also write maps.npy, (n, h, w), and reconstructions.npy, (n, c, h, w), float16, ordered as scores.csv is.
    calibration: with the test split, score the normal validation slices too, into RUN/calibration, unless `fit` did:
    from them `evaluate` takes a threshold that has seen no abnormal image, and so does the scoring of new scans.  load:
    reads the fitted detector (see anomae.export.choice).
    Raises UserError where the run is not fitted, its store is gone or another process is writing the run.
    """
    opened_run = Run(Path(run))
    if not opened_run.is_fitted:
        raise UserError(f"{run} is not fitted yet; run `anomae fit` (again) to finish it.")
    opened = opened_run.open_store(store)
    rows = opened.rows(split)
    if not len(rows):
        raise UserError(f"The store {opened.folder} has no slice in its {split} split.")
    chosen = checked_device(device) or device_of(opened_run.facts())
    detector = (load or load_detector)(opened_run.fitted, chosen)
    engine = engine_of(detector)
    computed = computed_on(chosen) if engine == "torch" else engine
    with locked(opened_run.folder):
        opened_run.remove_unfinished()
        made_of = {"model": fingerprint(own_calibration_of(detector) or opened_run.fitted), "computed_on": computed}
        facts = score_rows(detector, opened, rows, opened_run.findings, split, maps=maps, made_of=made_of)
        if calibration and split == "test":
            beside = own_calibration_of(detector) is None
            calibrate(lambda: detector, opened, opened_run, levels=maps, computed_on=computed, beside=beside)
        finish(opened_run.findings, {**facts, "computed_on": computed})
    return opened_run.findings
