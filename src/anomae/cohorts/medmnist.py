"""MedMNIST: a .npz a data set, with images and labels of each of its own splits; which classes are healthy is told."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.cohorts.array_cohort import array_files
from anomae.cohorts.case import ABNORMAL, COLOURS, GREY, HEALTHY, Case, CaseSlices, Cohort
from anomae.cohorts.npz_members import list_members, read_member
from anomae.cohorts.patient_names import IMAGES
from anomae.cohorts.picture_set import UNKNOWN_PATIENTS
from anomae.errors import UnreadableScan, UserError

SPLITS = {"train": "train", "val": "validation", "test": "test"}
NO_FINDING = "none"  # of labels with a column a finding: the images with no finding are healthy


class MedMnist(Cohort):
    """One case a file: all its images, counted through train, val and test; its splits are MedMNIST's own.

    MedMNIST names no patients: every image counts as one.
    """

    name = "medmnist"
    kind = "pictures"
    order = "none"
    preparation = {"image_size": 48, "intensity": "full_range"}  # noqa: RUF012  as of Arrays

    def __init__(self, source: Path, healthy: str = "", colour: bool = False) -> None:
        """`source`: a file such as pneumoniamnist.npz, or a folder of such files.

        healthy: the numbers of the classes that are healthy, with commas ("0", "0,3"), all others are abnormal; "none"
        where the labels have a column a finding (ChestMNIST): images without any are healthy.  It is not guessed.
        colour: the images are (n, h, w, 3), and red, green and blue become three channels.
        """
        words = [word.strip() for word in healthy.split(",") if word.strip()]
        if words != [NO_FINDING] and not all(word.isdigit() for word in words):
            raise UserError(f"healthy is {healthy!r}; write the numbers of the classes, like 0 or 0,3, or none.")
        self.source, self.no_finding = source, words == [NO_FINDING]
        self.healthy = [] if self.no_finding else [int(word) for word in words]
        self.channel_names = COLOURS if colour else GREY

    def cases(self) -> list[Case]:
        """A case a file, by name.  Raises UserError where it is not told which classes are healthy."""
        if self.source.is_file():
            files = [self.source]
        elif self.source.is_dir():
            files = array_files(self.source)
        else:
            raise UserError(f"{self.source} does not exist; expected a .npz file of MedMNIST, or a folder of them.")
        if not self.healthy and not self.no_finding:
            raise UserError(
                "MedMNIST's labels are numbers of classes, and which are healthy is not guessed; say it: --set "
                "healthy=0 (several with commas), or healthy=none where images without a finding are healthy."
            )
        return [Case(path.stem, path.stem, path) for path in files]

    def read(self, case: Case) -> CaseSlices:
        """All images of one file.

        Raises UnreadableScan where it is broken or no file of MedMNIST, and UserError where the classes do not fit.
        """
        path = case.source
        if not path.is_file():
            raise UnreadableScan(f"{path} is missing.")
        members = list_members(path)
        there = [word for word in SPLITS if f"{word}_images" in members]
        if not there:
            raise UnreadableScan(f"{path} holds none of {', '.join(f'{word}_images' for word in SPLITS)}.")
        images = {word: self._images(path, f"{word}_images") for word in there}
        counts = [len(each) for each in images.values()]
        raw = {word: _labels(path, f"{word}_labels", count) for word, count in zip(there, counts, strict=True)}
        labels = self._healthy_or_not(path, _joined(path, "labels", raw))
        count = sum(counts)
        splits = np.repeat(np.array([SPLITS[word] for word in there], dtype=np.str_), counts)
        unused = int(np.sum((splits == "train") & (labels == ABNORMAL)))
        return CaseSlices(
            images=_joined(path, "images", images),
            slices=np.arange(count, dtype=np.int64),
            labels=labels,
            lesions=None,
            positions_mm=np.full(count, np.nan),
            patients=np.array([f"{case.case}/{row}" for row in range(count)]),
            splits=splits,
            notes=(f"{unused} abnormal images of the training split are not trained on",) if unused else (),
            file_slices=np.arange(count, dtype=np.int64),
            one_scale=True,
        )

    def notes(self) -> tuple[str, ...]:
        """Which classes count as healthy, and that patients are unknown."""
        told = "without any finding" if self.no_finding else f"of class {', '.join(map(str, self.healthy))}"
        return (f"images {told} count as healthy, all others as abnormal", UNKNOWN_PATIENTS)

    def patients_told(self) -> dict[str, dict[str, int]]:
        """No patient is named: each image counts as one."""
        images = 0
        for case in self.cases():
            try:
                members = list_members(case.source)
            except UnreadableScan:  # it is listed when it is read for good
                continue
            shapes = [members[name].shape for word in SPLITS if (name := f"{word}_images") in members]
            images += sum(shape[0] for shape in shapes if shape)
        return {IMAGES: {"scans": images, "patients": images}}

    def _images(self, path: Path, name: str) -> npt.NDArray[Any]:
        """(n, c, h, w)."""
        images = read_member(path, name)
        in_colour = self.channel_names == COLOURS
        fits = images.ndim == 4 and images.shape[-1] == 3 if in_colour else images.ndim == 3
        if not fits or images.dtype.kind not in "biuf":
            wanted = "(n, h, w, 3), as colour=true says" if in_colour else "(n, h, w)"
            hint = "; --set colour=true reads colours" if images.shape[3:] == (3,) else ""
            raise UnreadableScan(f"{path}: {name} is {images.dtype} of shape {images.shape}, not {wanted}{hint}.")
        return images.transpose(0, 3, 1, 2) if in_colour else images[:, None]

    def _healthy_or_not(self, path: Path, told: npt.NDArray[Any]) -> npt.NDArray[np.int8]:
        """(n,) of labels (n, k)."""
        if self.no_finding:
            if not np.isin(told, (0, 1)).all() or told.shape[1] == 1:
                raise UserError(f"{path}: its labels are no columns of findings, 0 or 1; say healthy by numbers.")
            return np.where(told.any(axis=1), ABNORMAL, HEALTHY).astype(np.int8)
        if told.shape[1] != 1:
            raise UserError(f"{path}: its labels have {told.shape[1]} columns, a finding each; say --set healthy=none.")
        classes = np.unique(told).tolist()
        missing = [number for number in self.healthy if number not in classes]
        if missing or not set(classes) - set(self.healthy):
            raise UserError(f"{path} has the classes {classes}; healthy has to name some of them, and not all.")
        return np.where(np.isin(told[:, 0], self.healthy), HEALTHY, ABNORMAL).astype(np.int8)


def _joined(path: Path, kind: str, parts: dict[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """The arrays of all splits as one.  Raises UnreadableScan where they differ in more than their counts."""
    sizes = {word: "x".join(map(str, part.shape[1:][-2:])) for word, part in parts.items()}
    first, *others = parts
    for word in others:
        if parts[word].shape[1:] != parts[first].shape[1:]:
            raise UnreadableScan(
                f"{path}: each of {word}_{kind} has {sizes[word]} value(s), each of {first}_{kind} {sizes[first]}; all "
                "splits have to be of one size."
            )
    return np.concatenate([*parts.values()])


def _labels(path: Path, name: str, count: int) -> npt.NDArray[Any]:
    """(n, k) whole numbers; (n,) is read as (n, 1)."""
    labels = read_member(path, name)
    labels = labels[:, None] if labels.ndim == 1 else labels
    if labels.ndim != 2 or len(labels) != count or labels.dtype.kind not in "biuf":
        raise UnreadableScan(f"{path}: {name} has shape {labels.shape} where there are {count} images.")
    if labels.dtype.kind == "f" and not (np.isfinite(labels) & (labels == np.rint(labels))).all():
        raise UnreadableScan(f"{path}: {name} holds fractions; labels are whole numbers.")
    return labels.astype(np.int64)
