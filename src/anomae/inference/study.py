"""All that a model says about one scan."""

from dataclasses import dataclass

from anomae.inference.decision import Decision
from anomae.inference.finding import FoundRegions
from anomae.inference.score_volume import VolumeResult
from anomae.inference.suitability import Suitability
from anomae.volumes.volume import Volume


@dataclass(frozen=True, slots=True)
class Study:
    """One scan, scored and decided about: what every output (tables, DICOM results, pages) is written from.

    name: of its outputs, safe in a file system, naming no patient. volume: as read; None for a picture in colour.
    result: scores and map. decision: flags. regions: findings; None where the detector draws no map, there is no
    finding threshold, or the scan gets no flag because the model was not made for it. suitability: whether the model
    was made for it. detector: its name. model: a short fingerprint of what was fitted. patient: pseudonym, "" where
    unknown.
    """

    name: str
    volume: Volume | None
    result: VolumeResult
    decision: Decision
    regions: FoundRegions | None
    suitability: Suitability
    detector: str
    model: str
    patient: str = ""
