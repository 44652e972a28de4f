"""Studies of made-up DICOM scans with one lesion, found by a detector that marks what is bright."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from anomae.detectors.protocol import Findings
from anomae.inference.decision import HealthyScores, decide, rules_of
from anomae.inference.finding import find_regions
from anomae.inference.score_volume import score_volume
from anomae.inference.study import Study
from anomae.inference.suitability import Suitability
from anomae.phantoms.dicom_scans import write_dicom_scan
from anomae.phantoms.phantom import make_chest, make_head
from anomae.phantoms.shapes import Phantom
from anomae.slices.settings import settings_from
from anomae.volumes.read import read_volume
from anomae.volumes.volume import Grid

SHAPE = (14, 52, 44)
RADIUS_MM = 32.0


class Bright:
    """Its map is the prepared image where that is bright, and its score the map's highest value."""

    name, map_name, description = "bright", "brightness above 0.5, prepared intensity", ""

    def inspect(self, images: np.ndarray) -> Findings:
        maps = np.clip(images[:, 0] - 0.5, 0, None).astype(np.float32)
        return Findings(maps.max(axis=(1, 2)).astype(np.float64), maps)

    def save(self, folder: Path) -> None:
        raise NotImplementedError


def with_ball(phantom: Phantom) -> Phantom:
    """The phantom, dimmed, with one ball as bright as nothing else; off every middle, so that no mirror image fits."""
    grid: Grid = phantom.grid
    spacing = np.array(grid.spacing_mm)
    centre = np.round(np.array(grid.shape) * (0.6, 0.4, 0.62)).astype(int)
    index = np.indices(grid.shape).reshape(3, -1).T
    ball = (np.linalg.norm((index - centre) * spacing, axis=1) < RADIUS_MM).reshape(grid.shape)
    voxels = np.where(ball, 4 * int(phantom.voxels.max()), phantom.voxels).astype(np.int16)
    return Phantom(voxels, ball, phantom.body, centre[None], np.array([RADIUS_MM]), ball.astype(np.uint8), grid)


@pytest.fixture(scope="session")
def phantoms() -> dict[str, Phantom]:
    return {
        "MR": with_ball(make_head(1, shape=SHAPE, lesions=0)),
        "CT": with_ball(make_chest(1, shape=SHAPE, lesions=0)),
    }


def made_study(folder: Path, *, calibrated: bool = True, threshold: float = 0.25) -> Study:
    """The study of a scan.  threshold: of findings."""
    volume = read_volume(folder)
    result = score_volume(volume, Bright(), settings_from({"image_size": SHAPE[1:]}))
    known = calibration() if calibrated else None
    assert result.map is not None
    return Study(
        name="scan",
        volume=volume,
        result=result,
        decision=decide(result.scores, rules_of(known), known),
        regions=find_regions(result.map, threshold, volume.grid, result.case.slices),
        suitability=Suitability(),
        detector="bright",
        model="0123abcd",
    )


def calibration() -> HealthyScores:
    """Scores of 40 healthy patients, 30 slices each."""
    rng = np.random.default_rng(0)
    return HealthyScores(
        rng.uniform(0, 0.2, 1200), rng.uniform(0, 0.2, 1200), np.repeat(np.arange(40), 30), "patient", "40"
    )


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory, phantoms: dict[str, Phantom]) -> Callable[[str, str], tuple]:
    """scans(modality, variant): the folder of the series, what was written, the study; each made once."""
    made: dict[tuple[str, str], tuple] = {}

    def scan(modality: str, variant: str) -> tuple:
        if (modality, variant) not in made:
            folder = tmp_path_factory.mktemp("dicom") / "scan"
            written = write_dicom_scan(
                folder,
                phantoms[modality],
                modality=modality,
                patient="PHANTOM^ONE",
                body_part="HEAD" if modality == "MR" else "",
                variant=variant,
            )
            made[modality, variant] = (folder, written, made_study(folder))
        return made[modality, variant]

    return scan


@pytest.fixture(scope="session")
def study_of() -> Callable[..., Study]:
    """study_of(folder, calibrated=True, threshold=0.25): the study of a scan; threshold: of findings."""
    return made_study
