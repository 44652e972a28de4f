"""Which sub-folders of a data set hold the healthy and which the abnormal, in the layouts that folders come in."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from anomae.cohorts.case import ABNORMAL, HEALTHY
from anomae.cohorts.source_folder import existing_folder
from anomae.errors import UserError

HEALTHY_NAMES = ("healthy", "normal", "no", "good", "negative")
ABNORMAL_NAMES = ("abnormal", "ungood", "yes", "positive", "anomalous", "anomaly", "diseased", "lesion", "bad")
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "valid": "validation",
    "val": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
_MASK_FOLDERS = ("ground_truth", "label", "labels", "mask", "masks")
EXPECTED = "healthy/ and abnormal/, or train/good, test/good and test/<defect>"


@dataclass(frozen=True, slots=True)
class ClassFolder:
    """A folder all of whose scans are of one class.

    split: "" where none is fixed.  masks: the folder of the lesion masks, or None.
    """

    folder: Path
    label: int
    split: str
    masks: Path | None


def find_class_folders(
    source: Path, healthy_name: str = "", abnormal_name: str = ""
) -> tuple[list[ClassFolder], list[str]]:
    """The class folders of `source` in a fixed order, and the names of sub-folders that are of no class.

    Either of healthy/ and abnormal/, or of train/, valid/ and test/ with good/ in each and a folder for each defect
    (MVTec, BMAD).  healthy_name, abnormal_name: the names in this data set, several with commas between; "": the usual.
    Raises UserError where nothing healthy is found.
    """
    healthy = _names(healthy_name) or HEALTHY_NAMES
    abnormal = _names(abnormal_name) or ABNORMAL_NAMES
    children = _folders(existing_folder(source, EXPECTED))
    splits = [child for child in children if child.name.lower() in SPLIT_NAMES]
    found: list[ClassFolder] = []
    unused: list[str] = []
    for split_folder in splits or [source]:
        split = SPLIT_NAMES[split_folder.name.lower()] if splits else ""
        for child in _folders(split_folder):
            name = child.name.lower()
            # Beside good/, a folder of any name is a defect; beside healthy/, it could be anything.
            if name in healthy:
                label = HEALTHY
            elif name in abnormal or (splits and not abnormal_name and name not in _MASK_FOLDERS):
                label = ABNORMAL
            else:
                unused += [child.name] if name not in _MASK_FOLDERS else []
                continue
            found.append(ClassFolder(_pictures(child), label, split, _masks(source, child)))
    if not any(each.label == HEALTHY for each in found):
        raise UserError(
            f"{source} holds no folder of healthy scans; expected {EXPECTED}. Other names are told by "
            "--set healthy_name=NAME --set abnormal_name=NAME."
        )
    return found, unused


def _names(told: str) -> tuple[str, ...]:
    return tuple(name.strip().lower() for name in told.split(",") if name.strip())


def _folders(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith((".", "__")))


def _pictures(folder: Path) -> Path:
    """BMAD keeps pictures in img/, beside label/."""
    return folder / "img" if (folder / "img").is_dir() else folder


def _masks(source: Path, folder: Path) -> Path | None:
    paths: Iterator[Path] = iter((source / "ground_truth" / folder.name,))
    if (folder / "img").is_dir():
        paths = iter((folder / "label", folder / "labels", source / "ground_truth" / folder.name))
    return next((index for index in paths if index.is_dir()), None)
