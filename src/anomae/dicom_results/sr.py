"""A structured report (Comprehensive 3D SR, TID 1500): a measurement group a finding, and one for the whole scan."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from anomae import __version__
from anomae.dicom_results.highest import source_slices
from anomae.dicom_results.seg import tracking_id, tracking_uid
from anomae.dicom_results.source import Source
from anomae.dicom_results.uids import Uids
from anomae.dicom_results.wording import (
    NOT_CLINICAL,
    SCHEME,
    SOFTWARE,
    STATEMENT,
    common_arguments,
    complete,
    instance_uid,
    long_string,
    model_number,
    own_codes,
    plain,
)
from anomae.extras import require
from anomae.files import written_whole
from anomae.inference.decision import Decision
from anomae.inference.finding import Finding
from anomae.inference.study import Study

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
_PROCEDURES = {"CT": "CTUnspecifiedBodyRegion", "MR": "MRIUnspecifiedBodyRegion", "PT": "PETUnspecifiedBodyRegion"}
_FLAGS = {
    True: ("flagged", "Flagged: above the operating threshold"),
    False: ("not-flagged", "Not flagged: not above the operating threshold"),
    None: ("no-flag", "No flag: none can be raised"),
}


def write_report(
    path: Path, study: Study, source: Source, uids: Uids, *, segmented: bool, notes: Iterable[str]
) -> None:
    """Write the report to `path`.

    segmented: a segmentation of the findings was written, which their groups then refer to.  notes: what else is to be
    said, such as why there is none.
    """
    highdicom = require("highdicom", "dicom")
    from highdicom.sr import templates
    from pydicom.sr.codedict import codes

    notes = tuple(notes)
    findings = () if study.regions is None else study.regions.findings
    groups = [_of_scan(study, source, uids, notes)]
    groups += [_of_finding(study, source, uids, finding, segmented) for finding in findings]
    observer = highdicom.sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=highdicom.sr.DeviceObserverIdentifyingAttributes(
            uid=uids.of("device"),
            name=SOFTWARE,
            manufacturer_name=SOFTWARE,
            model_name=long_string(f"{SOFTWARE} {study.detector}, version {__version__}"),
            serial_number=model_number(study),
        ),
    )
    report = highdicom.sr.MeasurementReport(
        observation_context=highdicom.sr.ObservationContext(observer_device_context=observer),
        procedure_reported=getattr(codes.LN, _PROCEDURES.get(source.modality, ""), None)
        or highdicom.sr.CodedConcept("imaging", SCHEME, "Imaging procedure"),
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
        language_of_content_item_and_descendants=templates.LanguageOfContentItemAndDescendants(
            highdicom.sr.CodedConcept("en", "RFC5646", "English")
        ),
    )
    report[0].ContentSequence.append(_text(STATEMENT))
    result = highdicom.sr.Comprehensive3DSR(
        evidence=_evidence(source, uids, segmented),
        content=report[0],
        is_complete=True,
        coding_schemes=own_codes(),
        **{**common_arguments(study, uids, "sr"), "sop_instance_uid": _own_uid(uids, segmented, notes)},
    )
    complete(result, source, "report")
    with written_whole(path) as temporary:
        result.save_as(temporary, enforce_file_format=True)


def _own_uid(uids: Uids, segmented: bool, notes: tuple[str, ...]) -> str:
    """A report that refers to no segmentation, or says why results are missing, is another one than that of all."""
    return instance_uid(uids, "sr") if segmented and not notes else uids.of("sr", "instance", int(segmented), *notes)


def _of_scan(study: Study, source: Source, uids: Uids, notes: Iterable[str]) -> Any:
    """The group of the whole scan: score, threshold, flag, and how they were calibrated."""
    from highdicom import sr

    decision, code = study.decision, sr.CodedConcept
    number, meaning = _FLAGS[decision.scan_flag]
    measured = [_measured(code("scan-score", SCHEME, "Anomaly score of the scan"), decision.scan_score)]
    if decision.rules.scan.threshold is not None:
        name = code("scan-threshold", SCHEME, "Operating threshold of the scan score")
        measured.append(_measured(name, decision.rules.scan.threshold))
    if decision.rules.scan.bound is not None:
        name = code("healthy-flagged", SCHEME, "Healthy scans flagged at most, share")
        measured.append(_measured(name, decision.rules.scan.bound))
    if decision.flags is not None:
        name = code("slices-flagged", SCHEME, "Number of slices flagged")
        measured.append(_measured(name, float(decision.flags.sum())))
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=uids.of("scan", "tracking"), identifier=f"{SOFTWARE} whole scan"),
        algorithm_id=_algorithm(study),
        measurements=measured,
        qualitative_evaluations=[
            sr.QualitativeEvaluation(
                name=code("scan-flag", SCHEME, "Flag of the scan"), value=code(number, SCHEME, meaning)
            )
        ],
        # The highest slices; that all are meant, the evidence says.
        source_images=_images(source, source_slices(study)),
    )
    for sentence in (*_sentences(study, decision), *notes):
        group[0].ContentSequence.append(_text(sentence))
    return group


def _sentences(study: Study, decision: Decision) -> list[str]:
    """How the scan was judged, in words."""
    rules = decision.rules
    told = [f"Scan: {rules.scan.sentence}", f"Slices: {rules.slice.sentence}", f"Findings: {rules.finding.sentence}"]
    if decision.calibration:
        told.insert(0, f"Calibrated on {decision.calibration}.")
    if decision.unflagged:
        told.insert(0, f"Why no flag is raised: {decision.unflagged}")
    if study.regions is not None and study.regions.left_out:
        told.append(f"{study.regions.left_out} further regions, of lower maximum, are not listed.")
    told += study.suitability.doubts
    return told + [f"The model was not made for this scan: {reason}" for reason in study.suitability.reasons]


def _of_finding(study: Study, source: Source, uids: Uids, finding: Finding, segmented: bool) -> Any:
    from highdicom import sr
    from pydicom.sr.codedict import codes

    code = sr.CodedConcept
    value = code("map-value", SCHEME, "Value of the anomaly map")
    measured = [
        _measured(value, finding.maximum, derivation=codes.SCT.Maximum),
        _measured(value, finding.mean, derivation=codes.SCT.Mean),
        _measured(code("first-slice", SCHEME, "First axial slice, as numbered in scores.csv"), finding.slices[0]),
        _measured(code("last-slice", SCHEME, "Last axial slice, as numbered in scores.csv"), finding.slices[1]),
    ]
    if finding.volume_mm3 is not None:
        measured.append(_measured(codes.SCT.Volume, finding.volume_mm3, codes.UCUM.CubicMillimeter))
    slices = range(*finding.box[0])
    arguments: dict[str, Any] = {
        "tracking_identifier": sr.TrackingIdentifier(uid=tracking_uid(uids, finding), identifier=tracking_id(finding)),
        "finding_type": codes.SCT.MorphologicallyAbnormalStructure,
        "algorithm_id": _algorithm(study),
        "measurements": measured,
    }
    if segmented:
        # By hand: ReferencedSegment.from_segmentation fails on a segmentation of one segment.
        segment = sr.ReferencedSegment(
            sop_class_uid=SEGMENTATION,
            sop_instance_uid=instance_uid(uids, "seg"),
            segment_number=finding.number,
            source_images=[
                sr.SourceImageForSegmentation(sop_class, instance, frames or None)
                for (sop_class, instance), frames in source.references(slices).items()
            ],
        )
        group: Any = sr.VolumetricROIMeasurementsAndQualitativeEvaluations(referenced_segment=segment, **arguments)
    else:
        group = sr.MeasurementsAndQualitativeEvaluations(source_images=_images(source, slices), **arguments)
    group[0].ContentSequence.append(_text(f"Map: {study.result.map_name}. {NOT_CLINICAL}."))
    return group


def _measured(name: Any, value: float, unit: Any = None, derivation: Any = None) -> Any:
    from highdicom import sr
    from pydicom.sr.codedict import codes

    rounded = float(f"{value:.7g}")  # a decimal string has 16 characters
    return sr.Measurement(name=name, value=rounded, unit=unit or codes.UCUM.NoUnits, derivation=derivation)


def _algorithm(study: Study) -> Any:
    from highdicom import sr

    return sr.AlgorithmIdentification(
        name=plain(f"{SOFTWARE} {study.detector}"), version=__version__, parameters=[f"model {model_number(study)}"]
    )


def _text(content: str) -> Any:
    """A sentence within a group or the report."""
    from highdicom.sr import RelationshipTypeValues, TextContentItem
    from pydicom.sr.codedict import codes

    return TextContentItem(
        name=codes.DCM.Comment, value=plain(content), relationship_type=RelationshipTypeValues.CONTAINS
    )


def _images(source: Source, indices: Iterable[int]) -> list[Any]:
    """The instances of these slices; where all frames of a file are meant, they are not counted one by one."""
    from highdicom.sr import SourceImageForMeasurementGroup

    found = []
    everything = source.references(range(len(source.slices)))
    for (sop_class, instance), frames in source.references(indices).items():
        some = frames if len(frames) < len(everything[sop_class, instance]) else None
        found.append(SourceImageForMeasurementGroup(sop_class, instance, some))
    return found


def _evidence(source: Source, uids: Uids, segmented: bool) -> list[Any]:
    """A header an instance that the report refers to."""
    from pydicom import Dataset

    found = source.stand_ins([0])
    everything = [(source.series_uid, *names) for names in source.references(range(len(source.slices)))]
    if segmented:
        everything.append((uids.of("seg", "series"), SEGMENTATION, instance_uid(uids, "seg")))
    for count, (series, sop_class, instance) in enumerate(everything):
        one = Dataset() if count else found[0]
        one.StudyInstanceUID, one.SeriesInstanceUID = source.study_uid, series
        one.SOPClassUID, one.SOPInstanceUID = sop_class, instance
        found += [one] if count else []
    return found
