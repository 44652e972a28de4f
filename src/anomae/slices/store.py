"""The store of prepared slices: one memory-mapped array beside an index, read without copies.

STORE/
  slices.npy     (n, c, h, w) float16 or float32, memory-mapped
  lesions.npy    (n, h, ceil(w / 8)) uint8, one bit a pixel (numpy.packbits, axis -1); absent where no mask is known
  ignored.npy    pixels that are not to be judged, packed likewise; absent where all are
  bodies.npy     the brain or body in each image, packed likewise; absent where slices were prepared plain
  index.csv      a line a slice, columns anomae.slices.index.COLUMNS
  cases.json     case -> source, grid of the scan (null for pictures and patches), spacing of a prepared pixel, notes;
                 of DICOM scans modality, body_part and sequence, as their headers have them
  prepare.json   format, settings, counts, what was skipped and why, fingerprint; written last: it means "whole"
"""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.arrays import map_array
from anomae.errors import UserError
from anomae.files import read_json
from anomae.slices.index import read_index
from anomae.slices.neighbours import below_and_above

FORMAT = 2  # of a store; 1 had no channel axis


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

    def __init__(self, folder: Path | str) -> None:
        """Open `folder`.  Raises UserError where it is not a finished store."""
        self.folder = folder = Path(folder)
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
        if self.images.ndim != 4 or self.images.dtype not in (np.float16, np.float32):
            raise UserError(
                f"{folder}: slices.npy is {self.images.dtype} of shape {self.images.shape}, and no (n, c, h, w) of "
                "float16 or float32; prepare it again."
            )
        if len(self.images) != len(self.index):
            raise UserError(
                f"{folder}: slices.npy has {len(self.images)} rows, index.csv {len(self.index)}; prepare it again."
            )
        self._lesions, self._bodies, self._ignored = (self._masks(name) for name in ("lesions", "bodies", "ignored"))

    def _masks(self, name: str) -> npt.NDArray[np.uint8] | None:
        """Packed masks, None where the store has none.  Raises UserError where they are not those of its images."""
        path, (height, width) = self.folder / f"{name}.npy", self.image_size
        if not path.exists():
            return None
        masks, shape = map_array(path), (len(self.images), height, -(-width // 8))
        if masks.shape != shape or masks.dtype != np.uint8:
            raise UserError(
                f"{self.folder}: {path.name} is {masks.dtype} of shape {masks.shape}, and its images need uint8 of "
                f"{shape}; prepare it again."
            )
        return masks

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
    def has_ignored(self) -> bool:
        """Whether some pixels are not to be judged."""
        return self._ignored is not None

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

    def learnable(self, split: str) -> npt.NDArray[np.int64]:
        """The healthy rows of `split` that a model may learn from and take thresholds from.

        Not those that show a region that is not to be judged, unless that is the rule (see `marks_are_usual`).
        """
        rows = self.rows(split, label=0)
        return rows if self.marks_are_usual else rows[~self._shows_marks[rows]]

    @cached_property
    def marks_are_usual(self) -> bool:
        """Whether more than half of the healthy training slices show a region that is not to be judged.

        It is then taken for what is in most images, such as a ruler, and new scans will have it too.
        """
        rows = self.rows("train", label=0)
        return bool(len(rows)) and float(self._shows_marks[rows].mean()) > 0.5

    @cached_property
    def _shows_marks(self) -> npt.NDArray[np.bool_]:
        """Of each row (n,), whether one of its pixels is not to be judged, or of a neighbour among its channels."""
        if self._ignored is None:
            return np.zeros(len(self.index), dtype=np.bool_)
        marked = np.asarray(self._ignored.any(axis=(1, 2)), dtype=np.bool_)
        reach = int((self.prepared.get("settings") or {}).get("neighbours", 0))
        if reach:
            below, above = below_and_above(self.index.case, self.index.slice)
        for _ in range(reach):
            marked = marked | marked[below] | marked[above]
        return marked

    def select(self, rows: npt.NDArray[np.int64], among: npt.NDArray[np.int64] | None = None) -> Slices:
        """These rows as Slices.  among: rows that may be their neighbours too; None: only one another."""
        return Slices(self.images, rows, (self.index.case, self.index.slice), among)

    def lesions(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Lesion masks (k, h, w) of these rows.  Raises UserError where the store has none."""
        if self._lesions is None:
            raise UserError(f"{self.folder} holds no lesion masks.")
        return np.unpackbits(self._lesions[rows], axis=-1, count=self.image_size[1]).astype(np.bool_)

    def judged(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which pixels (k, h, w) of these rows count, as lesion or as healthy: all but those that the user ignores."""
        if self._ignored is None:
            return np.ones((len(rows), *self.image_size), dtype=np.bool_)
        return ~np.unpackbits(self._ignored[rows], axis=-1, count=self.image_size[1]).astype(np.bool_)

    def bodies(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """The brain or body (k, h, w) in the images of these rows.  Raises UserError where the store keeps none."""
        if self._bodies is None:
            raise UserError(f"{self.folder} was prepared plain: it does not say where the brain or body is.")
        return np.unpackbits(self._bodies[rows], axis=-1, count=self.image_size[1]).astype(np.bool_)
