"""MetaImage and NRRD, read through ITK once their headers have been judged."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from anomae.volumes.headers import parsing, unreadable
from anomae.volumes.intensities import settle
from anomae.volumes.metaimage import check_metaimage
from anomae.volumes.nrrd import check_nrrd
from anomae.volumes.volume import Grid, Volume


def read_metaimage(path: Path, max_voxels: int) -> Volume:
    """Read a .mhd or .mha file.  Raises UnreadableScan where it is broken, hostile or holds several volumes."""
    return _read(path, check_metaimage(path, max_voxels), "MetaImageIO", "metaimage")


def read_nrrd(path: Path, max_voxels: int) -> Volume:
    """Read a .nrrd or .nhdr file.  Raises UnreadableScan where it is broken, hostile or holds several volumes."""
    return _read(path, check_nrrd(path, max_voxels), "NrrdImageIO", "nrrd")


def name_for_itk(path: Path) -> str:
    """`path` as ITK takes it.  Raises UnreadableScan where it is no UTF-8: SimpleITK 2.5 would end the process."""
    try:
        return os.fsencode(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise unreadable(path, "has a name that is no UTF-8, which ITK cannot open; rename it.") from error


def _read(path: Path, claimed: tuple[int, ...], reader_name: str, kind: str) -> Volume:
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(False)  # ITK would write to the terminal from C++
    with parsing(path, kind):
        reader = sitk.ImageFileReader()
        reader.SetImageIO(reader_name)
        reader.SetFileName(name_for_itk(path))
        reader.ReadImageInformation()
        size = reader.GetSize()
        if reader.GetNumberOfComponents() != 1:
            raise unreadable(path, "holds several channels in a voxel, which is not supported; save one at a time.")
        if tuple(size) != claimed:
            raise unreadable(path, "has a header that can be understood in two ways; save it anew.")
        if any(side != 1 for side in size[3:]):
            text = f"holds more than one volume ({'x'.join(map(str, size))}); split it and give one volume at a time."
            raise unreadable(path, text)
        image = reader.Execute()
        stored = sitk.GetArrayFromImage(image)
    shape = ((1, *stored.shape) if stored.ndim == 2 else stored.shape)[-3:]
    voxels, notes = settle(path, stored.reshape(shape))
    return Volume(voxels, _grid(path, image, shape), path, kind, notes=notes)


def _grid(path: Path, image: Any, shape: tuple[int, ...]) -> Grid:
    """The first three dimensions of ITK's geometry; a picture lies flat in the x-y plane."""
    sides = image.GetDimension()
    spacing, origin, direction = np.ones(4), np.zeros(4), np.eye(4)
    spacing[:sides], origin[:sides] = image.GetSpacing(), image.GetOrigin()
    direction[:sides, :sides] = np.reshape(image.GetDirection(), (sides, sides))
    # Directions need not have length 1 in a file; what they are longer belongs to the spacing.
    lengths = np.linalg.norm(direction[:3, :3], axis=0)
    steps = spacing[:3] * lengths
    sound = np.isfinite(steps).all() and np.isfinite(origin).all() and steps.min() > 1e-9 and steps.max() < 1e9
    turn = direction[:3, :3] / lengths if sound else np.zeros((3, 3))
    if abs(np.linalg.det(turn)) < 1e-6:
        raise unreadable(path, "has a spacing or direction that no scan can have; its header is broken.")
    z, y, x = (int(side) for side in shape)
    a, b, c = (float(step) for step in steps)
    u, v, w = (float(place) for place in origin[:3])
    return Grid((z, y, x), (c, b, a), (u, v, w), tuple(float(entry) for entry in turn.ravel()))
