"""Images in one .npz file, with labels, groups and splits beside them."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.cohorts.case import ABNORMAL, COLOURS, GREY, HEALTHY, SPLITS, UNKNOWN, Case, CaseSlices, Cohort
from anomae.cohorts.group_names import Spelling, array_texts, name_nobody
from anomae.cohorts.lesion_masks import UNSURE, Lesions, MaskValues, lesions_of
from anomae.cohorts.npz_members import list_members, read_member
from anomae.cohorts.patient_names import GROUPS, IMAGES
from anomae.cohorts.scan_slices import UNDER_HEALTHY
from anomae.errors import UnreadableScan, UserError
from anomae.suggestions import nearest_sentence
from anomae.volumes.intensities import settle
from anomae.volumes.volume import Grid, Volume

# What an array is called where the user does not say.
USUAL_NAMES = {
    "images": ("images",),
    "labels": ("labels", "label"),
    "groups": ("groups", "group", "patients", "patient"),
    "splits": ("splits", "split", "parts", "part"),
    "lesions": ("lesions", "masks"),
}
_SPLIT_WORDS = {"val": "validation", "valid": "validation", "report": "test"} | {split: split for split in SPLITS}
_BLOCK = re.compile(r"(train|validation|test)=(\d*):(\d*)")


class Arrays(Cohort):
    """One case a .npz file: images (n, h, w), or in colour (n, h, w, 3), numbered by their index in the file.

    Its slices may belong to several patients (`groups`) and to splits of their own, by name or by blocks of rows.
    """

    name = "arrays"
    kind = "pictures"
    order = "none"
    preparation = {"image_size": 48, "intensity": "full_range"}  # noqa: RUF012  a ClassVar by its protocol

    def __init__(
        self,
        source: Path,
        images: str = "",
        labels: str = "",
        groups: str = "",
        splits: str = "",
        lesions: str = "",
        blocks: str = "",
        colour: bool = False,
    ) -> None:
        """`source`: the file, or a folder of such files.

        images, labels (0 healthy, 1 abnormal, -1 unknown), groups, splits, lesions: names of arrays in the file; "":
        a usual name, where there is one.  groups: also "candidate_row//500", a number divided and rounded down; where
        there are none, and where an image's is NaN, empty or such as "None", the image is a patient of its own.
        blocks: splits by ranges of a number, from:to without to, such as
        "candidate_row train=:330000 validation=334000:352000 test=352000:"; what lies between them is left out.
        colour: the images are (n, h, w, 3), and red, green and blue become three channels.
        """
        self.source, self.blocks = source, parse_blocks(blocks) if blocks else None
        if self.blocks and splits:
            raise UserError("Give either splits or blocks, not both.")
        self.channel_names = COLOURS if colour else GREY
        self._spelled: Spelling | None = None
        self.told = {"images": images, "labels": labels, "groups": groups, "splits": splits, "lesions": lesions}

    def cases(self) -> list[Case]:
        """A case a file, by name."""
        if self.source.is_file():
            files = [self.source]
        elif self.source.is_dir():
            files = array_files(self.source)
        else:
            raise UserError(f"{self.source} does not exist; expected a .npz file, or a folder of them.")
        return [Case(case=path.stem, patient=path.stem, source=path) for path in files]

    def read(self, case: Case) -> CaseSlices:
        """All images of one file.

        Raises UnreadableScan where it is broken, and UserError where an array that was named is not in it.
        """
        path = case.source
        if not path.is_file():
            raise UnreadableScan(f"{path} is missing.")
        names = self._names(path)
        images = self._images(path, names["images"])
        count = len(images)
        groups = self._column(path, names.get("groups"), count)
        splits = self._splits(path, names, count)
        kept = np.arange(count) if splits is None else np.flatnonzero(splits != "")
        labels = self._labels(path, names.get("labels"), count)
        masks = self._masks(path, names["lesions"], images.shape) if "lesions" in names else None
        lesions = None if masks is None else masks.lesion
        notes = [] if masks is None else list(masks.notes)
        if masks is not None and "labels" in names:
            marked = (labels == HEALTHY) & masks.lesion.any(axis=(1, 2))
            labels[marked] = ABNORMAL
            notes += [UNDER_HEALTHY] if marked.any() else []
        if masks is not None and masks.unsure is not None:
            doubtful = (labels == HEALTHY) & masks.unsure.any(axis=(1, 2))
            labels[doubtful] = UNKNOWN
            notes += [UNSURE] if doubtful.any() else []
        patients = [f"{case.case}/{row}" for row in range(count)]
        if groups is not None:
            named, nobody = self._spelling().named(groups), name_nobody(groups)
            patients = [each if unknown else name for each, name, unknown in zip(patients, named, nobody, strict=True)]
        between = count - len(kept)
        notes += [f"{between} of {count} images are in no split and are left out"] if between else []
        return CaseSlices(
            images=images[kept],
            slices=kept.astype(np.int64),
            labels=labels[kept],
            lesions=None if lesions is None else lesions[kept],
            positions_mm=np.full(len(kept), np.nan),
            patients=np.array(patients)[kept],
            splits=None if splits is None else splits[kept],
            notes=tuple(notes),
            file_slices=kept.astype(np.int64),
            one_scale=True,
        )

    def notes(self) -> tuple[str, ...]:
        """That patients are unknown, where no group tells them, and how many groups are others spelled otherwise."""
        return tuple(self._spelling().notes(self.patients_told()))

    def patients_told(self) -> dict[str, dict[str, int]]:
        """Of the images without groups that each counts as a patient, and of the others; empty where all have some."""
        alone, grouped, groups = 0, 0, set[str]()
        for count, column in self._group_columns():
            named = () if column is None else self._spelling().named(column[~name_nobody(column)])
            alone += count - len(named)
            grouped += len(named)
            groups.update(named)
        told = {GROUPS: {"scans": grouped, "patients": len(groups)}, IMAGES: {"scans": alone, "patients": alone}}
        return {kind: row for kind, row in told.items() if row["scans"]} if alone else {}

    def _group_columns(self) -> Iterator[tuple[int, npt.NDArray[Any] | None]]:
        """Of each file that can be read, how many images it holds and their groups, None where it has none."""
        for case in self.cases():
            try:
                names = self._names(case.source)
                shape = list_members(case.source)[names["images"]].shape
                if shape:
                    yield shape[0], self._column(case.source, names.get("groups"), shape[0])
            except UnreadableScan:  # it is listed when it is read for good
                continue

    def _spelling(self) -> Spelling:
        if self._spelled is None:
            self._spelled = Spelling()
            for _, column in self._group_columns():
                if column is not None:
                    self._spelled.learn(column[~name_nobody(column)])
        return self._spelled

    def _images(self, path: Path, name: str) -> npt.NDArray[Any]:
        """(n, c, h, w)."""
        images = read_member(path, name)
        in_colour = self.channel_names == COLOURS
        if images.ndim == 3 and not in_colour:
            images = images[..., None]
        if images.ndim != 4 or images.shape[-1] != len(self.channel_names) or images.dtype.kind not in "biuf":
            wanted = "(n, h, w, 3), as colour=true says" if in_colour else "(n, h, w)"
            hint = "; --set colour=true reads colours" if images.shape[3:] == (3,) else ""
            raise UnreadableScan(f"{path}: {name} is {images.dtype} of shape {images.shape}, not {wanted}{hint}.")
        return images.transpose(0, 3, 1, 2)

    def _masks(self, path: Path, name: str, shape: tuple[int, ...]) -> Lesions:
        """What of the masks is lesion, [n, h, w]; shape: (n, c, h, w) of the images."""
        masks = read_member(path, name)
        if masks.shape != (shape[0], *shape[2:]):
            raise UnreadableScan(f"{path}: {name} has shape {masks.shape}, its {shape[0]} images {shape[2:]}.")
        masks, mended = settle(path, masks)
        noticed = tuple(f"{name}: {note}" for note in mended)
        found = lesions_of(
            Volume(masks, Grid((shape[0], shape[2], shape[3])), path, "array", notes=mended), MaskValues()
        )
        return replace(found, notes=(*found.notes, *noticed))

    def _names(self, path: Path) -> dict[str, str]:
        """What of `told` -> the array's name in the file; raises UserError where a told name is not there."""
        members = list_members(path)
        names: dict[str, str] = {}
        for use, told in self.told.items():
            wanted = told.partition("//")[0] if use == "groups" else told
            found = [name for name in ((wanted,) if wanted else USUAL_NAMES[use]) if name in members]
            if found:
                names[use] = told or found[0]
            elif wanted or use == "images":
                raise UserError(_no_such_array(path, wanted or "images", list(members)))
        if self.blocks and self.blocks[0] not in members:
            raise UserError(_no_such_array(path, self.blocks[0], list(members)))
        return names

    def _column(self, path: Path, name: str | None, count: int) -> npt.NDArray | None:
        if name is None:
            return None
        key, _, divisor = name.partition("//")
        column = read_member(path, key)
        if column.shape != (count,):
            raise UnreadableScan(f"{path}: {key} has shape {column.shape} where there are {count} images.")
        if not divisor:
            return column
        if column.dtype.kind not in "iu" or not divisor.isdigit() or int(divisor) == 0:
            raise UserError(f"{name!r} must be whole numbers divided by a whole number.")
        return column // int(divisor)

    def _labels(self, path: Path, name: str | None, count: int) -> npt.NDArray[np.int8]:
        column = self._column(path, name, count)
        if column is None:
            return np.full(count, UNKNOWN, dtype=np.int8)
        if column.dtype.kind not in "biuf" or not np.isin(column, (HEALTHY, ABNORMAL, UNKNOWN)).all():
            raise UserError(f"{path}: {name} must be 0 (healthy), 1 (abnormal) or -1 (unknown).")
        return column.astype(np.int8)

    def _splits(self, path: Path, names: dict[str, str], count: int) -> npt.NDArray[np.str_] | None:
        if self.blocks:
            name, ranges = self.blocks
            column = self._column(path, name, count)
            if column is None or column.dtype.kind not in "iu":
                raise UserError(f"{path}: {name} must be whole numbers to cut it into blocks.")
            splits = np.full(count, "", dtype="<U10")
            for split, start, stop in ranges:
                splits[(column >= start) & (column < stop)] = split
            return splits
        column = self._column(path, names.get("splits"), count)
        if column is None:
            return None
        words = array_texts(column)
        unknown = sorted(set(words) - _SPLIT_WORDS.keys() - {""})
        if unknown:
            raise UserError(f"{path}: {names['splits']} holds {unknown[0]!r}; splits are {', '.join(_SPLIT_WORDS)}.")
        return np.array([_SPLIT_WORDS.get(word, "") for word in words], dtype="<U10")


