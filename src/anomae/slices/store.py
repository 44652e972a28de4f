"""The store of prepared slices: one memory-mapped array beside an index, read without copies.

STORE/
  slices.npy     (n, c, h, w) float16 or float32, memory-mapped
  lesions.npy    (n, h, ceil(w / 8)) uint8, one bit a pixel (numpy.packbits, axis -1); absent where no mask is known
  bodies.npy     the brain or body in each image, packed likewise; absent where slices were prepared plain
  index.csv      a line a slice, columns COLUMNS
  cases.json     case -> source, grid of the scan (null for pictures and patches), spacing of a prepared pixel, notes
  prepare.json   format, settings, counts, what was skipped and why, fingerprint; written last: it means "whole"
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.arrays import map_array
from anomae.errors import UserError
from anomae.files import read_json
from anomae.slices.neighbours import below_and_above
from anomae.volumes.identity import NOT_KNOWN

COLUMNS = (
    "row",
    "case",
    "patient",
    "slice",
    "position_mm",
    "split",
    "label",
    "empty",
    "body_fraction",
    "filled",
    "lesion_fraction",
    "site",
    "file_slice",
    "sop_instance_uid",
    "instance_number",
)
FORMAT = 2  # of a store; 1 had no channel axis
BLOCK_LINES = 4096


@dataclass(frozen=True, slots=True)
class SliceIndex:
    """The columns of index.csv, each (n,).

    position_mm: NaN where unknown.  split: "train", "validation" or "test".  label: 0 healthy, 1 abnormal, -1 unknown
    (an empty field in the file).  empty: the slice has no content (constant).  body_fraction and lesion_fraction: share
    of the prepared image, 0..1; NaN (an empty field) where no mask is known.  filled: share of the slice as read that
    is above 0.08 of its scan's maximum, whatever the preparation.  file_slice: index along the slice axis of the scan's
    own file, sop_instance_uid and instance_number: of the DICOM instance that holds the slice (see
    anomae.volumes.identity.SliceIdentity); -1 and "" (empty fields) where there is none.
    """

    case: npt.NDArray[np.str_]
    patient: npt.NDArray[np.str_]
    slice: npt.NDArray[np.int64]
    position_mm: npt.NDArray[np.float64]
    split: npt.NDArray[np.str_]
    label: npt.NDArray[np.int8]
    empty: npt.NDArray[np.bool_]
    body_fraction: npt.NDArray[np.float64]
    filled: npt.NDArray[np.float64]
    lesion_fraction: npt.NDArray[np.float64]
    site: npt.NDArray[np.str_]
    file_slice: npt.NDArray[np.int64]
    sop_instance_uid: npt.NDArray[np.str_]
    instance_number: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.case)


def read_index(path: Path) -> SliceIndex:
    """Read an index.csv.  Raises UserError where columns are missing or a field is not of its type."""
    blocks: list[dict[str, npt.NDArray[Any]]] = []
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            lines = csv.reader(handle)
            header = next(lines, [])
            missing = [name for name in COLUMNS if name not in header]
            if missing:
                raise UserError(f"{path} lacks the column(s) {', '.join(missing)}.")
            # Lines are texts of some hundred bytes each; only a block of them is held at a time.
            while block := list(islice(lines, BLOCK_LINES)):
                table = list(zip(*block, strict=True))
                known = {name: table[header.index(name)] for name in COLUMNS}
                blocks.append(_typed(known, path))
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing.") from error
    except (ValueError, IndexError, csv.Error) as error:
        raise UserError(f"{path} is not a whole index ({error}); prepare the store again.") from error
    blocks = blocks or [_typed(dict.fromkeys(COLUMNS, ()), path)]
    return SliceIndex(**{name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]})


def _typed(columns: dict[str, tuple[str, ...]], path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        return {
            "case": np.array(columns["case"], dtype=np.str_),
            "patient": np.array(columns["patient"], dtype=np.str_),
            "slice": np.array(columns["slice"], dtype=np.int64),
            "position_mm": _floats(columns["position_mm"]),
            "split": np.array(columns["split"], dtype=np.str_),
            "label": np.array([entry or "-1" for entry in columns["label"]], dtype=np.int8),
            "empty": np.array(columns["empty"], dtype=np.int8).astype(np.bool_),
            "body_fraction": _floats(columns["body_fraction"]),
            "filled": _floats(columns["filled"]),
            "lesion_fraction": _floats(columns["lesion_fraction"]),
            "site": np.array(columns["site"], dtype=np.str_),
            "file_slice": _numbers(columns["file_slice"]),
            "sop_instance_uid": np.array(columns["sop_instance_uid"], dtype=np.str_),
            "instance_number": _numbers(columns["instance_number"]),
        }
    except ValueError as error:
        raise UserError(f"{path} has a field that is not of its type ({error}).") from error


def _numbers(fields: tuple[str, ...]) -> npt.NDArray[np.int64]:
    return np.array([entry or str(NOT_KNOWN) for entry in fields], dtype=np.int64)


def _floats(fields: tuple[str, ...]) -> npt.NDArray[np.float64]:
    return np.array([entry or "nan" for entry in fields], dtype=np.float64)


class Slices:
    """Some rows of a store, in a fixed order: what a detector learns from and inspects.  Reads, never copies whole."""

    def __init__(
        self,
        images: npt.NDArray[Any],
        rows: npt.NDArray[np.int64] | None = None,
        order: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
        among: npt.NDArray[np.int64] | None = None,
    ) -> None:
        """`images` (n, c, h, w), or (n, h, w) of one channel, an array or a memory map; `rows`: those meant; None: all.

        order: case and slice number of each image, (n,) both; None: not known, so no slice has neighbours.  among: rows
        that may be neighbours beside `rows`; None: `rows` alone.
        """
        self.images = images if images.ndim == 4 else images[:, None]
        self.rows = np.arange(len(images)) if rows is None else np.asarray(rows, dtype=np.int64)
        self._order, self._among = order, among

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def image_size(self) -> tuple[int, int]:
        """(h, w) in pixels."""
        return (int(self.images.shape[2]), int(self.images.shape[3]))

    @property
    def channels(self) -> int:
        """C."""
        return int(self.images.shape[1])

    def read(self, indices: npt.NDArray[np.int64] | slice) -> npt.NDArray[np.float32]:
        """The images at `indices` (of this selection), (k, c, h, w) float32."""
        return np.asarray(self.images[self.rows[indices]], dtype=np.float32)

    def neighbours(self, indices: npt.NDArray[np.int64] | slice) -> npt.NDArray[np.float32]:
        """The slices below and above those at `indices`, (k, 2, c, h, w): of the same case, one lower, one higher.

        Where there is none, the slice itself stands in.

        Raises UserError where a case has a slice number twice.
        """
        return np.asarray(self.images[self._beside[indices]], dtype=np.float32)

    @cached_property
    def _beside(self) -> npt.NDArray[np.int64]:
        """Rows of the slices below and above each slice, (len, 2)."""
        if self._order is None:
            return np.stack([self.rows, self.rows], axis=1)
        allowed = np.unique(self.rows if self._among is None else np.concatenate([self.rows, self._among]))
        case, number = (np.asarray(column)[allowed] for column in self._order)
        beside = allowed[np.stack(below_and_above(case, number), axis=1)]
        return np.asarray(beside[np.searchsorted(allowed, self.rows)], dtype=np.int64)

    def batches(self, size: int) -> Iterator[npt.NDArray[np.float32]]:
        """All images in order, at most `size` at a time, (k, c, h, w) float32."""
        for start in range(0, len(self), size):
            yield self.read(slice(start, start + size))

    def pictures(self, indices: npt.NDArray[np.int64] | slice) -> npt.NDArray[np.float32]:
        """The images at `indices` in grey, (k, h, w) float32, for people and for measures of brightness: see `grey`."""
        return grey(self.read(indices))


def grey(images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Images (..., c, h, w) as (..., h, w): the mean of their channels; of one channel, that channel as it is."""
    return images[..., 0, :, :] if images.shape[-3] == 1 else images.mean(axis=-3, dtype=np.float32)


