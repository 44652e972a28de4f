"""TCGA-LGG as Kaggle has it: a folder a patient, a TIFF a slice with three sequences as its colours, and its mask."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.cohorts.case import Case, CaseSlices
from anomae.cohorts.channel_slices import channel_names_of, listed_modalities
from anomae.cohorts.scan_slices import ill_slice_labels
from anomae.errors import UnreadableScan, UserError

EXPECTED = "TCGA_CS_4941_19960909/TCGA_CS_4941_19960909_1.tif and _1_mask.tif"
NO_SPACING = "the pictures tell no spacing: a pixel was taken as 1 mm wide and high, so lengths in mm are not known"
MODALITIES = ("t1", "flair", "t1ce")  # red, green, blue: before contrast agent, FLAIR, after it
_ALIASES = {"pre": "t1", "red": "t1", "green": "flair", "post": "t1ce", "blue": "t1ce"}
_SLICE = re.compile(r"(.+)_(\d{1,4})\.tiff?", re.IGNORECASE)
_BAR_CODE = re.compile(r"(TCGA_[A-Z0-9]{2}_[A-Z0-9]{4})_\d", re.IGNORECASE)
_USUAL_FOLDERS = (".", "kaggle_3m", "lgg-mri-segmentation", "lgg-mri-segmentation/kaggle_3m")


class LggTiffs:
    """One case a patient's folder; a slice is abnormal where its mask is not empty.

    Where a patient lacks a sequence, the files repeat FLAIR in its colour: such a case is refused, not read as another
    sequence.  The pictures tell no positions or spacing.
    """

    name = "lgg"

    def __init__(self, source: Path, modality: str, site_of: Callable[[str], str]) -> None:
        """`source`: the folder of the patients' folders.

        modality: flair (or green), t1 (pre, red), t1ce (post, blue), or several with commas, a channel each.  site_of:
        gives the hospital of a patient's folder.
        """
        self.source, self.chosen, self.site_of = source, listed_modalities(modality, known_sequence), site_of
        self.channel_names = channel_names_of(self.chosen)

    def cases(self) -> list[Case]:
        """A case a patient, by name."""
        folders = sorted(path for path in self.source.iterdir() if path.is_dir() and _has_slices(path))
        patients = patients_of([path.name for path in folders])
        return [Case(path.name, patients[path.name], path, site=self.site_of(path.name)) for path in folders]

    def read(self, case: Case) -> CaseSlices:
        """The slices of one patient by number.

        Raises UnreadableScan where a picture or mask is missing, broken or of another size, where a mask has more than
        two values, or where the patient lacks a sequence.
        """
        from anomae.volumes.pictures import read_colours

        files = _slices(case.source)
        if not files:
            raise UnreadableScan(f"{case.source} holds no slices; expected {EXPECTED}.")
        colours, masks = [], []
        for picture in files.values():
            mask = picture.with_name(f"{picture.stem}_mask{picture.suffix}")
            if not mask.is_file():
                raise UnreadableScan(f"{mask} is missing: without a mask the slice cannot be labelled.")
            pages, _ = read_colours(picture)
            colours.append(pages[0])
            masks.append(_read_mask(mask))
        if len({array.shape[-2:] for array in (*colours, *masks)}) != 1:
            raise UnreadableScan(f"The slices and masks of {case.source} differ in size.")
        every = np.stack(colours)  # (n, 3, h, w)
        indices = [MODALITIES.index(name) for name in self.chosen]
        flair = MODALITIES.index("flair")
        for index in indices:
            if index != flair and np.array_equal(every[:, index], every[:, flair]):
                raise UnreadableScan(
                    f"{case.source} has no {MODALITIES[index]}: its files repeat FLAIR in that colour. Leave the "
                    "patient out, or take --modality flair."
                )
        lesions = np.stack(masks)
        labels, notes = ill_slice_labels(lesions)
        numbers = np.array(list(files), dtype=np.int64)
        gaps = int(numbers[-1] - numbers[0]) + 1 - len(numbers)
        return CaseSlices(
            images=every[:, indices],
            slices=numbers,
            labels=labels,
            lesions=lesions,
            positions_mm=np.full(len(numbers), np.nan),
            notes=(*notes, f"{gaps} slices between the first and the last are missing") if gaps else notes,
        )

    def notes(self) -> tuple[str, ...]:
        """Which colour was read, and what the pictures do not tell."""
        words = dict(zip(MODALITIES, ("red", "green", "blue"), strict=True))
        return (
            f"read from the colours of the pictures: {', '.join(f'{name} ({words[name]})' for name in self.chosen)}",
            NO_SPACING,
        )


def tiff_folder(source: Path) -> Path | None:
    """The folder in or under `source` that holds patients' folders of TIFFs, where Kaggle's archive has it, or None."""
    for path in _USUAL_FOLDERS:
        folder = source / path
        if folder.is_dir() and any(inner.is_dir() and _has_slices(inner) for inner in folder.iterdir()):
            return folder
    return None


def known_sequence(name: str) -> str:
    """`name` as one of MODALITIES; pre, post and the colours are known too.  Raises UserError for any other."""
    called = _ALIASES.get(name.lower(), name.lower())
    if called not in MODALITIES:
        raise UserError(f"The TIFFs of lgg have no modality {name!r}; they have t1 (pre), flair and t1ce (post).")
    return called


def patients_of(folders: Sequence[str]) -> dict[str, str]:
    """Folder -> patient: of several folders with one TCGA bar code (TCGA_CS_4941_19960909 and _19970101) the code."""
    codes = {name: match[1].upper() if (match := _BAR_CODE.match(name)) else name for name in folders}
    counts = Counter(codes.values())
    return {name: code if counts[code] > 1 else name for name, code in codes.items()}


def _has_slices(folder: Path) -> bool:
    return any(
        (match := _SLICE.fullmatch(path.name)) and match[1].lower() == folder.name.lower() for path in folder.iterdir()
    )


def _slices(folder: Path) -> dict[int, Path]:
    """Slice number -> file, by number.  Raises UnreadableScan where two files have one number."""
    found: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        match = _SLICE.fullmatch(path.name)
        if match and match[1].lower() == folder.name.lower():
            before = found.setdefault(int(match[2]), path)
            if before != path:
                raise UnreadableScan(f"{before} and {path.name} are the same slice; keep one of them.")
    return dict(sorted(found.items()))


def _read_mask(path: Path) -> npt.NDArray[np.bool_]:
    """(h, w).  Raises UnreadableScan where it is broken, or has more than two values."""
    from anomae.volumes.read import read_volume

    voxels: npt.NDArray[Any] = read_volume(path).voxels
    values = np.unique(voxels)
    if len(values) > 2 or (len(values) == 2 and values[0] != 0):
        raise UnreadableScan(f"{path} has the values {values[:5].tolist()}; a mask has 0 and one other value.")
    return np.asarray(voxels[0] > 0)