def array_files(folder: Path) -> list[Path]:
    """The .npz files in a folder, by name.  Raises UserError where there are none, or two of one stem."""
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".npz" and path.name[0] != ".")
    stems: dict[str, Path] = {}
    for path in files:
        if stems.setdefault(path.stem, path) != path:
            raise UserError(f"{stems[path.stem]} and {path.name} have the same name but for the suffix; keep one.")
    if not files:
        raise UserError(f"{folder} holds no .npz files.")
    return files


def parse_blocks(text: str) -> tuple[str, tuple[tuple[str, int, int], ...]]:
    """The array, and split, from, to (without to) of each block; see Arrays.

    Raises UserError where the text is none such, or blocks overlap.
    """
    name, *pieces = text.replace(",", " ").replace(";", " ").split()
    ranges = []
    for piece in pieces:
        match = _BLOCK.fullmatch(piece)
        if not match:
            raise UserError(f"blocks has {piece!r}; write it like candidate_row train=:330000 test=334000:.")
        ranges.append((match[1], int(match[2] or 0), int(match[3] or np.iinfo(np.int64).max)))
    ordered = sorted((start, stop) for _, start, stop in ranges)
    if not ordered or any(start >= stop for start, stop in ordered):
        raise UserError(f"blocks is {text!r}; each block needs from:to, the end above the start.")
    if any(stop > start for (_, stop), (start, _) in itertools.pairwise(ordered)):
        raise UserError(f"blocks is {text!r}; its blocks overlap.")
    return name, tuple(ranges)


def _no_such_array(path: Path, name: str, members: list[str]) -> str:
    return f"{path} holds no array {name!r}. {nearest_sentence(name, members)}"
