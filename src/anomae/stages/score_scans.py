"""The stage `score` on new scans, with nothing but the fitted folder: scores, maps and overlay pictures."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import anomae
from anomae.cohorts.channel_slices import read_colour_slices
from anomae.cohorts.lesion_masks import MaskValues
from anomae.cohorts.own_outputs import without_outputs
from anomae.cohorts.patient_names import patient_of_scan
from anomae.cohorts.scan_slices import scan_slices
from anomae.cohorts.scans_below import refuse_unlike_copy, without_masks
from anomae.detectors.protocol import FittedDetector, engine_of
from anomae.dicom_results.folder import DicomFolder, remove_outdated
from anomae.errors import MissingExtra, NotWritten, UnreadableScan, UserError
from anomae.files import stop_if_full, write_json
from anomae.inference.decision import Rules
from anomae.inference.earlier import earlier_study
from anomae.inference.fitted import fitted_folder, learned_in_colour, load_model, prepared_facts
from anomae.inference.inspect import Model, inspect_slices
from anomae.inference.study import Study
from anomae.inference.tables import (
    FINDING_COLUMNS,
    PATIENT_COLUMNS,
    SCAN_COLUMNS,
    decision_facts,
    finding_rows,
    judge,
    patient_rows,
    scan_rows,
    slice_rows,
)
from anomae.locks import locked
from anomae.pages.batch import Pages
from anomae.progress import progress, say
from anomae.reports.overlays import draw_overlays
from anomae.runs.overlapped import both
from anomae.runs.scoring_folder import ScoringFolder, earlier_scale, refuse_foreign, unknown_patients
from anomae.stages.write_study import find_anew, write_study
from anomae.statistics.operating_point import PATIENT_BOUND, SLICE_BOUND
from anomae.training.settings import DeviceSettings, checked_device
from anomae.volumes.read import FoundScans, look_for_scans, read_volume
from anomae.volumes.series import folder_and_series


def score_scans(
    run: Path | str,
    paths: Sequence[Path | str],
    out: Path | str,
    *,
    overlays: int = 8,
    series: str | int | None = None,
    bounds: tuple[float, float] = (SLICE_BOUND, PATIENT_BOUND),
    threshold: float | None = None,
    smoothed: bool = False,
    force: bool = False,
    dicom: str | None = None,
    uid_root: str | None = None,
    pages: bool = True,
    identify: bool = False,
    device: DeviceSettings | str | None = None,
    load: Callable[[Path, DeviceSettings | None], FittedDetector] | None = None,
) -> Path:
    """Score scans that the run never saw; returns `out`, whose files anomae.runs.scoring_folder lists.

    run: a run, or a copy of its fitted folder alone.  paths: scans (files, DICOM folders) and folders that hold some.
    overlays: how many of a scan's highest slices are drawn.  series: of folders with several DICOM series only this
    one, a number from 1 or "largest"; None: each that is no localizer is a scan.  bounds: on the probability that a
    healthy slice, and a healthy patient's scan, is flagged, as `evaluate` takes them.  threshold: given by hand, in
    place of the one from healthy people.  smoothed: flag by scores smoothed over the neighbouring slices.  force: flag
    scans too that the model was not made for.  dicom: kinds of DICOM results to write of DICOM scans, such as "seg,sr";
    uid_root: of their UIDs.  pages: write a page of each, see anomae.pages.batch; identify: name scans and patients
    there.  load: reads the fitted detector (see anomae.export.choice); None: the registry's, or an exported model's.

    A scan that cannot be read is listed and skipped.  A stopped scoring goes on; what is in `out` already and has not
    changed is not scored again.  What this program wrote below `paths` is left out.  One scan at a time is in memory.
    Raises UserError where nothing fitted is found, the run learned from several modalities as channels, `out` holds
    other things or another process is writing it, or not one scan could be scored; at the very end, with
    all others written, where the results of a scan could not be written whole; NotWritten at once for want of room.
    """
    device = checked_device(device)
    fitted, target = fitted_folder(Path(run)), Path(out)
    paths = [paths] if isinstance(paths, str | Path) else paths
    prepared = prepared_facts(fitted)
    colour = learned_in_colour(prepared)
    found, passed_over = _found_scans([Path(path) for path in paths], target, series)
    refuse_foreign(target)
    model = load_model(fitted, device, load=load)
    asked = Asked(model.rules(bounds, threshold, smoothed), bounds, force)
    results = None if dicom is None else DicomFolder(target / "dicom", dicom, uid_root, asked.rules, force)
    computed = _computed_on(model, device)
    doubts = [*_doubts(prepared), *model.lacks(computed)]
    with locked(target):
        folder = ScoringFolder(target, model.fingerprint, model.settings.seeks_brain_file)
        folder.remove_unfinished()
        single = len({*folder.scans, *(str(file.resolve()) for file in found)}) == 1
        shown = Pages(target, single=single, identify=identify, rules=asked.rules, force=force) if pages else None
        return _score_into(folder, found, model, asked, computed, colour, overlays, results, shown, doubts, passed_over)


@dataclass(frozen=True, slots=True)
class Asked:
    """By which rules and bounds to flag, and whether to flag what the model was not made for."""

    rules: Rules
    bounds: tuple[float, float]
    force: bool


def _score_into(
    folder: ScoringFolder,
    found: dict[Path, Path],
    model: Model,
    asked: Asked,
    computed: str,
    colour: bool,
    overlays: int,
    results: DicomFolder | None,
    pages: Pages | None,
    doubts: list[str],
    passed_over: list[str],
) -> Path:
    """found: scan -> the folder it was found below.  Returns the folder, or raises, as `score_scans` says."""
    files, target = list(found), folder.folder
    scale_before = earlier_scale(target)
    (target / "scoring.json").unlink(missing_ok=True)
    compared_with = "" if model.reference is None else model.reference.digest
    skipped, failed, anew = dict[str, str](), dict[str, str](), set[str]()
    with progress("score", len(files), "scans") as bar:
        for file in files:
            whole = folder.scored(file, overlays, compared_with, computed)
            if not whole or (results is not None and not results.is_complete(folder.name_for(file))):
                try:
                    refuse_unlike_copy(file, found[file])
                    study = _inspected(file, model, asked, colour)
                except MissingExtra:
                    raise  # of no scan alone
                except (UserError, OSError, MemoryError) as error:
                    skipped[str(file)] = str(error) or type(error).__name__
                    folder.scans.pop(str(file.resolve()), None)
                else:
                    try:
                        named = replace(study, name=folder.name_for(file, found[file]))
                        page = None if pages is None else partial(pages.write, named)
                        scan = both(partial(write_study, file, named, folder, overlays), page)
                        folder.add(replace(scan, compared_with=compared_with, computed_on=computed))
                        if results is not None:
                            results.write(named)
                        anew.add(named.name)
                    except (UserError, OSError) as error:
                        stop_if_full(error, target)
                        failed[str(file)] = f"{file} was scored, but not written: {error}"
                        folder.scans.pop(str(file.resolve()), None)
            elif pages is not None and not pages.is_current(folder.scans[str(file.resolve())].name):
                try:
                    pages.write(_earlier(file, folder, model, asked, colour))
                except (UserError, OSError) as error:
                    stop_if_full(error, target)
                    failed[str(file)] = f"{file} was scored, but its page not written: {error}"
            bar.advance()
    if pages is not None and pages.replaces_single:
        _move_single_page(pages, folder, files, model, asked, colour)
    missing = {**skipped, **failed}
    if len(missing) == len(files):
        if failed:
            raise NotWritten(target, next(iter(failed.values())))
        raise UserError(f"None of the {len(files)} scan(s) could be scored; the first: {next(iter(missing.values()))}")
    find_anew(folder, asked.rules, asked.force)
    scale = draw_overlays(folder, overlays, scale_before, model.detector.map_name)
    scans = list(folder.scans.values())
    judged = judge(scans, asked.rules, model.healthy, asked.force)
    folder.write_scores({one.scan.path: slice_rows(one.decision) for one in judged})
    folder.write_table("scans.csv", SCAN_COLUMNS, scan_rows(judged))
    folder.write_table("patients.csv", PATIENT_COLUMNS, patient_rows(judged))
    folder.write_table("findings.csv", FINDING_COLUMNS, finding_rows(judged))
    notes = [*doubts, *unknown_patients(scans)]
    first_page = None if pages is None else pages.finish(judged, [asked.rules.scan.sentence, *doubts])
    facts = {
        "detector": model.detector.name,
        "engine": engine_of(model.detector),
        "model": model.fingerprint[:12],
        "map_name": model.detector.map_name,
        "scans": len(scans),
        "slices": sum(len(scan.slices) for scan in scans),
        **decision_facts(judged, asked.rules, model.healthy, asked.bounds),
        "skipped": skipped,
        "failed": failed,
        "read": len(files) - len(missing),
        "passed_over": passed_over,
        "notes": notes,
        "scan_notes": {scan.file: scan.notes for scan in scans if scan.notes},
        "overlay_scale": scale,
        "page": None if first_page is None else first_page.name,
        "prepare": model.settings.model_dump(mode="json"),
        "dicom": None if results is None else results.facts(),
        "version": anomae.__version__,
    }
    write_json(target / "scoring.json", facts)
    for sentence in [*notes, *passed_over, *(f"Skipped: {reason}" for reason in skipped.values())]:
        say(sentence)
    if results is None and (old := remove_outdated(target / "dicom", anew, asked.rules, asked.force)):
        say(f"{old} DICOM file(s) of earlier scores or thresholds were removed; --dicom writes them anew.")
    if failed:
        raise UserError(
            f"The results of {len(failed)} of {len(files)} scan(s) could not be written whole; make room and give the "
            f"same command again. The first: {next(iter(failed.values()))}"
        )
    if results is not None:
        results.say_what_is_missing(len(scans))
    return target


def _computed_on(model: Model, device: DeviceSettings | None) -> str:
    engine = engine_of(model.detector)
    if engine != "torch":
        return engine
    from anomae.training.devices import computed_on  # torch is imported only now

    return computed_on(device or DeviceSettings())


def _inspected(file: Path, model: Model, asked: Asked, colour: bool) -> Study:
    """Read one scan and inspect it; its patient is "" where neither file nor path tells."""
    volume = None if colour else read_volume(file)
    case = read_colour_slices(file) if volume is None else scan_slices(volume, values=MaskValues())
    patient = patient_of_scan(file, "" if volume is None else volume.patient)
    try:
        study = inspect_slices(case, model, asked.rules, patient=patient, force=asked.force)
    except MissingExtra:
        raise
    except UserError as error:
        raise UnreadableScan(f"{file}: {error}") from error
    return replace(study, volume=volume)


def _earlier(file: Path, folder: ScoringFolder, model: Model, asked: Asked, colour: bool) -> Study:
    """A scan that is scored already, read again, with its scores and its map as they were written."""
    volume = None if colour else read_volume(file)
    case = read_colour_slices(file) if volume is None else scan_slices(volume, values=MaskValues())
    scan = folder.scans[str(file.resolve())]
    (judged,) = judge([scan], asked.rules, model.healthy, asked.force)
    known = {"detector": model.detector.name, "map_name": model.detector.map_name, "model": model.fingerprint[:12]}
    return earlier_study(case, volume, judged, folder.read_map(scan.name), **known)


def _move_single_page(
    pages: Pages, folder: ScoringFolder, files: Sequence[Path], model: Model, asked: Asked, colour: bool
) -> None:
    """The scan that was alone here and was not named this time: its page is made anew among those of the others."""
    named = {str(file.resolve()) for file in files}
    for scan in [scan for path, scan in folder.scans.items() if path not in named]:
        try:
            if folder.is_unchanged(scan, scan.where()):
                pages.write(_earlier(scan.where(), folder, model, asked, colour))
            else:
                say(f"{scan.how_it_changed()}, so it has no page; name it again.")
        except (UserError, OSError) as error:
            say(f"The page of an earlier scan could not be kept: {error}")


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
        scans = [file for file in below.scans if not file.resolve().is_relative_to(out.resolve())]
        if path.is_dir():
            scans, own = without_outputs(scans, path)
            outputs.update(own)
        if below.scans and path.resolve().is_relative_to(out.resolve()):
            raise UserError(f"--out {out} holds {path} itself, and what lies there is not scored; name another folder.")
        if not scans:
            but = " but what this program wrote itself" if outputs else ""
            raise UserError(" ".join([f"{path} holds no scan or picture of a kind that is read{but}.", *below.notes()]))
        for file in scans:
            found.setdefault(file.resolve(), (file, path))
    notes = FoundScans(passed_over=passed_over).notes()
    if outputs:
        notes.append(f"{len(outputs)} folder(s) that this program wrote were left out, the first: {min(outputs)}.")
    files, left_out = without_masks(dict(found.values()))
    return files, [*notes, *left_out]


def _doubts(prepared: dict[str, Any]) -> list[str]:
    if prepared.get("kind") != "patches":
        return []
    learned = f"This run learned from patches ({prepared['cohort']})"
    return [f"{learned}, but whole slices are scored: its scores say little about them."]
