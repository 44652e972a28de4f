"""Segmentations: a binary one with a segment a finding, and a fractional one of the whole map."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae import __version__
from anomae.dicom_results.pixels import write_with_pixels
from anomae.dicom_results.source import Source, cite
from anomae.dicom_results.uids import Uids
from anomae.dicom_results.wording import (
    NOT_CLINICAL,
    SOFTWARE,
    STATEMENT,
    common_arguments,
    complete,
    content_description,
    long_string,
    model_number,
    plain,
)
from anomae.extras import require
from anomae.files import written_whole
from anomae.inference.finding import Finding, FoundRegions
from anomae.inference.study import Study

_HIGHEST = 255  # of the steps that a fractional segmentation has


def write_findings(path: Path, study: Study, source: Source, uids: Uids, regions: FoundRegions) -> None:
    """Write a BINARY segmentation to `path`: segment k is finding k; frames without findings are left out.

    regions: with one finding at least.
    """
    highdicom = require("highdicom", "dicom")
    touched = np.array([index for index, labels in enumerate(regions.labels) if labels.any()])
    result = highdicom.seg.Segmentation(
        source_images=source.stand_ins(touched),
        pixel_array=regions.labels[touched],
        segmentation_type="BINARY",
        segment_descriptions=[_segment(study, uids, finding) for finding in regions.findings],
        content_label="FINDINGS",
        content_description=content_description(f"{len(regions.findings)} finding(s)"),
        **common_arguments(study, uids, "seg"),
    )
    _finish(result, source, uids, "seg", "findings")
    with written_whole(path) as temporary:
        result.save_as(temporary, enforce_file_format=True)


def write_fractions(path: Path, study: Study, source: Source, uids: Uids, heat: npt.NDArray[np.float32]) -> None:
    """Write a FRACTIONAL segmentation to `path`: the map (z, y, x) over its highest value, which is above 0.

    The file says that this is no probability: DICOM has but two names for a fraction, and neither is this.
    """
    highdicom = require("highdicom", "dicom")
    top = max(float(one.max()) for one in heat)
    shown = [index for index, one in enumerate(heat) if (one > 0).any()]
    # One pixel a frame: highdicom would hold all frames twice.
    pixel = np.zeros((len(shown), 1, 1), dtype=np.float32)
    description = f"No probability: map divided by {top:.4g}"
    segment = highdicom.seg.SegmentDescription(
        segment_number=1,
        segment_label="Anomaly map",
        tracking_id=f"{SOFTWARE} anomaly map",
        tracking_uid=uids.of("map", "tracking"),
        **_of_every_segment(study),
    )
    segment.SegmentDescription = plain(f"{study.result.map_name}. {description}. {STATEMENT}")
    result = highdicom.seg.Segmentation(
        source_images=source.stand_ins(shown, one_pixel=True),
        pixel_array=pixel,
        segmentation_type="FRACTIONAL",
        fractional_type="PROBABILITY",
        max_fractional_value=_HIGHEST,
        segment_descriptions=[segment],
        omit_empty_frames=False,
        content_label="ANOMALY_MAP",
        content_description=long_string(f"Not for clinical use. {description}"),
        **common_arguments(study, uids, "segf"),
    )
    _finish(result, source, uids, "segf", "map")
    order = order_of_frames(result, source, shown)

    def steps() -> Iterator[npt.NDArray[np.uint8]]:
        for index in order:
            yield np.rint(np.clip(heat[index] / top, 0, 1) * _HIGHEST).astype(np.uint8)

    write_with_pixels(path, result, "PixelData", steps(), (len(shown), source.rows, source.columns), np.uint8)


def tracking_uid(uids: Uids, finding: Finding) -> str:
    """By which segmentation and report mean the same finding."""
    return uids.of("finding", finding.number)


def tracking_id(finding: Finding) -> str:
    """The same for people."""
    return f"{SOFTWARE} finding {finding.number}"


def fix_dimensions(result: Any, uids: Uids, kind: str) -> None:
    """The UID by which frames are ordered, which highdicom draws, derived as all others are."""
    uid = uids.of(kind, "dimensions")
    for item in (*result.DimensionOrganizationSequence, *result.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid


def order_of_frames(result: Any, source: Source, shown: Iterable[int]) -> list[int]:
    """Which voxel slice each frame of `result` is, by the instance and frame it was derived from."""
    index_of = {(source.slices[index].instance, source.slices[index].frame): index for index in shown}
    order = []
    for group in result.PerFrameFunctionalGroupsSequence:
        image = group.DerivationImageSequence[0].SourceImageSequence[0]
        frame = image.get("ReferencedFrameNumber")
        order.append(index_of[str(image.ReferencedSOPInstanceUID), None if frame is None else int(frame)])
    return order


def _segment(study: Study, uids: Uids, finding: Finding) -> Any:
    from highdicom.seg import SegmentDescription

    segment = SegmentDescription(
        segment_number=finding.number,
        segment_label=f"Finding {finding.number}",
        tracking_id=tracking_id(finding),
        tracking_uid=tracking_uid(uids, finding),
        **_of_every_segment(study),
    )
    size = "" if finding.volume_mm3 is None else f", {finding.volume_mm3:.4g} mm3"
    height = f"highest {finding.maximum:.4g}, mean {finding.mean:.4g} ({study.result.map_name})"
    segment.SegmentDescription = plain(f"Finding {finding.number}: {height}{size}. {STATEMENT}")
    return segment


def _of_every_segment(study: Study) -> dict[str, Any]:
    from highdicom import AlgorithmIdentificationSequence
    from pydicom.sr.codedict import codes

    return {
        # What differs from healthy may be anything, so no more than this is said of it.
        "segmented_property_category": codes.SCT.MorphologicallyAbnormalStructure,
        "segmented_property_type": codes.SCT.MorphologicallyAbnormalStructure,
        "algorithm_type": "AUTOMATIC",
        "algorithm_identification": AlgorithmIdentificationSequence(
            name=long_string(f"{SOFTWARE} {study.detector}"),
            family=codes.DCM.ArtificialIntelligence,
            version=__version__,
            source=SOFTWARE,
            parameters={"model": model_number(study)},
        ),
    }


def _finish(result: Any, source: Source, uids: Uids, kind: str, what: str) -> None:
    cite(result, source)
    fix_dimensions(result, uids, kind)
    complete(result, source, what)
    result.ImageComments = f"{NOT_CLINICAL}."
