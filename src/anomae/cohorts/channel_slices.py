"""Slices of several channels: the modalities of one patient, or the colours of a picture."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from anomae.cohorts.case import ABNORMAL, GREY, UNKNOWN, CaseSlices
from anomae.cohorts.ignored_regions import read_regions
from anomae.cohorts.lesion_masks import MaskValues, read_mask
from anomae.cohorts.scan_slices import read_scan_slices, require_same_place, scan_slices
from anomae.errors import UnreadableScan, UserError


def listed_modalities(text: str, known: Callable[[str], str]) -> tuple[str, ...]:
    """The modalities in "flair" or "flair,t1,t2", in this order.

    known: gives the usual spelling of one, and raises UserError where there is no such.  Raises UserError for one that
    is named twice.
    """
    names = tuple(known(name.strip()) for name in text.split(","))
    if len(set(names)) < len(names):
        raise UserError(f"modality is {text!r}; name each of several once, with commas between them.")
    return names


def channel_names_of(modalities: tuple[str, ...]) -> tuple[str, ...]:
    """What channels are called: several modalities by their names; of one, as those of any scan."""
    return modalities if len(modalities) > 1 else GREY


def read_modalities(scans: Mapping[str, Path], lesion: Path | None = None) -> CaseSlices:
    """The axial slices of one patient, a channel a modality, in the order of `scans` (modality -> file).

    lesion: of the first; all patients of such data sets have one, so where the mask is empty no slice counts as
    healthy.  Raises UnreadableScan where a file is missing or broken, or one does not lie on the first.
    """
    from anomae.volumes.read import read_volume

    first, *others = scans
    read = read_scan_slices(scans[first], lesion, called=ABNORMAL if lesion else UNKNOWN)
    if not others:
        return read
    images, notes = [read.images], list(read.notes)
    for name in others:
        if not scans[name].exists():
            raise UnreadableScan(f"{scans[name]} is missing.")
        volume = read_volume(scans[name])
        if read.grid is not None:
            require_same_place(read.grid, scans[first], volume, f"{name} scan", True)
        images.append(scan_slices(volume).images)
        notes += [f"{name}: {note}" for note in volume.notes]
    if len({each.shape for each in images}) > 1:
        raise UnreadableScan(f"The modalities beside {scans[first]} differ in size.")
    return replace(read, images=np.concatenate(images, axis=1), notes=tuple(notes))


def read_colour_slices(
    picture: Path,
    lesion: Path | Sequence[Path] | None = None,
    label: int = UNKNOWN,
    *,
    values: MaskValues | None = None,
    called: int = UNKNOWN,
    ignored: Sequence[Path] = (),
    by_subject: bool = False,
) -> CaseSlices:
    """A picture in its three colours, each page of a TIFF a slice; the rest as of `read_scan_slices`.

    Raises UnreadableScan where it is broken, or no picture.
    """
    from anomae.volumes.pictures import read_colours
    from anomae.volumes.volume import Grid, Volume

    masks = (lesion,) if isinstance(lesion, Path) else lesion or ()
    for path in (picture, *masks):
        if not path.exists():
            raise UnreadableScan(f"{path} is missing.")
    colours, notes = read_colours(picture)
    pages, _, height, width = colours.shape
    red = Volume(colours[:, 0], Grid((pages, height, width)), picture, "picture", notes=notes)
    lesions, regions = [read_mask(mask, values) for mask in masks], read_regions(ignored)
    read = scan_slices(red, lesions, label, values=values, called=called, regions=regions, by_subject=by_subject)
    return replace(read, images=colours, one_scale=True)
