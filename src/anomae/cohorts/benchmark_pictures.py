"""The data sets of two benchmarks of anomaly detection, BMAD and MedIAnomaly, as their archives unpack."""

import json
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from anomae.cohorts.case import ABNORMAL, HEALTHY
from anomae.cohorts.picture_set import Picture, PictureSet, folder_of, pictures_in
from anomae.cohorts.source_folder import existing_folder
from anomae.errors import UserError

BMAD_EXPECTED = "train/good, test/good/img and test/Ungood/img with label/ beside img/ (one data set of BMAD)"
MEDIANOMALY_EXPECTED = (
    "images/ and data.json, or train/ with pictures, test/normal, test/tumor and test/annotation "
    "(one data set of MedIAnomaly)"
)
_SPLITS = {"train": ("train",), "validation": ("valid", "val", "validation"), "test": ("test",)}
_HEALTHY = ("good", "normal", "healthy")
_ABNORMAL = ("ungood", "abnormal", "tumor", "tumour", "bad")
_MASKS = ("label", "labels", "annotation", "annotations", "mask", "masks")
# BraTS2021_00000_flair_60.png belongs to case 00000.
_BRATS_NAMES = r"(BraTS2021_\d+|BraTS20_Training_\d+|BraTS-[A-Z]+-\d+)"
_DATA_SET = "data.json"


class Bmad(PictureSet):
    """One data set of BMAD: healthy pictures to train on, its own splits, masks in label/ where it has them."""

    name = "bmad"
    names_of_patients = (_BRATS_NAMES, r"(\d{5})_\d{1,3}$")

    def find(self) -> tuple[list[Picture], list[str]]:
        """All pictures, and what was left out.  Raises UserError where the layout is another."""
        return _in_split_folders(existing_folder(self.source, BMAD_EXPECTED), BMAD_EXPECTED)


class MedIAnomaly(PictureSet):
    """One data set of MedIAnomaly: by its data.json, or by its folders (train/, test/...), masks in annotation/."""

    name = "medianomaly"
    names_of_patients = (_BRATS_NAMES,)

    def find(self) -> tuple[list[Picture], list[str]]:
        """All pictures, and what was left out.  Raises UserError where the layout or the list is another."""
        source = existing_folder(self.source, MEDIANOMALY_EXPECTED)
        lists = sorted(path.parent for path in source.glob(f"*/{_DATA_SET}"))
        if (source / _DATA_SET).is_file():
            return _listed(source)
        if len(lists) > 1:
            names = ", ".join(folder.name for folder in lists)
            raise UserError(f"{source} holds several data sets ({names}); give the folder of one.")
        return _listed(lists[0]) if lists else _in_split_folders(source, MEDIANOMALY_EXPECTED)


def _in_split_folders(source: Path, expected: str) -> tuple[list[Picture], list[str]]:
    """train/ with pictures or good/ in it, test/ (and valid/) with a folder a class; masks in label/ or annotation/."""
    root = _root(source, expected)
    pictures: list[Picture] = []
    notes: list[str] = []
    orphans = 0
    for split, names in _SPLITS.items():
        folder = folder_of(root, *names)
        if folder is None:
            continue
        healthy, abnormal = folder_of(folder, *_HEALTHY), folder_of(folder, *_ABNORMAL)
        if split == "train" and not (healthy or abnormal):
            # All in it are healthy, as both benchmarks say; a folder of masks would tell otherwise.
            if folder_of(folder, *_MASKS):
                raise UserError(f"{folder} holds masks but no folder of healthy pictures; expected {expected}.")
            pictures += [Picture(path, HEALTHY, split) for path in pictures_in(folder)]
        for own, label in ((healthy, HEALTHY), (abnormal, ABNORMAL)):
            if own is not None:
                masks_in = folder_of(own, *_MASKS) or (folder_of(folder, *_MASKS) if label == ABNORMAL else None)
                found, lonely = _with_masks(own, masks_in, label, split)
                pictures += found
                orphans += lonely
        used = {path for path in (healthy, abnormal, folder_of(folder, *_MASKS)) if path}
        unused = [path.name for path in sorted(folder.iterdir()) if path.is_dir() and path not in used]
        if unused:
            notes.append(f"the folder(s) {', '.join(unused)} in {folder.name}/ are of no class and were left out")
    if orphans:
        notes.append(f"{orphans} lesion masks belong to no picture of their name and were left out")
    return pictures, notes


