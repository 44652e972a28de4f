"""Which sub-folders of a data set hold the healthy and which the abnormal, in the layouts that folders come in."""

from dataclasses import dataclass
from pathlib import Path, PurePath

from anomae.cohorts.case import ABNORMAL, HEALTHY, UNKNOWN
from anomae.cohorts.file_roles import IMAGE_FOLDERS, MASK_FOLDERS, is_mask_folder
from anomae.cohorts.source_folder import existing_folder
from anomae.errors import UserError

HEALTHY_NAMES = ("healthy", "normal", "no", "good", "negative", "notumor", "no_tumor")
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
ITSELF = "."  # as healthy_name: there are no folders of classes, and all is healthy
EXPECTED = "healthy/ and abnormal/, or train/good, test/good and test/<defect>"


@dataclass(frozen=True, slots=True)
class ClassFolder:
    """A folder all of whose scans are of one class, or (UNKNOWN) of what a table says.

    root: the folder of the class; folder: where its pictures lie, which may be root/images.  split: "" where none is
    fixed.  masks: folders of lesion masks that lie beside the folders of the classes.
    """

    root: Path
    folder: Path
    label: int
    split: str
    masks: tuple[Path, ...]

    def inside(self, scan: Path) -> PurePath:
        """The path of one of its scans below the folder of the class."""
        return scan.relative_to(self.folder if scan.is_relative_to(self.folder) else self.root)


def find_class_folders(
    source: Path,
    healthy_name: str = "",
    abnormal_name: str = "",
    mask_folders: tuple[str, ...] = MASK_FOLDERS,
    *,
    labelled: bool = False,
) -> tuple[list[ClassFolder], list[str]]:
    """The class folders of `source` in a fixed order, and the names of sub-folders that are of no class.

    Either of healthy/ and abnormal/, or of train/, valid/ and test/ with good/ in each and a folder for each defect
    (MVTec, BMAD).  healthy_name, abnormal_name: the names in this data set, several with commas between; "": the usual.
    healthy_name ".": every scan below `source`, or below its train/, valid/ and test/, is healthy.
    labelled: a table says of which class each scan is, so folders of classes are not needed; where there are none,
    `source`, or its train/, valid/ and test/, are the folders, of the class UNKNOWN.
    Raises UserError where nothing healthy is found, or a folder of one class lies in that of another.
    """
    healthy = _names(healthy_name) or HEALTHY_NAMES
    abnormal = _names(abnormal_name) or ABNORMAL_NAMES
    children = _folders(existing_folder(source, EXPECTED))
    splits = [child for child in children if child.name.lower() in SPLIT_NAMES]
    found: list[ClassFolder] = []
    beside = [child for child in children if splits and child not in splits]
    unused = [child.name for child in beside if not _is_named(child, mask_folders)]
    roots = [(each, SPLIT_NAMES[each.name.lower()]) for each in splits] or [(source, "")]
    if ITSELF in healthy:
        if len(healthy) > 1 or abnormal_name:
            raise UserError("healthy_name=. says that all scans of the folder are healthy; give no other name with it.")
        of_masks = tuple(child for child in beside if _is_named(child, mask_folders))
        whole = [ClassFolder(root, _pictures(root, mask_folders), HEALTHY, split, of_masks) for root, split in roots]
        return _checked(whole, healthy, abnormal, labelled), unused
    for split_folder in splits or [source]:
        split = SPLIT_NAMES[split_folder.name.lower()] if splits else ""
        for child in _folders(split_folder):
            name = child.name.lower()
            # Beside good/, a folder of any name is a defect; beside healthy/, it could be anything.
            if name in healthy:
                label = HEALTHY
            elif name in abnormal or (splits and not abnormal_name and not _is_named(child, mask_folders)):
                label = ABNORMAL
            else:
                unused += [child.name] if not _is_named(child, mask_folders) else []
                continue
            masks = {
                each for above in (source, split_folder) for each in _folders(above) if _is_named(each, mask_folders)
            }
            found.append(ClassFolder(child, _pictures(child, mask_folders), label, split, tuple(sorted(masks))))
    named = any(each.label == HEALTHY or each.root.name.lower() in abnormal for each in found)
    if labelled and not named:
        return [ClassFolder(root, root, UNKNOWN, split, ()) for root, split in roots], []
    if not any(each.label == HEALTHY for each in found):
        raise UserError(
            f"{source} holds no folder of healthy scans; expected {EXPECTED}. Other names are told by --set "
            "healthy_name=NAME --set abnormal_name=NAME; if all its scans are healthy, say so: --set healthy_name=."
        )
    return _checked(found, healthy, abnormal, labelled), unused


def _checked(
    found: list[ClassFolder], healthy: tuple[str, ...], abnormal: tuple[str, ...], labelled: bool
) -> list[ClassFolder]:
    """The same.  Raises UserError where a folder of another class lies in one, and no table says what its files are."""
    for each in [] if labelled else found:
        _refuse_other_class(each, abnormal if each.label == HEALTHY else healthy)
    return found


def _refuse_other_class(folder: ClassFolder, others: tuple[str, ...]) -> None:
    """Raise UserError where a folder called as another class lies in that of a class: what is in it is anyone's guess.

    "lesion" is looked for at its top alone: deeper down it holds masks.
    """
    for inside in sorted(path for path in folder.root.rglob("*") if path.is_dir() and path.name.lower() in others):
        if inside.parent == folder.root or inside.name.lower() != "lesion":
            raise UserError(
                f"{folder.root} is the folder of a class, and {inside} in it is called as another; move it beside, "
                "rename it, or say what its files are by --table."
            )


def _names(told: str) -> tuple[str, ...]:
    return tuple(name.strip().lower() for name in told.split(",") if name.strip())


def _folders(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith((".", "__")))


def _is_named(folder: Path, names: tuple[str, ...]) -> bool:
    return is_mask_folder(folder.name, names)


def _pictures(folder: Path, mask_folders: tuple[str, ...]) -> Path:
    """BMAD keeps pictures in img/, others in images/, beside the folder of their masks and nothing else."""
    inside = [child for child in _folders(folder) if not _is_named(child, mask_folders)]
    return inside[0] if len(inside) == 1 and inside[0].name.lower() in IMAGE_FOLDERS else folder