def refuse_other_format(folder: Path) -> None:
    """Raises UserError where `folder` holds a finished store that another version wrote."""
    path = folder / "prepare.json"
    found = read_json(path).get("format") if path.exists() else FORMAT
    if found != FORMAT:
        raise UserError(
            f"{folder} is a store of format {found}, and this version reads format {FORMAT}; prepare anew, into a new "
            "folder."
        )


class SliceStore:
    """A finished store, opened for reading."""

    def __init__(self, folder: Path) -> None:
        """Open `folder`.  Raises UserError where it is not a finished store."""
        self.folder = folder
        if not folder.is_dir():
            raise UserError(f"{folder} is not a folder; make a store with `anomae prepare`.")
        if not (folder / "prepare.json").exists():
            raise UserError(
                f"{folder} is not a finished store (no prepare.json); run `anomae prepare` again to finish it."
            )
        refuse_other_format(folder)
        self.prepared: dict[str, Any] = read_json(folder / "prepare.json")
        self.index = read_index(folder / "index.csv")
        self.images = map_array(folder / "slices.npy")  # (n, c, h, w)
        if len(self.images) != len(self.index):
            raise UserError(
                f"{folder}: slices.npy has {len(self.images)} rows, index.csv {len(self.index)}; prepare it again."
            )
        lesions, bodies = folder / "lesions.npy", folder / "bodies.npy"
        self._lesions = map_array(lesions) if lesions.exists() else None
        self._bodies = map_array(bodies) if bodies.exists() else None

    @property
    def image_size(self) -> tuple[int, int]:
        """(h, w) in pixels."""
        return (int(self.images.shape[2]), int(self.images.shape[3]))

    @property
    def channels(self) -> int:
        """C."""
        return int(self.images.shape[1])

    @property
    def aligned(self) -> bool:
        """Whether the midline of a head lies in the middle of every image, so that left and right can be compared."""
        settings = self.prepared.get("settings")
        return isinstance(settings, dict) and settings.get("preparation") == "brain"

    @property
    def modality(self) -> str:
        """Of the scans, such as "flair"; "" where it is not known."""
        return str(self.prepared.get("modality") or "")

    @property
    def recipe(self) -> str:
        """The recipe of a fit where none is named: that of the cohort."""
        return str(self.prepared.get("recipe") or "small")

    @property
    def numbered_in_order(self) -> bool:
        """Whether the slice numbers of a case that has no grid still tell where in its scan a slice is."""
        return self.prepared.get("order") == "numbers"

    @property
    def has_lesions(self) -> bool:
        """Whether lesion masks are known."""
        return self._lesions is not None

    @property
    def has_bodies(self) -> bool:
        """Whether it is kept where the brain or body is: of preparations other than plain."""
        return self._bodies is not None

    def rows(self, split: str, label: int | None = None) -> npt.NDArray[np.int64]:
        """The rows of `split`, of those with `label` only where it is given, in the order of the store."""
        wanted = self.index.split == split
        if label is not None:
            wanted &= self.index.label == label
        return np.flatnonzero(wanted)

    def select(self, rows: npt.NDArray[np.int64], among: npt.NDArray[np.int64] | None = None) -> Slices:
        """These rows as Slices.  among: rows that may be their neighbours too; None: only one another."""
        return Slices(self.images, rows, (self.index.case, self.index.slice), among)

    def lesions(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Lesion masks (k, h, w) of these rows.  Raises UserError where the store has none."""
        if self._lesions is None:
            raise UserError(f"{self.folder} holds no lesion masks.")
        return np.unpackbits(self._lesions[rows], axis=-1, count=self.image_size[1]).astype(np.bool_)

    def bodies(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """The brain or body (k, h, w) in the images of these rows.  Raises UserError where the store keeps none."""
        if self._bodies is None:
            raise UserError(f"{self.folder} was prepared plain: it does not say where the brain or body is.")
        return np.unpackbits(self._bodies[rows], axis=-1, count=self.image_size[1]).astype(np.bool_)
