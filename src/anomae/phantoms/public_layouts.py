"""Made-up data sets in the layouts of public ones: Kaggle's LGG, BMAD, MedIAnomaly, MedMNIST, COVID-19 Radiography."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.phantoms.order import Order, eight_bits
from anomae.phantoms.phantom import Phantom, imagine_head, scan_head
from anomae.phantoms.picture_layouts import shown_slices
from anomae.volumes.write import write_arrays, write_picture

_TURNS = ("train", "good", "ill", "train")  # what the patients are, in turns
_SIDE = 28  # of MedMNIST's images


def write_lgg_tiffs(order: Order) -> Iterator[None]:
    """TCGA_AA_0001_20000101/TCGA_AA_0001_20000101_1.tif (T1, FLAIR, T1 with contrast) and _1_mask.tif, a slice each."""
    modalities = ("t1", "flair", "t1ce")
    for number in order.numbers():
        name = f"TCGA_{'ABCD'[number % 4]}A_{number:04d}_20000101"
        head = imagine_head(
            order.patient_seed(number), shape=order.shape, modalities=modalities, lesions=order.lesion_count(number)
        )
        colours = np.stack([eight_bits(scan_head(head, modality).voxels) for modality in modalities], axis=-1)
        for index, (picture, parts) in enumerate(zip(colours, head.parts, strict=True), 1):
            write_picture(order.folder / name / f"{name}_{index}.{order.file_format}", picture)
            write_picture(order.folder / name / f"{name}_{index}_mask.{order.file_format}", parts > 0)
        yield


def write_bmad(order: Order) -> Iterator[None]:
    """train/good, test/good/img, test/Ungood/img and label/ beside img/; 00001_12.png is a slice of patient 1."""
    for number, kind, head, index, picture in _slices(order):
        name = f"{number:05d}_{index}.png"
        if kind == "train":
            write_picture(order.folder / "train" / "good" / name, picture)
            continue
        folder = order.folder / "test" / ("Ungood" if kind == "ill" else "good")
        write_picture(folder / "img" / name, picture)
        write_picture(folder / "label" / name, head.lesions[index])
    yield from (None for _ in order.numbers())


def write_medianomaly(order: Order) -> Iterator[None]:
    """train/, test/normal and test/tumor; the mask of x_flair_12.png is test/annotation/x_seg_12.png."""
    for number, kind, head, index, picture in _slices(order):
        folder = {"train": "train", "good": "test/normal", "ill": "test/tumor"}[kind]
        write_picture(order.folder / folder / f"BraTS2021_{number:05d}_flair_{index}.png", picture)
        if kind == "ill":
            mask = order.folder / "test" / "annotation" / f"BraTS2021_{number:05d}_seg_{index}.png"
            write_picture(mask, head.lesions[index])
    yield from (None for _ in order.numbers())


def write_medmnist(order: Order) -> Iterator[None]:
    """phantommnist.npz: train_, val_ and test_images (n, 28, 28) uint8, and labels (n, 1): 0 healthy, 1 with lesion."""
    splits = ("train", "val", "test")
    images: dict[str, list[npt.NDArray[Any]]] = {split: [] for split in splits}
    labels: dict[str, list[int]] = {split: [] for split in splits}
    turn = {"train": "train", "good": "val", "ill": "test"}
    for _, kind, head, index, picture in _slices(order):
        images[turn[kind]].append(_scaled(picture))
        labels[turn[kind]].append(int(head.lesions[index].any()))
    arrays = {f"{split}_images": np.reshape(images[split], (-1, _SIDE, _SIDE)).astype(np.uint8) for split in splits}
    arrays |= {f"{split}_labels": np.reshape(labels[split], (-1, 1)).astype(np.uint8) for split in splits}
    write_arrays(order.folder / "phantommnist.npz", **arrays)
    yield from (None for _ in order.numbers())


def write_covid_radiography(order: Order) -> Iterator[None]:
    """Normal/images and COVID/images, and masks/ beside them that show the body in both, as the lungs are shown."""
    for number in order.numbers():
        abnormal = (number - order.first) % 2 == 1
        name = "COVID" if abnormal else "Normal"
        head = order.head(number, abnormal=abnormal)
        pictures = eight_bits(head.voxels)
        for index in shown_slices(head):
            file = f"{name}-{number}{index:03d}.png"
            write_picture(order.folder / name / "images" / file, pictures[index])
            write_picture(order.folder / name / "masks" / file, head.body[index])
        yield


def _slices(order: Order) -> Iterator[tuple[int, str, Phantom, int, npt.NDArray[np.uint8]]]:
    """Number, what the patient is ("train", "good" or "ill"), head, index and picture of every slice shown."""
    for number in order.numbers():
        kind = _TURNS[(number - order.first) % len(_TURNS)]
        head = order.head(number, abnormal=kind == "ill")
        pictures = eight_bits(head.voxels)
        for index in shown_slices(head).tolist():
            yield number, kind, head, index, pictures[index]


def _scaled(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """(28, 28), by the nearest pixel."""
    rows, columns = (np.arange(_SIDE) * side // _SIDE for side in picture.shape)
    return picture[np.ix_(rows, columns)]
