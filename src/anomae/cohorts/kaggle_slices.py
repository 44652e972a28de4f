"""BraTS2020 as Kaggle has it: an HDF5 file a slice (volume_<v>_slice_<s>.h5) with four channels and a mask."""

import os
import re
from pathlib import Path

import numpy as np

from anomae.cohorts.brats_names import MODALITIES, case_name, known_modality, read_sites
from anomae.cohorts.case import GREY, Case, CaseSlices
from anomae.cohorts.channel_slices import listed_modalities
from anomae.cohorts.hdf5_slice import read_slice_file
from anomae.cohorts.scan_slices import ill_slice_labels
from anomae.errors import UnreadableScan, UserError

_SLICE_FILE = re.compile(r"volume_(\d{1,5})_slice_(\d{1,5})\.h5", re.IGNORECASE)
_USUAL_FOLDERS = (".", "data", "content/data", "BraTS2020_training_data/content/data")


class KaggleSlices:
    """Kaggle's slice files of BraTS2020; one case a volume.

    Which modality is in which channel of the files is written nowhere in them, so it has to be told: either
    `channel` (0..3), or `channels`, the four names in order, with `modality` (one, or several with commas between).
    """

    name = "brats2020"

    def __init__(
        self, source: Path, modality: str | None = None, channel: int | None = None, channels: str | None = None
    ) -> None:
        """`source`: the folder of the .h5 files.  Raises UserError where the channel is not told, or told twice."""
        self.source, self.channels = source, told_channels(modality, channel, channels)
        several = len(self.channels) > 1
        self.channel_names = listed_modalities(modality or "", known_modality) if several else GREY

    def cases(self) -> list[Case]:
        """A case a volume, by number; `source` is the folder of its slice files."""
        volumes = slice_files(self.source)
        if not volumes:
            raise UserError(f"{self.source} holds no volume_<v>_slice_<s>.h5 files.")
        sites = read_sites(self.source)
        return [Case(case_name(v), case_name(v), self.source, site=sites.get(v, "")) for v in sorted(volumes)]

    def read(self, case: Case) -> CaseSlices:
        """All slices of one volume in the order of their numbers; pixels as stored (the files tell no orientation)."""
        volume = int(case.case.rpartition("_")[2])
        files = slice_files(self.source, volume).get(volume, {})
        if not files:
            raise UnreadableScan(f"{self.source} holds no slice files of {case.case}.")
        numbers = np.array(sorted(files), dtype=np.int64)
        images, masks = zip(*(read_slice_file(files[int(number)], self.channels) for number in numbers), strict=True)
        if len({image.shape for image in images}) != 1:
            raise UnreadableScan(f"The slice files of {case.case} in {self.source} differ in size.")
        lesions = np.stack(masks)
        labels, notes = ill_slice_labels(lesions)
        gaps = int(numbers[-1]) + 1 - len(numbers)
        return CaseSlices(
            images=np.stack(images),
            slices=numbers,
            labels=labels,
            lesions=lesions,
            positions_mm=np.full(len(numbers), np.nan),
            notes=(*notes, f"{gaps} slice files before the last one are missing") if gaps else notes,
        )

    def notes(self) -> tuple[str, ...]:
        """Nothing is left out."""
        return ()


def slice_folder(source: Path) -> Path | None:
    """The folder in or under `source` that holds slice files, of those where Kaggle's archive has it, or None."""
    for path in _USUAL_FOLDERS:
        folder = source / path
        if folder.is_dir():
            with os.scandir(folder) as entries:
                if any(_SLICE_FILE.fullmatch(entry.name) for entry in entries):
                    return folder
    return None


def slice_files(folder: Path, volume: int | None = None) -> dict[int, dict[int, Path]]:
    """Volume -> slice number -> file, of all slice files in `folder`, or of those of one volume.

    Raises UserError where two files have the numbers of one slice.
    """
    found: dict[int, dict[int, Path]] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            match = _SLICE_FILE.fullmatch(entry.name)
            if not match or volume not in (None, int(match[1])):
                continue
            of_volume = found.setdefault(int(match[1]), {})
            before = of_volume.setdefault(int(match[2]), folder / entry.name)
            if before.name != entry.name:
                first, second = sorted((before.name, entry.name))
                raise UserError(f"{folder / first} and {second} are the same slice; keep one of them.")
    return found


def told_channels(modality: str | None, channel: int | None, channels: str | None) -> tuple[int, ...]:
    """The channels to read (0..3), from what the user told.  Raises UserError where that does not say which."""
    if channel is not None and channels is not None:
        raise UserError("Give either channel or channels, not both.")
    if channel is not None:
        if not 0 <= channel < len(MODALITIES):
            raise UserError(f"channel is {channel}; the slice files have channels 0 to {len(MODALITIES) - 1}.")
        return (channel,)
    wanted = listed_modalities(modality or "t1", known_modality)
    if channels is None:
        raise UserError(
            "Kaggle's slice files do not say which of their four channels is which modality, and it is not guessed. "
            f"Tell it: --set channel=0 (0 to 3) for the channel to read, or --set channels={','.join(MODALITIES)} "
            "for the order of all four, as the page that you took the files from describes it."
        )
    names = tuple(known_modality(name.strip()) for name in channels.split(","))
    if sorted(names) != sorted(MODALITIES):
        raise UserError(f"channels is {channels!r}; it must name each of {', '.join(MODALITIES)} once, in order.")
    return tuple(names.index(name) for name in wanted)
