"""Studies to make pages of: a made-up volume or picture, scored by a detector that sees what is bright."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from anomae.cohorts.channel_slices import read_colour_slices
from anomae.detectors.protocol import Findings
from anomae.inference.decision import HealthyScores, decide, rules_of
from anomae.inference.finding import find_regions
from anomae.inference.score_volume import score_slices, score_volume
from anomae.inference.study import Study
from anomae.inference.suitability import Suitability
from anomae.inference.tables import Judged
from anomae.runs.scoring_folder import ScoredScan
from anomae.slices.settings import PrepareSettings
from anomae.volumes.volume import Grid, Volume


class Bright:
    """The map is how much a pixel is above 0.6; the score is its highest value."""

    name, map_name, description = "bright", "brightness above 0.6 (share of the range)", ""

    def inspect(self, images: np.ndarray) -> Findings:
        maps = np.clip(images.mean(axis=1) - 0.6, 0, None).astype(np.float32)
        return Findings(maps.max(axis=(1, 2)).astype(np.float64), maps)

    def save(self, folder: Path) -> None:
        raise NotImplementedError


HEALTHY = HealthyScores(
    scores=np.linspace(0.01, 0.12, 60),
    map_tops=np.linspace(0.01, 0.12, 60),
    person=np.repeat(np.arange(30), 2),
    unit="patient",
    source="60 normal slices of 30 patients of the validation split",
)
# Of healthy people with brighter spots than `head` has: nothing of it is flagged.
BRIGHTER = replace(HEALTHY, scores=np.linspace(0.3, 0.6, 60), map_tops=np.linspace(0.3, 0.6, 60))
SETTINGS = PrepareSettings(image_size=(32, 32))


def head(shape: tuple[int, int, int] = (32, 32, 32), grid: Grid | None = None) -> Volume:
    """A ball with two small bright ones off its middle; intensities of 0..600 as an MR scanner gives them."""
    z, y, x = (np.linspace(-1, 1, side) for side in shape)
    at = np.meshgrid(z, y, x, indexing="ij")
    radius = np.sqrt(sum(side**2 for side in at))
    voxels = np.where(radius < 0.85, 300 + 40 * np.cos(9 * radius), 0)
    near = np.sqrt((at[0] - 0.3) ** 2 + (at[1] + 0.25) ** 2 + (at[2] - 0.35) ** 2)
    voxels = np.where(near < 0.22, 580, voxels)
    beside = np.sqrt((at[0] + 0.45) ** 2 + (at[1] - 0.2) ** 2 + (at[2] + 0.3) ** 2)
    voxels = np.where(beside < 0.13, 520, voxels)
    grid = grid or Grid(shape, (2.0, 1.5, 1.5), (-24.0, -24.0, -32.0))
    return Volume(voxels.astype(np.int16), grid, Path("Smith_John_19600101.nii.gz"), "nifti", notes=("It was mended.",))


def study_of(
    volume: Volume, *, healthy: HealthyScores | None = HEALTHY, reasons: tuple[str, ...] = (), **changes: Any
) -> Study:
    """The volume scored by `Bright`, and decided about."""
    result = score_volume(volume, Bright(), SETTINGS)
    return _decided(volume, result, healthy, reasons, **changes)


def picture_study(path: Path, *, colour: bool = False) -> Study:
    """A picture scored by `Bright`."""
    from anomae.volumes.read import read_volume

    if colour:
        return _decided(None, score_slices(read_colour_slices(path), Bright(), SETTINGS), HEALTHY, ())
    volume = read_volume(path)
    return _decided(volume, score_volume(volume, Bright(), SETTINGS), HEALTHY, ())


def _decided(volume: Any, result: Any, healthy: Any, reasons: tuple[str, ...], **changes: Any) -> Study:
    rules = rules_of(healthy)
    decision = decide(result.scores, rules, healthy, unsuited=" ".join(reasons))
    regions = None
    if rules.finding.threshold is not None and result.map is not None:
        grid = None if volume is None else volume.grid
        regions = find_regions(
            result.map, rules.finding.threshold, result.case.grid and grid, np.arange(len(result.case.images))
        )
    given = {"name": "Smith_John_19600101", "patient": "pseudonym-of-smith"} | changes
    return Study(
        volume=volume,
        result=result,
        decision=decision,
        regions=regions,
        suitability=Suitability(reasons, 3.2, 71.0),
        detector="bright",
        model="0123456789abcdef",
        **given,
    )


def judged_as(study: Study) -> Judged:
    """The study as the journal of a scoring has it."""
    result, regions = study.result, study.regions
    scan = ScoredScan(
        path=f"/scans/{study.name}.nii.gz",
        file=f"{study.name}.nii.gz",
        stamp="",
        name=study.name,
        patient=study.patient,
        slices=result.slices.tolist(),
        positions_mm=result.positions_mm.tolist(),
        scores=result.scores.tolist(),
        further={},
        pictured=0,
        heat_top=None,
        notes=[],
        findings=[] if regions is None else [asdict(each) for each in regions.findings],
        finding_threshold=study.decision.rules.finding.threshold,
        unsuited=study.suitability.reasons,
    )
    return Judged(scan, study.decision, forced=False)
