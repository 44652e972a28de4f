"""Results in every geometry and form: valid to independent programs, and where the lesion is."""

import shutil
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest

from anomae.dicom_results.write import KINDS, DicomResults, checked_kinds, write_dicom
from anomae.errors import MissingExtra, UserError
from anomae.inference.finding import find_regions
from anomae.inference.study import Study
from anomae.inference.suitability import Suitability
from anomae.volumes.dicom_headers import NotAPicture, read_frames
from anomae.volumes.read import read_volume
from anomae.volumes.write import write_volume

CASES = [
    ("MR", "axial"),
    ("MR", "sagittal"),
    ("MR", "oblique"),
    ("CT", "tilted"),
    ("CT", "compressed"),
    ("CT", "enhanced"),
]
Scans = Callable[[str, str], tuple]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, scans: Scans) -> Callable[[str, str], tuple]:
    """results(modality, variant): folder of the scan, what was written, study, results of all kinds; made once."""
    made: dict[tuple[str, str], tuple] = {}

    def of(modality: str, variant: str) -> tuple:
        if (modality, variant) not in made:
            out = tmp_path_factory.mktemp("results")
            folder, written, study = scans(modality, variant)
            made[modality, variant] = (folder, written, study, write_dicom(study, [*KINDS], out, "scan"))
        return made[modality, variant]

    return of


def file_of(results: DicomResults, kind: str) -> Path:
    (path,) = (path for path in results.files if path.name == f"scan-{kind}.dcm")
    return path


