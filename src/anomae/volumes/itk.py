"""Reading through ITK: the step that MetaImage and NRRD share, once their headers have been checked."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from anomae.volumes.headers import parsing, unreadable
from anomae.volumes.identity import SourceFile
from anomae.volumes.intensities import settle
from anomae.volumes.volume import Grid, Volume


def name_for_itk(path: Path) -> str:
    """`path` as ITK takes it.  Raises UnreadableScan where it is no UTF-8: SimpleITK 2.5 would end the process."""
    try:
        return os.fsencode(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise unreadable(path, "has a name that is no UTF-8, which ITK cannot open; rename it.") from error


def read_with_itk(path: Path, claimed: tuple[int, ...], holder: Path, reader_name: str, kind: str) -> Volume:
    """Read `path` with ITK's own reader of that name.

    claimed: the (x, y, z, ...) size that its header was found to claim.  holder: the file with its voxels, which may be
    `path` itself.  Raises UnreadableScan where ITK refuses it or understands it in another way.
    """
    import SimpleITK as sitk

    with parsing(path, kind):
        files = tuple(SourceFile.at(file) for file in dict.fromkeys((path, holder)))
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
    return Volume(voxels, _grid(path, image, shape), path, kind, notes=notes, files=files)


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
    u, v, w = (float(mm) for mm in origin[:3])
    return Grid((z, y, x), (c, b, a), (u, v, w), tuple(float(entry) for entry in turn.ravel()))
