"""The stage `score` on new scans, with nothing but the fitted folder: scores, maps and overlay pictures."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import anomae
from anomae.cohorts.brain_files import is_brain_file
from anomae.cohorts.channel_slices import read_colour_slices
from anomae.cohorts.own_outputs import without_outputs
from anomae.cohorts.patient_names import patient_of_scan
from anomae.detectors.protocol import FittedDetector
from anomae.errors import MissingExtra, UnreadableScan, UserError
from anomae.files import write_json
from anomae.inference.fitted import engine_of, fitted_folder, learned_in_colour, load_fitted, prepared_facts
from anomae.inference.score_volume import VolumeResult, score_slices, score_volume
from anomae.locks import locked
from anomae.progress import progress, say
from anomae.reports.overlays import draw_overlays, grey_range
from anomae.runs.scoring_folder import (
    ScoredScan,
    ScoringFolder,
    earlier_scale,
    fingerprint,
    further_columns,
    refuse_foreign,
    stamp,
    unknown_patients,
)
from anomae.runs.scoring_outputs import write_highest, write_map
from anomae.slices.settings import PrepareSettings, settings_from
from anomae.training.settings import DeviceSettings
from anomae.volumes.read import FoundScans, look_for_scans, read_volume
from anomae.volumes.series import folder_and_series
from anomae.volumes.volume import Grid


def score_scans(
    run: Path | str,
    paths: Sequence[Path | str],
    out: Path | str,
    *,
    overlays: int = 8,
    series: str | int | None = None,
    device: DeviceSettings | None = None,
    load: Callable[[Path, DeviceSettings | None], FittedDetector] | None = None,
) -> Path:
    """Score scans that the run never saw; returns `out`, whose files anomae.runs.scoring_folder lists.

    run: a run, or a copy of its fitted folder alone.  paths: scans (files, DICOM folders) and folders that hold some.
    overlays: how many of a scan's highest slices are drawn.  series: of folders with several DICOM series only this
    one, a number from 1 or "largest"; None: each that is no localizer is a scan.
    load: reads the fitted detector (see anomae.export.choice); None: the registry's, or an exported model's.

    A scan that cannot be read is listed and skipped.  A scoring that was stopped goes on; what is in `out` already and
    has not changed is not scored again.  What this program wrote below `paths` is left out.  One scan at a time is in
    memory.
    Raises UserError where nothing fitted is found, the run learned from several modalities as channels, `out` holds
    other things or another process is writing it, or not one scan could be scored; and at the very end, with all
    others written, where the results of a scan could not be written whole.
    """
    fitted, target = fitted_folder(Path(run)), Path(out)
    prepared = prepared_facts(fitted)
    settings, colour = settings_from(prepared["settings"]), learned_in_colour(prepared)
    found, passed_over = _found_scans([Path(path) for path in paths], target, series)
    refuse_foreign(target)
    detector = (load or load_fitted)(fitted, device)
    with locked(target):
        folder = ScoringFolder(target, fingerprint(fitted, engine_of(detector)))
        return _score_into(folder, found, detector, settings, colour, overlays, _doubts(prepared), passed_over)


def _score_into(
    folder: ScoringFolder,
    found: dict[Path, Path],
    detector: FittedDetector,
    settings: PrepareSettings,
    colour: bool,
    overlays: int,
    doubts: list[str],
    passed_over: list[str],
) -> Path:
    """found: scan -> the folder it was found below.  Returns the folder, or raises, as `score_scans` says."""
    files, target = list(found), folder.folder
    scale_before = earlier_scale(target)
    (target / "scoring.json").unlink(missing_ok=True)
    skipped: dict[str, str] = {}
    failed: dict[str, str] = {}
    with progress("score", len(files), "scans") as bar:
        for file in files:
            if not folder.scored(file, overlays):
                try:
                    result, patient = _scored(file, detector, settings, colour)
                except MissingExtra:
                    raise  # of no scan alone
                except (UserError, OSError, MemoryError) as error:
                    skipped[str(file)] = str(error) or type(error).__name__
                    folder.scans.pop(str(file.resolve()), None)
                else:
                    try:
                        name = folder.name_for(file, found[file])
                        folder.add(_written(file, name, result, patient, folder, overlays))
                    except (UserError, OSError) as error:
                        failed[str(file)] = f"{file} was scored, but not written: {error}"
                        folder.scans.pop(str(file.resolve()), None)
            bar.advance()
    missing = {**skipped, **failed}
    if len(missing) == len(files):
        raise UserError(f"None of the {len(files)} scan(s) could be scored; the first: {next(iter(missing.values()))}")
    scale = draw_overlays(folder, overlays, scale_before, detector.map_name)
    folder.write_scores()
    scans = folder.scans.values()
    notes = [*doubts, *unknown_patients(list(scans))]
    facts = {
        "detector": detector.name,
        "engine": engine_of(detector),
        "map_name": detector.map_name,
        "scans": len(scans),
        "slices": sum(len(scan.slices) for scan in scans),
        "skipped": skipped,
        "failed": failed,
        "read": len(files) - len(missing),
        "passed_over": passed_over,
        "notes": notes,
        "scan_notes": {scan.file: scan.notes for scan in scans if scan.notes},
        "overlay_scale": scale,
        "prepare": settings.model_dump(mode="json"),
        "version": anomae.__version__,
    }
    write_json(target / "scoring.json", facts)
    for sentence in [*notes, *passed_over, *(f"Skipped: {reason}" for reason in skipped.values())]:
        say(sentence)
    if failed:
        raise UserError(
            f"The results of {len(failed)} of {len(files)} scan(s) could not be written whole; make room and give the "
            f"same command again. The first: {next(iter(failed.values()))}"
        )
    return target


def _scored(file: Path, detector: FittedDetector, settings: PrepareSettings, colour: bool) -> tuple[VolumeResult, str]:
    """Read and score one scan; also the name of its patient, "" where neither file nor path tells."""
    score: Callable[..., VolumeResult]
    if colour:
        score, patient = partial(score_slices, read_colour_slices(file)), patient_of_scan(file, "")
    else:
        volume = read_volume(file)
        score, patient = partial(score_volume, volume), patient_of_scan(file, volume.patient)
    try:
        return score(detector, settings), patient
    except MissingExtra:
        raise
    except UserError as error:
        raise UnreadableScan(f"{file}: {error}") from error


def _written(
    file: Path, name: str, result: VolumeResult, patient: str, folder: ScoringFolder, overlays: int
) -> ScoredScan:
    """Write the map and the highest slices of one scan; returns what its journal line says."""
    case, kept = result.case, result.kept
    highest = np.argsort(-result.scores, kind="stable")[:overlays]
    heat_top, said = None, tuple[str, ...]()
    if result.map is not None and result.axial_map is not None:
        flat = case.grid is None and len(result.map) == 1
        z, y, x = result.map.shape
        grid = None if flat else case.grid or Grid((z, y, x))
        said = write_map(folder.map_path(name, flat), result.map, grid, case.placement)
        if len(highest):
            heat = result.axial_map[kept[highest]]
            heat_top = float(np.percentile(heat, 99.9))
            images = case.images[kept[highest]]
            write_highest(
                folder.highest_path(name),
                images[:, 0] if case.channels == 1 else images.mean(axis=1),
                heat,
                black_and_white=grey_range(case.images),
                slices=result.slices[highest],
                scores=result.scores[highest],
                spacing_mm=case.spacing_mm,
            )
    for old in folder.overlays(name):
        old.unlink()
    return ScoredScan(
        path=str(file.resolve()),
        file=str(file),
        stamp=stamp(file),
        name=name,
        patient=patient or name,  # a file that names nobody is a patient of its own
        slices=result.slices.tolist(),
        positions_mm=[None if np.isnan(position) else float(position) for position in result.positions_mm],
        scores=result.scores.tolist(),
        further=further_columns(case, kept),
        pictured=len(highest),
        heat_top=heat_top,
        notes=[*result.notes, *said],
    )


def _found_scans(paths: Sequence[Path], out: Path, series: str | int | None) -> tuple[dict[Path, Path], list[str]]:
    """All scans at and below `paths` but not in outputs of this program, each once, in order; and what was left out.

    Each with the path it was found below.  Raises UserError where a path is missing or holds none.
    """
    found: dict[Path, tuple[Path, Path]] = {}
    passed_over: Counter[str] = Counter()
    outputs: set[Path] = set()
    for path in paths:
        if not folder_and_series(path)[0].exists():
            raise UserError(f"{path} does not exist.")
        below = look_for_scans(path, series) if path.is_dir() else FoundScans([path])
        passed_over += below.passed_over
        scans = [file for file in below.scans if not is_brain_file(file) or not path.is_dir()]
        scans = [file for file in scans if not file.resolve().is_relative_to(out.resolve())]
        if path.is_dir():
            scans, left_out = without_outputs(scans, path)
            outputs.update(left_out)
        if not scans:
            but = " but what this program wrote itself" if outputs else ""
            raise UserError(" ".join([f"{path} holds no scan or picture of a kind that is read{but}.", *below.notes()]))
        for file in scans:
            found.setdefault(file.resolve(), (file, path))
    if not found:
        raise UserError("Name at least one scan, or a folder that holds some.")
    notes = FoundScans(passed_over=passed_over).notes()
    if outputs:
        notes.append(f"{len(outputs)} folder(s) that this program wrote were left out, the first: {min(outputs)}.")
    return dict(found.values()), notes


def _doubts(prepared: dict[str, Any]) -> list[str]:
    if prepared.get("kind") == "patches":
        return [
            f"This run learned from patches ({prepared['cohort']}), but whole slices are scored: "
            "its scores say little about them."
        ]
    return []
