"""DICOM: a file, or the series that a folder holds, stacked in the order in which the slices lie in the patient."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.errors import UnreadableScan
from anomae.volumes.decoder_process import DecoderProcess
from anomae.volumes.dicom_headers import SUFFIXES, Frame, is_dicom, read_frames
from anomae.volumes.dicom_pixels import decode
from anomae.volumes.headers import MAX_VOXELS, check_size, parsing, unreadable
from anomae.volumes.identity import DicomPicture, DicomSeries
from anomae.volumes.intensities import rescale, settle
from anomae.volumes.reader import FileReader
from anomae.volumes.series import LARGEST, in_order, largest_series, without_unplaced
from anomae.volumes.stacking import same_places, stack
from anomae.volumes.volume import Volume


def read_dicom(path: Path, max_voxels: int = MAX_VOXELS, series: str | int | None = None) -> Volume:
    """Read a DICOM file, or the series that lies in a folder (not below it), in the units of its rescaling (CT: HU).

    series: which one, where the folder holds several: its SeriesInstanceUID, or its number from 1 in `list_series`,
    or "largest": the one with most pictures, an axial one if there is one, said in the notes.
    Slices are sorted along the normal of ImageOrientationPatient.  Repeated slices are dropped with a note, missing
    ones noted; pictures among them that lie nowhere, as captures of the screen, are left out with a note.  Raises
    UnreadableScan where several series lie there and none is chosen, where slices are of unlike patient, size or
    orientation, where unlike slices lie at one place, or where a picture cannot be decoded.
    """
    if path.is_dir():
        with parsing(path, "DICOM"):
            found, left_out = list_series(path)
        frames = _choose(path, found, series)
        notes = [f"{left_out} DICOM file(s) of the folder were left out: without a grey picture, or broken."]
        notes = notes if left_out else []
        notes += _said(found, frames) if series == LARGEST else []
        frames, scouts = _without_localizers(frames)
        notes += [f"{scouts} localizer picture(s) of the series were left out."] if scouts else []
        frames, strays = without_unplaced(frames)
        notes += [f"{len(strays)} picture(s) of the series that name no position were left out."] if strays else []
    else:
        frames, notes = list(read_frames(path)), []
    if len({(frame.likeness, frame.modality) for frame in frames}) > 1:
        raise unreadable(path, "holds slices of several patients or kinds under one series; part them by scan.")
    alike = {(frame.rows, frame.columns) for frame in frames}
    if len(alike) > 1:
        raise unreadable(path, "holds slices of unlike size in one series; give the folder of one scan only.")
    rows, columns = alike.pop()
    check_size(path, (len(frames), rows, columns), max(frame.voxel_bytes for frame in frames), max_voxels)
    with DecoderProcess() as apart:
        frames, repeated = _without_repeats(path, frames, apart)
        ordered, grid, noticed = stack(path, frames)
        voxels, decoded = _decode_all(path, ordered, apart)
    voxels, mended = settle(path, voxels)
    notes += [*repeated, *noticed, *decoded, *mended]
    return Volume(voxels, grid, path, "dicom", patient=ordered[0].patient, notes=tuple(notes), dicom=_identity(ordered))


def list_series(folder: Path) -> tuple[dict[str, list[Frame]], int]:
    """The series whose files lie in `folder`: UID to pictures, by series number; and the count of files left out.

    Left out are DICOM files without a grey picture and broken ones; files of other kinds are not counted.  Raises
    UnreadableScan, the first file's, where DICOM files are there and not one can be read.
    """
    found: defaultdict[str, list[Frame]] = defaultdict(list)
    refused: list[UnreadableScan] = []
    for file in sorted(folder.iterdir()):
        if file.name.startswith(".") or not file.is_file() or not is_dicom(file):
            continue
        try:
            for frame in read_frames(file):
                found[frame.series].append(frame)
        except UnreadableScan as error:
            refused.append(error)
    if refused and not found:
        raise refused[0]
    return in_order(found), len(refused)


def _without_localizers(frames: list[Frame]) -> tuple[list[Frame], int]:
    """The frames of one series without those whose ImageType says LOCALIZER, if others are left; how many those are.

    What merely lies across the others is not guessed at here, but refused when the slices are stacked.
    """
    kept = [frame for frame in frames if not frame.localizer] or frames
    return kept, len(frames) - len(kept)


def _said(found: dict[str, list[Frame]], frames: list[Frame]) -> list[str]:
    number = next(index for index, other in enumerate(found.values(), start=1) if other is frames)
    text = f"Of {len(found)} DICOM series in its folder, the largest was read: number {number}, of {len(frames)}."
    return [text] if len(found) > 1 else []


def _identity(ordered: Sequence[Frame]) -> DicomSeries:
    """What `ordered`, a frame a voxel slice, belongs to; what its frames do not agree on is left empty."""

    def shared(of: Callable[[Frame], str]) -> str:
        found = {of(frame) for frame in ordered}
        return found.pop() if len(found) == 1 else ""

    return DicomSeries(
        study_uid=shared(lambda frame: frame.study),
        series_uid=shared(lambda frame: frame.series),
        frame_of_reference_uid=shared(lambda frame: frame.frame_of_reference),
        modality=shared(lambda frame: frame.modality),
        body_part=shared(lambda frame: frame.body_part),
        sequence=shared(lambda frame: frame.sequence),
        pictures=tuple(
            DicomPicture(frame.path, frame.sop_class, frame.instance, frame.number + 1, frame.instance_number)
            for frame in ordered
        ),
    )


def _choose(folder: Path, found: dict[str, list[Frame]], series: str | int | None) -> list[Frame]:
    if not found:
        raise unreadable(folder, "holds no DICOM files; give a scan file, or the folder in which the slices lie.")
    uids = list(found)
    if series == LARGEST:
        return found[largest_series(found)]
    if isinstance(series, str) and series in found:
        return found[series]
    if series is not None and str(series).isdecimal() and 1 <= int(series) <= len(uids):
        return found[uids[int(series) - 1]]
    if series is None and len(uids) == 1:
        return found[uids[0]]
    kinds = [found[uid][0].modality or "unknown" for uid in uids]
    listed = [f"{index}: {kinds[index - 1]} of {len(found[uid])}" for index, uid in enumerate(uids[:8], start=1)]
    text = f"holds {len(uids)} DICOM series (kind and number of pictures {'; '.join([*listed, '...'][: len(uids)])}); "
    asked = "" if series is None else "the one asked for is not among them; "
    advice = f"choose one with --series 1 to {len(uids)}, or --series largest, or put each in a folder of its own."
    raise unreadable(folder, text + asked + advice)


def _without_repeats(path: Path, frames: list[Frame], apart: DecoderProcess) -> tuple[list[Frame], list[str]]:
    """The frames without those that repeat another's place and pixels.  Unlike pictures at one place are refused."""
    kept: list[Frame] = []
    for group in same_places(frames):
        kept.append(group[0])
        if len(group) == 1:
            continue
        first = _decode_one(group[0], apart)
        if not all(np.array_equal(first, _decode_one(frame, apart)) for frame in group[1:]):
            text = "holds unlike slices at one place, as a scan over time or with several echoes does; "
            raise unreadable(path, text + "give a folder with one of them.")
    dropped = len(frames) - len(kept)
    return kept, [f"{dropped} repeated slice(s) were dropped."] if dropped else []


