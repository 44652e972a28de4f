"""The normal validation slices of a run's store scored, and what that says kept beside the fitted detector.

Done at the end of a fit, and by `anomae score` where it was not, or where anything that it depends on has changed.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.arrays import map_array
from anomae.cohorts.patient_names import unit_of
from anomae.detectors.protocol import FittedDetector, own_calibration_of
from anomae.files import read_json
from anomae.progress import say
from anomae.runs.calibration import CALIBRATION_SPLIT, run_calibration
from anomae.runs.healthy_file import NAME, is_reduced, write_healthy_scores
from anomae.runs.model_fingerprint import fingerprint
from anomae.runs.pretext import write_pretext
from anomae.runs.run import Run
from anomae.runs.scoring_rows import finish, score_rows
from anomae.slices.store import SliceStore
from anomae.statistics.healthy_scores import HealthyScores
from anomae.training.settings import DeviceSettings


def device_of(facts: Mapping[str, Any]) -> DeviceSettings:
    """Where a run was fitted, by its run.json: scores repeat exactly on the same device in the same precision."""
    given = facts["settings"].get("device", {})
    return DeviceSettings.model_validate({key: given[key] for key in DeviceSettings.model_fields if key in given})


def calibrate(
    load: Callable[[], FittedDetector],
    store: SliceStore,
    run: Run,
    *,
    levels: bool,
    computed_on: str,
    beside: bool = True,
) -> None:
    """Score the normal validation slices into RUN/calibration and keep their scores beside the fitted detector.

    Those that the store calls learnable: nothing where there are none, nor where both are there already: of the same
    fitted detector, slices and device, and with the levels of the maps, if they are wanted.  load: gives the fitted
    detector.  levels: see `score_rows`.  computed_on: the device, in words.  beside: False leaves what lies beside the
    fitted detector as it is, since this is not what it gives; what an earlier version left there so is removed.
    """
    if not beside:
        _remove_reduced(run)
    model = run.fitted if beside else own_calibration_of(load()) or run.fitted  # an export made anew is another model
    rows = store.learnable(CALIBRATION_SPLIT)
    if not len(rows):
        return
    made_of = {
        "model": fingerprint(model),
        "rows": hashlib.blake2b(f"{store.prepared.get('fingerprint')}{rows.tolist()}".encode()).hexdigest()[:16],
        "computed_on": computed_on,
        "levels": levels,
        "neighbours": "healthy",
    }
    if not _is_done(run, made_of, load):
        detector = load()
        facts = score_rows(
            detector, store, rows, run.calibration, CALIBRATION_SPLIT, levels=levels, tops=True, made_of=made_of
        )
        write_pretext(detector, store, rows, run)
        if beside:
            (run.fitted / NAME).unlink(missing_ok=True)  # of another calibration; a stop must not leave both
        finish(run.calibration, {**facts, "made_of": made_of})
    elif not beside or _is_beside(run, computed_on):
        return
    if beside:
        write_healthy_scores(run.fitted, healthy_scores_of(run, store))


def healthy_scores_of(run: Run, store: SliceStore) -> HealthyScores:
    """What the files of a whole RUN/calibration say.  Raises UserError where they are of another store."""
    tested = store.index.patient[store.rows("test")]
    calibration, _, _ = run_calibration(run, store, tested)
    assert calibration is not None  # its files were just written
    over, _, _ = run_calibration(run, store, tested, smoothed=True)
    tops: npt.NDArray[np.float64] | None = None
    if (run.calibration / "map_tops.npy").exists():
        tops = np.array(map_array(run.calibration / "map_tops.npy"), dtype=np.float64)
    return HealthyScores(
        scores=calibration.scores,
        map_tops=tops,
        person=np.unique(calibration.patient, return_inverse=True)[1].astype(np.int64),
        unit=unit_of(store.prepared),
        source=calibration.source,
        doubts=tuple(calibration.doubts),
        computed_on=str((read_json(run.calibration / "findings.json").get("made_of") or {}).get("computed_on", "")),
        smoothed=None if over is None else over.scores,
    )


def _remove_reduced(run: Run) -> None:
    """Remove thresholds beside the fitted detector that are not its own: those of an export in bf16 or int8."""
    path = run.fitted / NAME
    computed_on = str(read_json(path).get("computed_on")) if path.exists() else ""
    if is_reduced(computed_on):
        path.unlink()
        say(
            f"{path} held what {computed_on} gave to healthy people, by an earlier version, and is removed: give "
            "`anomae fit STORE RUN` of this run again for thresholds of torch."
        )


def _is_done(run: Run, made_of: Mapping[str, Any], load: Callable[[], FittedDetector]) -> bool:
    """Whether RUN/calibration is whole and of these; with levels is as good as without.

    Earlier versions do not say the neighbours: they showed abnormal ones too, to a detector that looks at them.
    """
    if not (run.calibration / "findings.json").exists():
        return False
    before = read_json(run.calibration / "findings.json").get("made_of") or {}
    same = bool(before) and all(
        before.get(key, value if key == "neighbours" else None) == value or (key == "levels" and before.get(key))
        for key, value in made_of.items()
    )
    return same and ("neighbours" in before or not getattr(load(), "needs_neighbours", False))


def _is_beside(run: Run, computed_on: str) -> bool:
    """Whether the scores beside the fitted detector are of the calibration; earlier versions smoothed none."""
    if not (run.fitted / NAME).exists():
        return False
    kept = read_json(run.fitted / NAME)
    return "smoothed" in kept and kept.get("computed_on") == computed_on