def _with_masks(folder: Path, masks_in: Path | None, label: int, split: str) -> tuple[list[Picture], int]:
    """The pictures of a class with their masks, and how many masks belong to none of them."""
    masks = _masks_by_name(masks_in)
    found = []
    for path in pictures_in(folder_of(folder, "img", "image", "images") or folder):
        names = (path.stem, path.stem.replace("flair", "seg"), *(f"{path.stem}_{end}" for end in ("mask", "seg")))
        mask = next((masks.pop(name) for name in names if name in masks), None)
        found.append(Picture(path, label, split, mask))
    return found, len(masks)


def _masks_by_name(masks_in: Path | None) -> dict[str, Path]:
    """Name without ending -> mask, of a folder of masks, where there is one.  Raises UserError for two of one name."""
    masks: dict[str, Path] = {}
    for path in [] if masks_in is None else pictures_in(masks_in):
        if path.stem in masks:
            raise UserError(f"{masks[path.stem]} and {path} are two masks of one name; keep one of them.")
        masks[path.stem] = path
    return masks


def _root(source: Path, expected: str) -> Path:
    """The folder in or up to two below `source` that holds train/ and test/."""
    for depth in ("", "*", "*/*"):
        folders = [path for path in (sorted(source.glob(depth)) if depth else [source]) if path.is_dir()]
        roots = [path for path in folders if folder_of(path, "train") and folder_of(path, "test")]
        if len(roots) > 1:
            names = ", ".join(path.name for path in roots)
            raise UserError(f"{source} holds several data sets ({names}); give the folder of one.")
        if roots:
            return roots[0]
    raise UserError(f"{source} holds no train/ and test/; expected {expected}.")


def _listed(folder: Path) -> tuple[list[Picture], list[str]]:
    """The pictures of images/ that data.json names: split -> "0" (healthy) or "1" (abnormal) -> file names."""
    path = folder / _DATA_SET
    try:
        told: Any = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is not readable as JSON ({error}).") from error
    pictures: list[Picture] = []
    seen: set[str] = set()
    passed_over: list[str] = []
    masks = _masks_by_name(folder_of(folder, *_MASKS))
    for split, words in _SPLITS.items():
        for word in words:
            classes = told.get(word, {}) if isinstance(told, dict) else None
            if not isinstance(classes, dict):
                raise UserError(f'{path} is no list of MedIAnomaly; expected {{"train": {{"0": [names]}}, ...}}.')
            passed_over += [f"{word}/{name}" for name in classes if name not in ("0", "1")]
            for label, names in ((HEALTHY, classes.get("0", [])), (ABNORMAL, classes.get("1", []))):
                for name in _checked_names(path, names, seen):
                    pictures.append(Picture(folder / "images" / name, label, split))
    # A mask may correct the label of a healthy picture, unless an abnormal one has its name too.
    ill = {picture.path.stem for picture in pictures if picture.label == ABNORMAL}
    pictures = [
        replace(each, mask=masks.get(each.path.stem)) if each.label == ABNORMAL or each.path.stem not in ill else each
        for each in pictures
    ]
    unlisted = sum(found.relative_to(folder / "images").as_posix() not in seen for found in _images(folder))
    notes = [f"{path.name} has lists other than 0 and 1 ({', '.join(passed_over)}), left out"] if passed_over else []
    if unlisted:
        notes.append(f"{unlisted} pictures in images/ stand in no list of {path.name} and were left out")
    return pictures, notes


def _checked_names(path: Path, names: Any, seen: set[str]) -> list[str]:
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise UserError(f"{path} has a list that is none of file names.")
    plain = [PurePosixPath(name).as_posix() for name in names]  # "./a.png" is "a.png"
    for name in plain:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise UserError(f"{path} names a file outside images/: {name!r}.")
        if name in seen:
            raise UserError(f"{path} names {name!r} twice; a picture can have one label and one split only.")
        seen.add(name)
    return plain


def _images(folder: Path) -> list[Path]:
    return pictures_in(existing_folder(folder / "images", "the pictures that data.json names"))