def frames_in_world(result: pydicom.Dataset) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each frame the corner (3,) and the two steps (3, 2) from column to column and from row to row, in mm."""
    shared = result.SharedFunctionalGroupsSequence[0]
    turn = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    down, across = (float(mm) for mm in shared.PixelMeasuresSequence[0].PixelSpacing)
    steps = np.stack([turn[:3] * across, turn[3:] * down], axis=1)
    return [
        (np.array(group.PlanePositionSequence[0].ImagePositionPatient, float), steps)
        for group in result.PerFrameFunctionalGroupsSequence
    ]


def in_voxels(written: Any, world: np.ndarray) -> np.ndarray:
    """World mm as (x, y, z) voxels of the scan."""
    return (np.linalg.inv(written.grid.affine_lps()) @ [*world, 1.0])[:3]


@pytest.mark.parametrize(("modality", "variant"), CASES)
def test_independent_programs_find_no_error(
    results: Callable, dciodvfy: Callable, dsrdump: Callable, modality: str, variant: str
) -> None:
    *_, study, written = results(modality, variant)
    assert [path.name for path in written.files] == [f"scan-{kind}.dcm" for kind in KINDS]
    assert written.notes == ()
    for path in written.files:
        assert dciodvfy(path) == [], path.name
    told = dsrdump(file_of(written, "sr"))
    assert told.count('"Measurement Group"') == 1 + len(study.regions.findings)
    assert '"Flag of the scan")=(flagged,' in told
    assert "Referenced Segment" in told


def test_no_result_is_read_as_a_scan(results: Callable) -> None:
    *_, made = results("MR", "axial")
    for path in made.files:
        with pytest.raises(NotAPicture, match="anomae wrote"):
            read_frames(path)


@pytest.mark.parametrize(("modality", "variant"), CASES)
def test_the_segment_lies_on_the_lesion(results: Callable, modality: str, variant: str) -> None:
    _, written, study, made = results(modality, variant)
    wanted = np.argwhere(written.lesions).mean(axis=0)[::-1]
    seg = pydicom.dcmread(file_of(made, "seg"))
    assert seg.SegmentationType == "BINARY"
    assert len(seg.SegmentSequence) == 1
    pixels = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns)
    points = []
    for (corner, steps), frame in zip(frames_in_world(seg), pixels, strict=True):
        points += [corner + steps @ where[::-1] for where in np.argwhere(frame)]
    assert len(points) == study.regions.findings[0].voxels
    np.testing.assert_allclose(in_voxels(written, np.mean(points, axis=0)), wanted, atol=0.5)
    by_highdicom = highdicom.seg.segread(file_of(made, "seg"))
    assert by_highdicom.get_tracking_ids() == [("anomae finding 1", seg.SegmentSequence[0].TrackingUID)]
    if variant != "tilted":  # its frames make no box, which is all that highdicom's volumes can be
        volume = by_highdicom.get_volume(combine_segments=True)
        middle = volume.map_indices_to_reference(np.argwhere(volume.array).mean(axis=0)[None])[0]
        np.testing.assert_allclose(in_voxels(written, middle), wanted, atol=0.5)


@pytest.mark.parametrize(("modality", "variant"), CASES)
def test_every_frame_lies_on_the_picture_that_it_names(results: Callable, modality: str, variant: str) -> None:
    folder, _, study, made = results(modality, variant)
    sources = {}
    for path in sorted(folder.iterdir()):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        for frame in read_frames(path):
            number = frame.number + 1 if variant == "enhanced" else None
            sources[frame.instance, number] = (frame.position_mm, header.SOPClassUID)
    for kind in ("seg", "segf", "pm"):
        result = pydicom.dcmread(file_of(made, kind))
        named = set()
        for group, (corner, _) in zip(result.PerFrameFunctionalGroupsSequence, frames_in_world(result), strict=True):
            (image,) = group.DerivationImageSequence[0].SourceImageSequence
            key = (image.ReferencedSOPInstanceUID, image.get("ReferencedFrameNumber"))
            assert image.ReferencedSOPClassUID == sources[key][1]
            np.testing.assert_allclose(corner, sources[key][0], atol=1e-4)
            named.add(key[0])
        assert {one.ReferencedSOPInstanceUID for one in result.SourceImageSequence} == named
        (series,) = result.ReferencedSeriesSequence
        assert series.SeriesInstanceUID == study.volume.dicom.series_uid
        assert [one.ReferencedSOPInstanceUID for one in series.ReferencedInstanceSequence] == [
            one.ReferencedSOPInstanceUID for one in result.SourceImageSequence
        ]


@pytest.mark.parametrize(("modality", "variant"), CASES)
def test_the_map_is_the_map_voxel_for_voxel(results: Callable, modality: str, variant: str) -> None:
    _, written, study, made = results(modality, variant)
    for kind, tolerance in (("pm", 0), ("segf", study.result.map.max() / 500)):
        result = pydicom.dcmread(file_of(made, kind))
        pixels = result.pixel_array.reshape(-1, result.Rows, result.Columns).astype(np.float64)
        if kind == "segf":
            assert (result.SegmentationType, result.MaximumFractionalValue) == ("FRACTIONAL", 255)
            pixels *= float(study.result.map.max()) / 255
        heat = np.zeros(study.result.map.shape)
        for (corner, _), frame in zip(frames_in_world(result), pixels, strict=True):
            heat[round(in_voxels(written, corner)[2])] = frame
        np.testing.assert_allclose(heat, study.result.map, atol=tolerance)
    (mapping,) = pydicom.dcmread(file_of(made, "pm")).SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence
    assert mapping.LUTExplanation == study.result.map_name
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1, 0)


@pytest.mark.parametrize(("modality", "variant"), [CASES[0], CASES[-1]])
def test_patient_study_software_and_warning_are_in_every_file(results: Callable, modality: str, variant: str) -> None:
    folder, _, study, made = results(modality, variant)
    source = pydicom.dcmread(next(folder.iterdir()))
    series = {source.SeriesInstanceUID}
    for path in made.files:
        result = pydicom.dcmread(path)
        for name in ("PatientID", "PatientName", "StudyInstanceUID", "StudyDate"):
            assert result[name].value == source[name].value
        if not path.name.endswith("-sr.dcm"):
            assert result.FrameOfReferenceUID == source.FrameOfReferenceUID
            assert "not for clinical use" in result.ImageComments
        assert "not for clinical use" in result.SeriesDescription
        assert result.Manufacturer == "anomae"
        assert result.SoftwareVersions
        assert result.SeriesInstanceUID not in series
        series.add(result.SeriesInstanceUID)
        assert study.model.encode() in path.read_bytes()
        if path.name.endswith(("-pm.dcm", "-sc.dcm")):
            assert ("BodyPartExamined" in result) == ("BodyPartExamined" in source)
    assert "No probability" in pydicom.dcmread(file_of(made, "segf")).ContentDescription


def test_uids_are_derived(scans: Scans, results: Callable, tmp_path: Path) -> None:
    *_, study, made = results("MR", "axial")

    def uids(study: Study, **options: Any) -> dict[str, str]:
        out = write_dicom(study, ["seg", "sr"], tmp_path, "scan", **options)
        return {path.name: pydicom.dcmread(path).SOPInstanceUID for path in out.files}

    first = uids(study)
    assert first == {path.name: pydicom.dcmread(path).SOPInstanceUID for path in made.files if path.name in first}
    assert all(uid.startswith("2.25.") and uid.is_valid for uid in first.values())
    own = uids(study, uid_root="1.2.826.0.1.1234567")
    assert all(uid.startswith("1.2.826.0.1.1234567.") and uid.is_valid for uid in own.values())
    assert not set(first.values()) & set(uids(replace(study, model="other")).values())
    text = (tmp_path / "scan-seg.dcm").read_bytes()
    assert b"1.2.826.0.1.3680043.10" not in text  # of UIDs that libraries draw at random


def test_reports_that_say_other_things_are_other_reports(scans: Scans, tmp_path: Path) -> None:
    *_, study = scans("MR", "axial")
    bare = replace(study, regions=None)
    uids = []
    for made, kinds in ((study, "sr"), (study, "seg,sr"), (study, "pm,seg,sr"), (bare, "sr"), (bare, "seg,sr")):
        out = write_dicom(made, checked_kinds(kinds), tmp_path, "scan")
        uids.append(pydicom.dcmread(file_of(out, "sr")).SOPInstanceUID)
    assert uids[1] == uids[2]  # of the same content
    assert len(set(uids)) == 4


def test_report_and_segmentation_name_the_same_segments(scans: Scans, tmp_path: Path, dciodvfy: Callable) -> None:
    *_, study = scans("MR", "axial")
    heat = study.result.map.copy()
    heat[3, 20:24, 10:13] = 0.4
    two = replace(
        study,
        result=replace(study.result, map=heat),
        regions=find_regions(heat, 0.25, study.volume.grid, study.result.case.slices),
    )
    made = write_dicom(two, ["sr", "seg"], tmp_path, "scan")
    seg, sr = pydicom.dcmread(file_of(made, "seg")), highdicom.sr.srread(file_of(made, "sr"))
    assert dciodvfy(file_of(made, "sr")) == dciodvfy(file_of(made, "seg")) == []
    by_uid = {segment.TrackingUID: segment.SegmentNumber for segment in seg.SegmentSequence}
    assert len(by_uid) == 2
    groups = sr.content.get_volumetric_roi_measurement_groups()
    for finding, group in zip(two.regions.findings, groups, strict=True):
        (reference,) = (
            item.ReferencedSOPSequence[0]
            for item in group[0].ContentSequence
            if item.ConceptNameCodeSequence[0].CodeMeaning == "Referenced Segment"
        )
        assert reference.ReferencedSOPInstanceUID == seg.SOPInstanceUID
        assert reference.ReferencedSegmentNumber == finding.number
        assert by_uid[group.tracking_uid] == finding.number
        measured = [(one.name.meaning, one.value) for one in group.get_measurements()]
        assert measured[0][1] == pytest.approx(finding.maximum)
        assert measured[1][1] == pytest.approx(finding.mean)
        assert [value for _, value in measured[2:4]] == [*finding.slices]
        assert measured[4][1] == pytest.approx(finding.volume_mm3)
    evidence = {uid for *_, uid, _ in sr.get_evidence()}
    assert seg.SOPInstanceUID in evidence
    assert {picture.sop_instance_uid for picture in study.volume.dicom.pictures} < evidence


def test_two_findings_of_one_slice_refer_to_its_one_instance(scans: Scans, tmp_path: Path) -> None:
    *_, study = scans("MR", "axial")
    heat = study.result.map.copy()
    number = int(study.regions.labels.any(axis=(1, 2)).argmax())
    heat[number, :3, :3] = 0.4
    regions = find_regions(heat, 0.25, study.volume.grid, study.result.case.slices)
    two = replace(study, result=replace(study.result, map=heat), regions=regions)
    seg = pydicom.dcmread(file_of(write_dicom(two, ["seg"], tmp_path, "scan"), "seg"))
    cited = [
        (frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber, image.ReferencedSOPInstanceUID)
        for frame in seg.PerFrameFunctionalGroupsSequence
        for image in frame.DerivationImageSequence[0].SourceImageSequence
    ]
    instance = study.volume.dicom.pictures[number].sop_instance_uid
    assert {segment for segment, uid in cited if uid == instance} == {1, 2}


def test_without_findings_there_is_no_segmentation_and_the_report_says_so(
    scans: Scans, tmp_path: Path, dsrdump: Callable
) -> None:
    *_, study = scans("MR", "axial")
    write_dicom(study, ["seg"], tmp_path, "scan")
    none = replace(study, regions=find_regions(study.result.map, 9.0, study.volume.grid, study.result.case.slices))
    made = write_dicom(none, ["seg", "sr"], tmp_path, "scan")
    assert [path.name for path in made.files] == ["scan-sr.dcm"]
    assert [path.name for path in tmp_path.iterdir()] == ["scan-sr.dcm"]
    assert "scan-seg.dcm" in made.notes[0]
    assert "no finding" in made.notes[0]
    assert dsrdump(tmp_path / "scan-sr.dcm").count('"Measurement Group"') == 1
    assert b"No segmentation: there is no finding" in (tmp_path / "scan-sr.dcm").read_bytes()


def test_what_the_results_are_called_is_not_in_them_nor_in_their_uids(scans: Scans, tmp_path: Path) -> None:
    *_, study = scans("MR", "axial")
    none = replace(study, regions=find_regions(study.result.map, 9.0, study.volume.grid, study.result.case.slices))
    for each in (study, none):
        uids = []
        for name in ("scan", "Doe_John_1950"):
            files = write_dicom(each, [*KINDS], tmp_path / name, name).files
            assert not any(b"Doe_John" in file.read_bytes() for file in files)
            uids.append([str(pydicom.dcmread(file).SOPInstanceUID) for file in files])
        assert uids[0] == uids[1]


def test_a_report_alone_refers_to_the_pictures(scans: Scans, tmp_path: Path, dciodvfy: Callable) -> None:
    *_, study = scans("CT", "enhanced")
    made = write_dicom(study, ["sr"], tmp_path, "scan")
    assert dciodvfy(made.files[0]) == []
    groups = highdicom.sr.srread(made.files[0]).content.get_image_measurement_groups()
    assert [group.tracking_identifier for group in groups] == ["anomae whole scan", "anomae finding 1"]
    z0, z1 = study.regions.findings[0].box[0]
    (image,) = groups[1].source_images
    assert sorted(image.referenced_frame_numbers) == sorted(p.frame for p in study.volume.dicom.pictures[z0:z1])


def test_a_detector_without_maps_leaves_a_report(scans: Scans, tmp_path: Path) -> None:
    *_, study = scans("MR", "axial")
    bare = replace(study, result=replace(study.result, map=None), regions=None)
    made = write_dicom(bare, [*KINDS], tmp_path, "scan")
    assert [path.name for path in made.files] == ["scan-sr.dcm"]
    assert len(made.notes) == 4
    assert all("no map" in note for note in made.notes)


def test_what_cannot_be_written_is_refused(scans: Scans, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    *_, study = scans("MR", "axial")
    write_volume(tmp_path / "scan.nii.gz", study.volume.voxels, study.volume.grid)
    nifti = replace(study, volume=read_volume(tmp_path / "scan.nii.gz"))
    with pytest.raises(UserError, match=r"scan\.nii\.gz \(nifti\) is none"):
        write_dicom(nifti, ["sr"], tmp_path / "out", "scan")
    with pytest.raises(UserError, match="colour"):
        write_dicom(replace(study, volume=None), ["sr"], tmp_path / "out", "scan")
    with pytest.raises(UserError, match="--uid-root"):
        write_dicom(study, ["sr"], tmp_path / "out", "scan", uid_root="1.2.a")
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(MissingExtra, match=r"anomae\[dicom\]"):
        write_dicom(study, ["sr"], tmp_path / "out", "scan")
    assert not (tmp_path / "out").exists()


def test_kinds_are_read_from_a_list() -> None:
    assert checked_kinds(" seg,SR,seg") == ("seg", "sr")
    for text in ("", "seg,labelmap", ","):
        with pytest.raises(UserError, match="--dicom"):
            checked_kinds(text)


def change(folder: Path, **attributes: Any) -> None:
    """Change attributes of all slices in a folder; None takes one away."""
    for path in folder.iterdir():
        header = pydicom.dcmread(path)
        for name, content in attributes.items():
            if content is None:
                del header[name]
            else:
                header.add_new(name, pydicom.datadict.dictionary_VR(name), content)
        header.save_as(path)


@pytest.fixture
def series(tmp_path: Path, scans: Scans) -> Path:
    """A copy of an axial series."""
    return Path(shutil.copytree(scans("MR", "axial")[0], tmp_path / "series"))


def test_sparse_headers_and_names_of_other_letters(
    study_of: Callable, series: Path, tmp_path: Path, dciodvfy: Callable
) -> None:
    gone = dict.fromkeys(
        ("BodyPartExamined", "StudyDate", "StudyID", "AccessionNumber", "PatientBirthDate", "ReferringPhysicianName")
    )
    change(series, SpecificCharacterSet="ISO_IR 192", PatientName="Muñoz^Zoë=山田^太郎", PatientSex=None, **gone)
    study = study_of(series)
    made = write_dicom(study, [*KINDS], tmp_path / "out", "scan")
    assert len(made.files) == len(KINDS)
    for path in made.files:
        result = pydicom.dcmread(path)
        assert str(result.PatientName) == "Muñoz^Zoë=山田^太郎"
        assert result.PatientSex is None or result.PatientSex == ""
        assert dciodvfy(path) == []


def test_a_name_that_is_none_is_copied_and_told_to_nobody(
    study_of: Callable,
    series: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        change(series, PatientName="SECRET=A=B=C=D^E^F^G^H^I", PatientSex="SECRET", PatientBirthDate="SECRET 1970")
    study = study_of(series)
    caplog.clear()
    made = write_dicom(study, [*KINDS], tmp_path / "out", "scan")
    told = capsys.readouterr()
    assert "SECRET" not in told.out + told.err + caplog.text
    assert all(b"SECRET=A=B=C=D^E^F^G^H^I" in path.read_bytes() for path in made.files)


def test_the_order_and_the_names_of_files_count_for_nothing(
    study_of: Callable, series: Path, tmp_path: Path, scans: Scans
) -> None:
    *_, study = scans("MR", "axial")
    for count, path in enumerate(sorted(series.iterdir())):
        path.rename(series / f"{(count * 5) % 14:02d}_{path.name}")
    for count, path in enumerate(sorted(series.iterdir())):
        header = pydicom.dcmread(path)
        header.InstanceNumber = count + 1
        header.save_as(path)
    one, other = (
        write_dicom(each, ["seg", "pm"], tmp_path / name, "scan")
        for name, each in (("a", study), ("b", study_of(series)))
    )
    for first, second in zip(one.files, other.files, strict=True):
        a, b = pydicom.dcmread(first), pydicom.dcmread(second)
        np.testing.assert_array_equal(a.pixel_array, b.pixel_array)
        assert a.PerFrameFunctionalGroupsSequence == b.PerFrameFunctionalGroupsSequence
        assert a.SOPInstanceUID == b.SOPInstanceUID


def test_without_a_frame_of_reference_only_report_and_picture(
    study_of: Callable, series: Path, tmp_path: Path, dciodvfy: Callable
) -> None:
    change(series, FrameOfReferenceUID=None)
    made = write_dicom(study_of(series), [*KINDS], tmp_path / "out", "scan")
    assert [path.name for path in made.files] == ["scan-sr.dcm", "scan-sc.dcm"]
    assert all("frame of reference" in note for note in made.notes)
    assert [dciodvfy(path) for path in made.files] == [[], []]


def test_files_without_uids_or_changed_files_are_refused(study_of: Callable, series: Path, tmp_path: Path) -> None:
    study = study_of(series)
    change(series, SOPInstanceUID="1.2.3.4")
    with pytest.raises(UserError, match="no longer the file that was scored"):
        write_dicom(study, ["sr"], tmp_path / "out", "scan")
    change(series, StudyInstanceUID=None)
    with pytest.raises(UserError, match="StudyInstanceUID"):
        write_dicom(study_of(series), ["sr"], tmp_path / "out", "scan")


def test_files_of_one_instance_uid_are_refused(study_of: Callable, series: Path, tmp_path: Path) -> None:
    """Every frame of a map would else hold one and the same slice."""
    change(series, SOPInstanceUID="1.2.3.4")
    study = study_of(series)
    for kind in KINDS:
        with pytest.raises(UserError, match="one SOPInstanceUID in several of its files"):
            write_dicom(study, [kind], tmp_path / "out", "scan")
    assert not (tmp_path / "out").exists()


def test_one_slice_alone_and_no_calibration(
    study_of: Callable, series: Path, tmp_path: Path, dciodvfy: Callable
) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(sorted(series.iterdir())[8], alone)
    study = replace(study_of(alone, calibrated=False), suitability=Suitability(doubts=("It looks unlike the others.",)))
    made = write_dicom(study, [*KINDS], tmp_path / "out", "scan")
    assert len(made.files) == len(KINDS)
    assert [dciodvfy(path) for path in made.files] == [[]] * len(KINDS)
    told = file_of(made, "sr").read_bytes()
    assert b"no-flag" in told
    assert b"Why no flag is raised" in told
    assert b"It looks unlike the others." in told


def test_several_findings_in_one_slice_refer_to_its_image(scans: Scans, tmp_path: Path):
    folder, _, study = scans("MR", "axial")
    assert study.result.map is not None
    heat = study.result.map.copy()
    heat[np.unravel_index(heat.argmax(), heat.shape)[0], :4, :4] = heat.max()
    regions = find_regions(heat, 0.25, study.volume.grid, study.result.case.slices)
    assert len(regions.findings) > 1
    both = replace(study, result=replace(study.result, map=heat), regions=regions)
    segmentation = pydicom.dcmread(file_of(write_dicom(both, ["seg"], tmp_path, "scan"), "seg"))
    cited = {
        image.ReferencedSOPInstanceUID
        for group in segmentation.PerFrameFunctionalGroupsSequence
        for derivation in group.DerivationImageSequence
        for image in derivation.SourceImageSequence
    }
    assert cited <= {pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID for file in folder.glob("*.dcm")}
