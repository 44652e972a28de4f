import numpy as np
import pytest

from anomae.cohorts.case import ABNORMAL, HEALTHY
from anomae.cohorts.medmnist import MedMnist
from anomae.errors import UnreadableScan, UserError
from anomae.volumes.write import write_arrays


def write(folder, labels, shape=(28, 28)):
    """x.npz with 4, 2 and 3 images, told apart by their first pixel, and `labels` (9, k)."""
    images = np.zeros((9, *shape), np.uint8)
    images[:, 0, 0] = np.arange(9).reshape(-1, *[1] * (len(shape) - 2))
    arrays = {}
    for split, rows in (("train", slice(0, 4)), ("val", slice(4, 6)), ("test", slice(6, 9))):
        arrays |= {f"{split}_images": images[rows], f"{split}_labels": np.asarray(labels, np.uint8)[rows]}
    write_arrays(folder / "x.npz", **arrays)
    return folder / "x.npz"


CLASSES = np.array([[0], [3], [1], [2], [0], [1], [3], [2], [0]])


def test_its_own_splits_and_labels_of_shape_n_1(tmp_path):
    opened = MedMnist(write(tmp_path, CLASSES), healthy="0, 3")
    found = opened.read(opened.cases()[0])
    assert found.splits.tolist() == ["train"] * 4 + ["validation"] * 2 + ["test"] * 3
    assert found.labels.tolist() == [HEALTHY if label in (0, 3) else ABNORMAL for label in CLASSES[:, 0]]
    assert found.images[:, 0, 0, 0].tolist() == list(range(9))
    assert len(set(found.patients.tolist())) == 9
    assert found.notes == ("2 abnormal images of the training split are not trained on",)


def test_columns_of_findings(tmp_path):
    labels = np.zeros((9, 14), int)
    labels[[1, 5, 8], [0, 13, 4]] = 1
    path = write(tmp_path, labels)
    opened = MedMnist(path, healthy="none")
    assert np.flatnonzero(opened.read(opened.cases()[0]).labels == ABNORMAL).tolist() == [1, 5, 8]
    by_number = MedMnist(path, healthy="0")
    with pytest.raises(UserError, match="14 columns"):
        by_number.read(by_number.cases()[0])


def test_colour_and_volumes(tmp_path):
    path = write(tmp_path, CLASSES, (28, 28, 3))
    opened = MedMnist(path, healthy="0", colour=True)
    assert opened.read(opened.cases()[0]).images.shape == (9, 3, 28, 28)
    grey = MedMnist(path, healthy="0")
    with pytest.raises(UnreadableScan, match="colour=true reads colours"):
        grey.read(grey.cases()[0])
    volumes = MedMnist(write(tmp_path, CLASSES, (28, 28, 28)), healthy="0")
    with pytest.raises(UnreadableScan, match="shape"):
        volumes.read(volumes.cases()[0])


def test_what_is_healthy_is_not_guessed(tmp_path):
    path = write(tmp_path, CLASSES)
    with pytest.raises(UserError, match="which are healthy is not guessed"):
        MedMnist(path).cases()
    with pytest.raises(UserError, match="write the numbers"):
        MedMnist(path, healthy="normal")
    for healthy in ("7", "0,1,2,3"):
        opened = MedMnist(path, healthy=healthy)
        with pytest.raises(UserError, match=r"has the classes \[0, 1, 2, 3\]"):
            opened.read(opened.cases()[0])
    opened = MedMnist(path, healthy="none")
    with pytest.raises(UserError, match="no columns of findings"):
        opened.read(opened.cases()[0])


@pytest.mark.parametrize(
    ("name", "other", "said"),
    [
        (
            "val_images",
            np.zeros((2, 24, 24), np.uint8),
            r"each of val_images has 24x24 value\(s\), each of train_images 28x28",
        ),
        ("test_labels", np.zeros((3, 14), np.uint8), r"each of test_labels has 14 value\(s\), each of train_labels 1;"),
        ("val_images", np.array(1), r"val_images is int64 of shape \(\)"),
        ("train_labels", np.array([0.0, 1.0, 2.0, np.inf]), "whole numbers"),
    ],
)
def test_splits_that_do_not_fit_together_are_refused(name, other, said, tmp_path):
    path = write(tmp_path, CLASSES)
    with np.load(path) as kept:
        given = {**kept, name: other}
    write_arrays(path, **given)
    opened = MedMnist(path, healthy="0")
    opened.patients_told()
    with pytest.raises(UnreadableScan, match=said):
        opened.read(opened.cases()[0])