def _decode_one(frame: Frame, apart: DecoderProcess) -> npt.NDArray[Any]:
    ((pixels, _, _),) = decode(frame.path, [frame.number], apart)
    return pixels


def _decode_all(path: Path, ordered: Sequence[Frame], apart: DecoderProcess) -> tuple[npt.NDArray[Any], list[str]]:
    """The rescaled voxels [z, y, x], and notes.  One rescaling for all keeps integers; several make float32."""
    scales = {(frame.slope, frame.intercept) for frame in ordered}
    files: defaultdict[Path, list[int]] = defaultdict(list)
    for index, frame in enumerate(ordered):
        files[frame.path].append(index)
    voxels: npt.NDArray[Any] | None = None
    padding: npt.NDArray[np.bool_] | None = None
    notes: dict[str, None] = {}
    for file, indices in files.items():
        pictures = decode(file, [ordered[index].number for index in indices], apart)
        for index, (pixels, padded, noticed) in zip(indices, pictures, strict=True):
            notes.update(dict.fromkeys(noticed))
            if len(scales) > 1:
                pixels = rescale(pixels, ordered[index].slope, ordered[index].intercept).astype(np.float32)
            if voxels is None:
                voxels = np.empty((len(ordered), *pixels.shape), dtype=pixels.dtype)
            wider = np.result_type(voxels, pixels)
            if wider != voxels.dtype:
                voxels = voxels.astype(wider)
            voxels[index] = pixels
            if padded is not None:
                padding = np.zeros(voxels.shape, np.bool_) if padding is None else padding
                padding[index] = padded
    if voxels is None:
        raise unreadable(path, "holds no picture.")
    voxels = voxels if len(scales) > 1 else rescale(voxels, *scales.pop())
    if padding is None or padding.all():
        return voxels, list(notes)
    count = int(np.count_nonzero(padding))
    voxels[padding] = min(image[~where].min() for image, where in zip(voxels, padding, strict=True) if not where.all())
    return voxels, [*notes, f"{count} voxels are padding (PixelPaddingValue) and were set to the smallest other value."]


READER = FileReader("dicom", SUFFIXES, read_dicom, is_dicom)
