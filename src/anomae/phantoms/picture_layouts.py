"""Made-up data sets of folders and pictures: healthy and abnormal, as MVTec has it, or all in one array."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.phantoms.order import Order, eight_bits
from anomae.phantoms.phantom import Phantom
from anomae.volumes.volume import Grid
from anomae.volumes.write import VOLUME_SUFFIXES, write_arrays, write_dicom_series, write_picture, write_volume

PICTURE_FORMATS = ("png", "jpg", "tiff")
SCAN_FORMATS = (*(suffix[1:] for suffix in VOLUME_SUFFIXES), "dicom", "npy", "npz")


def write_class_folders(order: Order) -> Iterator[None]:
    """healthy/ and abnormal/ in turns, a folder a patient, with a lesion mask (_seg) beside each abnormal scan."""
    for number in order.numbers():
        abnormal = (number - order.first) % 2 == 1
        head = order.head(number, abnormal=abnormal)
        folder = order.folder / ("abnormal" if abnormal else "healthy") / f"patient_{number:03d}"
        lesions = head.lesions.astype(np.uint8)
        if order.file_format in PICTURE_FORMATS:
            pictures = eight_bits(head.voxels)
            for index in shown_slices(head):
                write_picture(folder / f"slice_{index:03d}.{order.file_format}", pictures[index])
        elif order.file_format == "dicom":
            write_dicom_series(folder, head.voxels, head.grid, modality="MR", patient=f"PHANTOM{number:03d}")
            if abnormal:
                write_volume(folder.with_name(f"{folder.name}_seg.nii.gz"), lesions, head.grid)
        else:
            _write_scan(folder / f"scan.{order.file_format}", head.voxels, head.grid)
            if abnormal:
                _write_scan(folder / f"scan_seg.{order.file_format}", lesions, head.grid)
        yield


def write_mvtec(order: Order) -> Iterator[None]:
    """train/good, test/good, test/large, test/small, ground_truth/...; names begin with the patient, p001_."""
    for number in order.numbers():
        kind = ("train", "good", "defect", "train")[(number - order.first) % 4]
        head = order.head(number, abnormal=kind == "defect")
        pictures = eight_bits(head.voxels)
        shown = shown_slices(head)
        sizes = head.lesions.sum((1, 2))
        for index in shown:
            name = f"p{number:03d}_s{index:03d}"
            if kind == "defect":
                defect = "large" if sizes[index] * 2 >= sizes[shown].max() else "small"
                mask = order.folder / "ground_truth" / defect / f"{name}_mask.png"
                write_picture(mask, head.lesions[index])
                write_picture(order.folder / "test" / defect / f"{name}.{order.file_format}", pictures[index])
            else:
                split = "train" if kind == "train" else "test"
                write_picture(order.folder / split / "good" / f"{name}.{order.file_format}", pictures[index])
        yield


def write_array_file(order: Order) -> Iterator[None]:
    """slices.npz: images (n, h, w) uint8, labels, groups (patients), slices (numbers) and lesions (n, h, w) bool."""
    columns: dict[str, list[npt.NDArray[Any]]] = {
        name: [] for name in ("images", "labels", "groups", "slices", "lesions")
    }
    for number in order.numbers():
        head = order.head(number, abnormal=(number - order.first) % 2 == 1)
        shown = np.flatnonzero(head.body.any((1, 2)))
        columns["images"].append(eight_bits(head.voxels)[shown])
        columns["lesions"].append(head.lesions[shown])
        columns["labels"].append(np.asarray(head.lesions[shown].any((1, 2)), np.int8))
        columns["groups"].append(np.full(len(shown), f"patient_{number:03d}"))
        columns["slices"].append(shown)
        yield
    write_arrays(order.folder / "slices.npz", **{name: np.concatenate(blocks) for name, blocks in columns.items()})


def _write_scan(path: Path, voxels: npt.NDArray[Any], grid: Grid) -> None:
    if path.suffix == ".npy":
        write_arrays(path, voxels=voxels)
    elif path.suffix == ".npz":
        geometry = {name: np.array(getattr(grid, name)) for name in ("spacing_mm", "origin_mm", "direction")}
        write_arrays(path, voxels=voxels, **geometry)
    else:
        write_volume(path, voxels, grid)


def shown_slices(head: Phantom) -> npt.NDArray[np.int64]:
    """The slices worth a picture: with a lesion, or in a healthy head those at least half as large as the largest."""
    if head.lesions.any():
        sizes = head.lesions.sum((1, 2))
        return np.flatnonzero(sizes * 8 >= sizes.max())
    areas = head.body.sum((1, 2))
    return np.flatnonzero(areas * 2 >= areas.max())
