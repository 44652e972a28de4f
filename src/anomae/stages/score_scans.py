"""The stage `score` on new scans, with nothing but the fitted folder: scores, residual maps and overlay pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import anomae
from anomae.cohorts.brain_files import is_brain_file
from anomae.cohorts.case import CaseSlices
from anomae.cohorts.scan_slices import scan_slices
from anomae.detectors.protocol import Detector, Findings, with_neighbours
from anomae.errors import MissingExtra, UnreadableScan, UserError
from anomae.files import read_json, write_json, written_whole
from anomae.progress import progress, say
from anomae.reports.overlays import draw_overlays, grey_range
from anomae.runs.scoring_folder import ScoredScan, ScoringFolder, fingerprint, stamp
from anomae.slices.preparing import PreparedCase, prepare_case
from anomae.slices.settings import PrepareSettings, settings_from
from anomae.slices.store import Slices
from anomae.training.settings import DeviceSettings
from anomae.volumes.orientation import axial_view
from anomae.volumes.read import find_scans, read_volume
from anomae.volumes.volume import Volume
from anomae.volumes.write import write_arrays, write_volume

BATCH = 64
# Of these cohorts a run has seen patches, not whole slices.
PATCHES = ("luna16",)


def score_scans(
    run: Path | str,
    paths: Sequence[Path | str],
    out: Path | str,
    *,
    overlays: int = 8,
    device: DeviceSettings | None = None,
    load: Callable[[Path, DeviceSettings | None], Detector] | None = None,
) -> Path:
    """Score scans that the run never saw; returns `out`, whose files anomae.runs.scoring_folder lists.

    run: a run, or a copy of its fitted folder alone.  paths: scans (files, DICOM folders) and folders that hold some.
    overlays: how many of a scan's highest slices are drawn.  load: reads the fitted detector; None: the registry's.

    A scan that cannot be read is listed and skipped.  A scoring that was stopped goes on; what is in `out` already and
    has not changed is not scored again.  One scan at a time is in memory.
    Raises UserError where nothing fitted is found, `out` holds other things, or not one scan could be scored.
    """
    fitted, place = fitted_folder(Path(run)), Path(out)
    prepared = read_json(fitted / "prepare.json")
    settings = settings_from(prepared["settings"])
    files = _found_scans([Path(path) for path in paths], place)
    detector = (load or _from_registry)(fitted, device)
    folder = ScoringFolder(place, fingerprint(fitted))
    scale_before = _earlier_scale(place)
    (place / "scoring.json").unlink(missing_ok=True)
    notes = _doubts(prepared)
    skipped: dict[str, str] = {}
    with progress("score", len(files), "scans") as bar:
        for file in files:
            if not folder.scored(file, overlays):
                try:
                    scan = _read(file, settings)
                except MissingExtra:
                    raise  # of no scan alone
                except (UserError, OSError, MemoryError) as error:
                    skipped[str(file)] = str(error) or type(error).__name__
                    folder.scans.pop(str(file.resolve()), None)
                else:
                    folder.add(_score(file, scan, detector, folder, overlays))
            bar.advance()
    if len(skipped) == len(files):
        raise UserError(f"None of the {len(files)} scan(s) could be scored; the first: {next(iter(skipped.values()))}")
    scale = draw_overlays(folder, overlays, scale_before, detector.map_name)
    folder.write_scores()
    scans = folder.scans.values()
    facts = {
        "detector": getattr(detector, "name", type(detector).__name__),
        "scans": len(scans),
        "slices": sum(len(scan.slices) for scan in scans),
        "skipped": skipped,
        "notes": notes,
        "scan_notes": {scan.file: scan.notes for scan in scans if scan.notes},
        "overlay_scale": scale,
        "prepare": settings.model_dump(mode="json"),
        "version": anomae.__version__,
    }
    write_json(place / "scoring.json", facts)
    for sentence in [*notes, *(f"Skipped: {reason}" for reason in skipped.values())]:
        say(sentence)
    return place


def fitted_folder(run: Path) -> Path:
    """The fitted folder of a run, or `run` itself where it is one.  Raises UserError where there is none."""
    for folder in (run / "fitted", run):
        if (folder / "fitted.json").exists() and (folder / "prepare.json").exists():
            return folder
    raise UserError(f"{run} holds nothing fitted; run `anomae fit STORE {run}` first, or again to finish it.")


@dataclass(frozen=True, slots=True)
class _ReadScan:
    """A scan in memory: as read, cut into slices, and those of them prepared that the run would have learned from."""

    volume: Volume
    case: CaseSlices
    prepared: PreparedCase


def _read(file: Path, settings: PrepareSettings) -> _ReadScan:
    volume = read_volume(file)
    case = scan_slices(volume)
    try:
        prepared = prepare_case(case, settings)
    except UnreadableScan as error:
        raise UnreadableScan(f"{file}: {error}") from error
    if not len(prepared.kept):
        raise UserError(f"{file} has no slice of those that this run learned from (slices={settings.slices}).")
    return _ReadScan(volume, case, prepared)


def _score(file: Path, scan: _ReadScan, detector: Detector, folder: ScoringFolder, overlays: int) -> ScoredScan:
    """Score one scan and write its map and its highest slices."""
    case, kept = scan.case, scan.prepared.kept
    findings = _inspected(detector, scan.prepared.images, case.slices[kept])
    name, highest = folder.name_for(file), np.argsort(-findings.scores, kind="stable")[:overlays]
    heat_top = None
    if findings.maps is not None:
        heat = np.zeros(case.images.shape, dtype=np.float32)
        for index, prepared_map in zip(kept, findings.maps, strict=True):
            heat[index] = scan.prepared.warp.restore(prepared_map)
        _write_map(folder, name, heat, scan.volume)
        if len(highest):
            heat_top = float(np.percentile(heat[kept[highest]], 99.9))
            write_arrays(
                folder.highest_path(name),
                grey=_as_grey(case.images, kept[highest]),
                heat=heat[kept[highest]],
                slices=case.slices[kept[highest]],
                scores=findings.scores[highest],
                aspect=np.array(case.spacing_mm[0] / case.spacing_mm[1]),
            )
    for old in folder.overlays(name):
        old.unlink()
    return ScoredScan(
        path=str(file.resolve()),
        file=str(file),
        stamp=stamp(file),
        name=name,
        patient=scan.volume.patient or name,  # a file that names nobody is a patient of its own
        slices=case.slices[kept].tolist(),
        positions_mm=[None if np.isnan(index) else float(index) for index in case.positions_mm[kept]],
        scores=findings.scores.tolist(),
        pictured=len(highest),
        heat_top=heat_top,
        notes=list(scan.prepared.notes),
    )


def _as_grey(images: npt.NDArray[Any], indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """These slices as 0..255, black and white where the whole scan has them."""
    low, high = grey_range(images)
    share = np.clip((images[indices].astype(np.float32) - low) / max(high - low, 1e-6), 0, 1)
    return np.asarray(share * 255, dtype=np.uint8)


def _inspected(detector: Detector, images: npt.NDArray[np.float32], numbers: npt.NDArray[np.int64]) -> Findings:
    """Judge the prepared slices (n, h, w) of one scan.  numbers: theirs, (n,); where one is not kept is a gap."""
    slices, parts = Slices(images, order=(np.zeros(len(images)), numbers)), []
    for start in range(0, len(images), BATCH):
        block = slice(start, start + BATCH)
        parts.append(
            detector.inspect(*with_neighbours(detector, slices.read(block), partial(slices.neighbours, block)))
        )
    maps = [part.maps for part in parts if part.maps is not None]
    scores = np.concatenate([np.asarray(part.scores, dtype=np.float64) for part in parts])
    return Findings(scores, np.concatenate(maps) if len(maps) == len(parts) else None)


def _write_map(folder: ScoringFolder, name: str, heat: npt.NDArray[np.float32], volume: Volume) -> None:
    """A volume's map as NIfTI in the scan's own grid, a picture's as a TIFF of its own size; both float32."""
    flat = volume.kind == "picture" and len(heat) == 1
    path = folder.map_path(name, flat)
    if flat:
        from PIL import Image

        with written_whole(path) as temporary:
            Image.fromarray(heat[0]).save(temporary, format="TIFF")
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_volume(path, np.ascontiguousarray(axial_view(volume.grid).invert(heat)), volume.grid)


