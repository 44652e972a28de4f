"""Whole made-up data sets on disk, in the layouts that the cohorts read: BraTS2020, LUNA16, LGG, folders and others."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from anomae.errors import UserError
from anomae.phantoms.brats_layouts import write_brats2019, write_brats2021, write_brats2023
from anomae.phantoms.order import Order
from anomae.phantoms.picture_layouts import (
    PICTURE_FORMATS,
    SCAN_FORMATS,
    write_array_file,
    write_class_folders,
    write_mvtec,
)
from anomae.phantoms.public_layouts import (
    write_bmad,
    write_covid_radiography,
    write_lgg_tiffs,
    write_medianomaly,
    write_medmnist,
)
from anomae.phantoms.scan_layouts import (
    SLICE_CHANNELS,
    write_brats,
    write_brats_slices,
    write_dicom,
    write_lgg,
    write_luna,
)
from anomae.progress import Progress, Silent
from anomae.suggestions import nearest_sentence

__all__ = ["LAYOUTS", "SLICE_CHANNELS", "Layout", "write_phantom_data_set"]

_HEAD_SHAPE, _CHEST_SHAPE = (32, 96, 96), (48, 128, 128)


@dataclass(frozen=True, slots=True)
class Layout:
    """How one layout is written: a step a patient.

    formats, modalities: those it can have, the usual one first.  usual: how many patients where nobody says.
    """

    write: Callable[[Order], Iterator[None]]
    formats: tuple[str, ...]
    shape: tuple[int, int, int] = _HEAD_SHAPE
    fewest: int = 1
    modalities: tuple[str, ...] = ()
    usual: int = 12


LAYOUTS = {
    "brats2020": Layout(write_brats, ("nii.gz", "nii")),
    "brats2020-slices": Layout(write_brats_slices, ("h5",)),
    "brats2019": Layout(write_brats2019, ("nii.gz", "nii")),
    "brats2021": Layout(write_brats2021, ("nii.gz", "nii")),
    "brats2023": Layout(write_brats2023, ("nii.gz", "nii")),
    "luna16": Layout(write_luna, ("mhd",), _CHEST_SHAPE),
    "lgg": Layout(write_lgg, ("nii.gz",)),
    "lgg-tiffs": Layout(write_lgg_tiffs, ("tif",)),
    "dicom": Layout(write_dicom, ("dicom",), modalities=("MR", "CT"), usual=1),
    "folder": Layout(write_class_folders, (*PICTURE_FORMATS, *SCAN_FORMATS), fewest=2),
    "mvtec": Layout(write_mvtec, PICTURE_FORMATS, fewest=3),
    "arrays": Layout(write_array_file, ("npz",), fewest=2),
    "bmad": Layout(write_bmad, ("png",), fewest=3),
    "medianomaly": Layout(write_medianomaly, ("png",), fewest=3),
    "medmnist": Layout(write_medmnist, ("npz",), fewest=3),
    "covid-radiography": Layout(write_covid_radiography, ("png",), fewest=2),
}


def usual_count(layout: str) -> int:
    """How many patients a layout has where nobody says.  Raises UserError for an unknown layout."""
    if layout not in LAYOUTS:
        raise UserError(f"There is no phantom layout {layout!r}. {nearest_sentence(layout, LAYOUTS)}")
    return LAYOUTS[layout].usual


def write_phantom_data_set(
    folder: Path,
    layout: str,
    *,
    count: int | None = None,
    seed: int = 0,
    shape: tuple[int, int, int] | None = None,
    file_format: str | None = None,
    modality: str | None = None,
    first: int = 1,
    watch: Progress | None = None,
) -> None:
    """Write a made-up data set of `count` patients into `folder`, in one of LAYOUTS.

    brats2020: skull-stripped heads, four modalities and a segmentation each.  brats2020-slices: the same as Kaggle's
    .h5 slices, channels in the order SLICE_CHANNELS.  luna16: chests in ten subsets, candidates.csv and
    annotations.csv.  lgg: heads with skull, FLAIR and T1.  dicom: a series a patient, all with lesions, and lesions.csv
    with the truth about them.  folder: healthy/ and abnormal/, a folder a patient; abnormal
    scans have their lesion mask beside them, of pictures only slices with lesions are abnormal.  mvtec: pictures in
    train/good, test/..., ground_truth/...  arrays: one .npz of slices.  brats2019, brats2021, brats2023: the heads of
    brats2020 under the names of that year; in 2023 every second patient has two sessions.  lgg-tiffs, bmad,
    medianomaly, medmnist, covid-radiography: those public data sets as they unpack.
    count: None: the layout's usual one.  shape: (z, y, x) of every scan; None: small.  file_format: None: the layout's
    usual one.  modality: of `dicom`, "MR" (heads) or "CT" (chests); None: the layout's usual one.  first: number of the
    first patient; BraTS2020's case 355 has the odd name of its segmentation.  watch: is told of every patient.
    The same arguments write the same images.  Raises UserError for an unknown layout, format or modality, a shape with
    a side outside 8..1024, or a number of patients that is too small or does not fit.
    """
    usual, kind = usual_count(layout), LAYOUTS[layout]
    file_format = (file_format or kind.formats[0]).removeprefix(".")
    if file_format not in kind.formats:
        raise UserError(f"Layout {layout} cannot be written as {file_format!r}, but as {', '.join(kind.formats)}.")
    if modality is not None and modality.upper() not in kind.modalities:
        offered = f"has {' or '.join(kind.modalities)}" if kind.modalities else "leaves no choice of modality"
        raise UserError(f"Layout {layout} {offered}; {modality!r} it cannot be.")
    count = usual if count is None else count
    if count < kind.fewest or first < 1:
        raise UserError(f"Layout {layout} needs {kind.fewest} patients at least, numbered from 1 or later.")
    if shape is not None and not (len(shape) == 3 and all(8 <= side <= 1024 for side in shape)):
        raise UserError(f"A made-up scan has three sides (z, y, x) of 8 to 1024 voxels, not {shape}.")
    watch = watch or Silent()
    chosen = modality.upper() if modality else next(iter(kind.modalities), "MR")
    for _ in kind.write(Order(folder, count, seed, shape or kind.shape, file_format, first, chosen)):
        watch.advance()
