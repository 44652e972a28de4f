"""The contract suites, importable by anyone: what every detector and every reader must keep, on made-up images.

    from anomae.testing import check_detector
    check_detector(lambda: MyDetector(MySettings()))

    A cohort of your own: write its layout with `marked_scan` and `marked_lesions`, prepare it at 16 x 16 pixels with
    intensity "none", and `check_marked_store` reads from the pixels whether a lesion trains or a patient is torn.

All raise AssertionError with a sentence that says what does not hold; nothing of pytest is needed.  To run the checks
one by one, take DETECTOR_CHECKS with a `DetectorTrial`, or READER_CHECKS with a `ReaderTrial`.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from anomae.detectors.contract import DETECTOR_CHECKS
from anomae.detectors.protocol import Detector
from anomae.detectors.trial import DetectorTrial, made_up_images, made_up_slices
from anomae.slices.contract import (
    Mark,
    MarkedRow,
    check_marked_store,
    marked_lesions,
    marked_scan,
    marked_slice,
    read_mark,
)
from anomae.volumes.contract import READER_CHECKS, ReaderTrial, Write, made_up_voxels, oblique_grid
from anomae.volumes.read import read_volume
from anomae.volumes.volume import Volume

__all__ = [
    "DETECTOR_CHECKS",
    "READER_CHECKS",
    "DetectorTrial",
    "Mark",
    "MarkedRow",
    "ReaderTrial",
    "check_detector",
    "check_marked_store",
    "check_reader",
    "made_up_images",
    "made_up_slices",
    "made_up_voxels",
    "marked_lesions",
    "marked_scan",
    "marked_slice",
    "oblique_grid",
    "read_mark",
]


def check_detector(make: Callable[[], Detector], folder: Path | None = None, **facts: Any) -> None:
    """Try all that anomae.detectors.protocol says of a detector.

    make: gives one that is not fitted, small enough to learn from 40 images of 32 x 32 pixels in seconds.  folder:
    where it may write; None: a temporary one.  facts: what it may be, as `DetectorTrial` has it: draws, channels,
    refusals, device.  Raises AssertionError for the first check that fails.
    """
    with tempfile.TemporaryDirectory() as temporary:
        trial = DetectorTrial(make, folder or Path(temporary), **facts)
        for check in DETECTOR_CHECKS.values():
            check(trial)


def check_reader(
    write: Write, folder: Path | None = None, *, read: Callable[..., Volume] = read_volume, **facts: Any
) -> None:
    """Try what must hold of a scan in any format.

    write: writes voxels and their grid into a folder and gives the path of the scan, by other means than the reader's.
    read: path -> Volume; by default through the registry, as every command reads.  facts: what the format keeps, as
    `ReaderTrial` has it: dtypes, geometry, slices.  Raises AssertionError for the first check that fails.
    """
    with tempfile.TemporaryDirectory() as temporary:
        trial = ReaderTrial(write, folder or Path(temporary), read, **facts)
        for check in READER_CHECKS.values():
            check(trial)