def _found_scans(paths: Sequence[Path], out: Path) -> list[Path]:
    """All scans at and below `paths` but not in `out`, each once, in order.

    Raises UserError where a path is missing or holds none.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        if not path.exists():
            raise UserError(f"{path} does not exist.")
        below = [scan for scan in find_scans(path) if not is_brain_file(scan)] if path.is_dir() else [path]
        below = [file for file in below if not file.resolve().is_relative_to(out.resolve())]
        if not below:
            raise UserError(f"{path} holds no scan or picture of a kind that is read.")
        for file in below:
            found.setdefault(file.resolve(), file)
    if not found:
        raise UserError("Name at least one scan, or a folder that holds some.")
    return list(found.values())


def _earlier_scale(path: Path) -> float | None:
    """The colour scale of the overlays that an earlier, finished scoring drew."""
    if not (path / "scoring.json").exists():
        return None
    scale: Any = read_json(path / "scoring.json").get("overlay_scale")
    return scale if isinstance(scale, float) else None


def _doubts(prepared: dict[str, Any]) -> list[str]:
    if prepared.get("cohort") in PATCHES:
        return [
            f"This run learned from patches ({prepared['cohort']}), but whole slices are scored: "
            "its scores say little about them."
        ]
    return []


def _from_registry(folder: Path, device: DeviceSettings | None) -> Detector:
    # torch is imported only once there is something to score
    from anomae.detectors.registry import load_detector

    return load_detector(folder, device)
