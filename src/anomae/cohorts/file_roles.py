"""What a file is by its name: a scan, a lesion mask, or a brain mask; and to which scan a mask belongs."""

import re
from pathlib import Path

from anomae.cohorts.same_names import SEQUENCE_WORDS

# Folders that hold masks of what lies beside them, and those that hold the pictures beside such a folder.
MASK_FOLDERS = (
    *("ground_truth", "groundtruth", "gt", "gts", "label", "labels", "mask", "masks", "seg", "segs"),
    *("segmentation", "segmentations", "annotation", "annotations"),
    *("labelstr", "labelsts", "labelsval"),  # of nnU-Net and the Medical Segmentation Decathlon
)
IMAGE_FOLDERS = ("img", "imgs", "image", "images", "imagestr", "imagests", "imagesval")

# What a folder of masks is called otherwise: one of these words stands first or last, and no other denies it.
_MASK_WORD = re.compile(r"masks?|groundtruths?|segmentations?|annotations?", re.IGNORECASE)
_DENIED = {"no", "non", "not", "with", "without", "unmasked"}
_NAME_WORDS = re.compile(r"[-_. ]+|(?<=[a-z])(?=[A-Z])")

_WORDS = (
    r"(?:lesion|tumou?r|whole[-_.]?tumou?r)?[-_.]?"
    r"(?:segmentations?|segm?|masks?|labels?|labelmap|ground[-_]?truth|gt|annotations?|annot|lesions?|roi)"
)
_ENDING = re.compile(rf"(?:^|[-_. ]+)(?:{_WORDS}|(?:lesions?|tumou?rs?)[-_](?:dseg|probseg))$", re.IGNORECASE)
_START = re.compile(
    r"^(?:segmentation|seg|mask|label|ground[-_]?truth|gt|annotation)[-_. ]+(?=[^-_. ]*\d)", re.IGNORECASE
)
_BRAIN = re.compile(r"(?:^|[-_. ])?(?:brain[-_. ]?masks?|bet[-_. ]?masks?|brainmask)$", re.IGNORECASE)
# BIDS' names of segmentations of tissues, and those of the Spinal Cord Toolbox ("label-SC_seg"); discrete and
# probabilistic ones (dseg, probseg) may also be of lesions.
_TISSUE = re.compile(
    r"(?:^|_)label-(?:BG|GM|WM|CSF|BO|ST|NO|CGM|SGM|SCGM|BS|CBM|SC|canal|rootlets|discs?|vertebrae|spine)"
    r"_(?:.*_)?(?:mask|roi|dseg|probseg|seg)$",
    re.IGNORECASE,
)
_SEGMENTED = re.compile(r"(?:^|_)(?:dseg|probseg)$", re.IGNORECASE)
_OF_LESIONS = re.compile(r"lesion|tumou?r|label-L(?:_|$)", re.IGNORECASE)
# BIDS' entities that tell a mask, or a copy of a scan in another space, from the scan; masks lose their last value.
_LABEL_OR_KIND = re.compile(r"_(?:label|desc)(?:-[^_]*)?$", re.IGNORECASE)
_SPACE, _DERIVED = (
    re.compile(rf"_{entity}-([^_]+)", re.IGNORECASE) for entity in ("space", "(?:space|res|desc|label)")
)
# What stands behind the name of a patient in the name of one of his scans.
_SEQUENCE = re.compile(
    rf"{SEQUENCE_WORDS}|\d{{4}}|image|img|scan|orig|original|vol|volume|desc|preproc|brain",
    re.IGNORECASE,
)
_IMAGE_START = re.compile(r"^(?:images?|imgs?|scan|volume|vol)[-_. ]+", re.IGNORECASE)
# What tells one of several masks of a scan from the others ("x_mask_1", "x_mask (2)").
_NUMBER = re.compile(r"(?<=[^-_. ])[-_. ]*\(?\d{1,3}\)?$")
# Between the words of a name; so many of them may stand behind the one that says mask.
_BETWEEN = re.compile(r"[-_. ]+|(?=\()")
_WORDS_BEHIND = 3
_COMPRESSED = re.compile(r"\.(nii|nrrd|mha|hdr|img)\.gz$", re.IGNORECASE)


def stem_of(path: Path) -> str:
    """The name without the suffix of its kind; dots before that stay ("a.b.nii.gz": "a.b")."""
    return path.name if path.is_dir() else stem_of_file(path.name)


def stem_of_file(name: str) -> str:
    """The stem, as of `stem_of`, of a name that is known to be no folder's: nothing is asked of the disk."""
    return _COMPRESSED.sub("", name) if _COMPRESSED.search(name) else name.rpartition(".")[0] or name


def is_brain_mask_name(path: Path) -> bool:
    """Whether the name alone says brain mask ("x_brain_mask.nii.gz"); never a scan, and no lesion mask."""
    return _BRAIN.search(stem_of(path)) is not None


def mask_base(stem: str) -> str | None:
    """Of whom a stem says that it is the lesion mask ("x-seg": "x", "mask": ""); None where it says no such thing."""
    ending = _ENDING.search(stem)
    if ending:
        return stem[: ending.start()]
    start = _START.search(stem)
    return stem[start.end() :] if start else None


def is_tissue_name(path: Path, in_masks: bool = False) -> bool:
    """Whether the name alone says segmentation of tissues, as BIDS calls them: no scan, and no lesion mask.

    in_masks: it lies in a folder of lesion masks; there a mere "x_dseg" is one of these.
    """
    stem = stem_of(path)
    if _TISSUE.search(stem):
        return True
    return not in_masks and _SEGMENTED.search(stem) is not None and not _OF_LESIONS.search(stem)


def bids_name(stem: str) -> tuple[str, str]:
    """A BIDS name without what tells a mask or a derived scan from its scan, and the space that it names, "" for none.

    stem: of a scan, or what `mask_base` gives of a mask: "sub-1_space-MNI_label" is ("sub-1", "MNI").
    """
    while (shorter := _LABEL_OR_KIND.sub("", stem)) != stem:
        stem = shorter
    space = _SPACE.search(stem)
    return _DERIVED.sub("", stem), space[1].lower() if space else ""


def without_number(stem: str) -> str:
    """The stem without a number at its end that would tell one of several masks ("x_mask_1": "x_mask")."""
    return _NUMBER.sub("", stem)


def mask_bases(stem: str) -> list[str]:
    """Of whom a stem may be a lesion mask by a word within it ("x_seg_v2", "x_GT_JD": "x"), the longest first."""
    words = list(_BETWEEN.finditer(stem))
    found = (mask_base(stem[: mark.start()]) for mark in words[::-1][:_WORDS_BEHIND])
    return [base for base in found if base]


def is_mask_folder(name: str, names: tuple[str, ...] = MASK_FOLDERS) -> bool:
    """Whether a folder of this name holds masks.

    names: in small letters.  Where the usual ones are among them, also those that are put together of such words
    ("Ground Truth", "lesion_masks", "ManualSegmentations"); not where a word denies it ("without_mask"), nor with
    numbers, which name patients.
    """
    if name.lower() in names:
        return True
    if not {*MASK_FOLDERS} <= {*names} or any(letter.isdigit() for letter in name):
        return False
    words = [word.lower() for word in _NAME_WORDS.split(name) if word]
    words = " ".join(words).replace("ground truth", "groundtruth").split()
    return bool(words) and not _DENIED & {*words} and any(_MASK_WORD.fullmatch(word) for word in (words[0], words[-1]))


def in_mask_folder(path: Path, above: Path, names: tuple[str, ...] = MASK_FOLDERS) -> bool:
    """Whether `path` lies in a folder of masks somewhere below `above`."""
    parts = path.relative_to(above).parts
    return any(is_mask_folder(part, names) for part in (parts if path.is_dir() else parts[:-1]))


def home_of(path: Path, above: Path, names: tuple[str, ...] = MASK_FOLDERS) -> tuple[str, ...]:
    """The folders below `above` in which `path` lies, in small letters, without those that only tell its role."""
    parts = [part for part in path.relative_to(above).parts[:-1] if not is_mask_folder(part, names)]
    return tuple(part.lower() for part in parts if part.lower() not in IMAGE_FOLDERS)


def fits(base: str, scan_stem: str) -> bool:
    """Whether a mask of `base` is one of the scan by its name: the same, or but for the sequence behind it."""
    base, scan_stem = base.lower(), scan_stem.lower()
    if base == scan_stem or _IMAGE_START.sub("", scan_stem) == base:
        return True
    if not base or not scan_stem.startswith(base) or scan_stem[len(base)] not in "-_. ":
        return False
    return all(_SEQUENCE.fullmatch(word) for word in re.split(r"[-_. ]+", scan_stem[len(base) + 1 :]))


def bases_of(scan_stem: str) -> set[str]:
    """All that `fits` takes for the name of this scan, in small letters."""
    stem = scan_stem.lower()
    shorter = (stem[: mark.start()] for mark in re.finditer(r"[-_. ]", stem))
    return {stem, _IMAGE_START.sub("", stem), *(base for base in shorter if fits(base, stem))}


def given_twice(paths: list[Path]) -> set[Path]:
    """The .nii files beside which the same name lies as .nii.gz, in any case."""
    packed = {(path.parent, stem_of(path).lower()) for path in paths if path.name.lower().endswith(".nii.gz")}
    plain = (path for path in paths if path.name.lower().endswith(".nii"))
    return {path for path in plain if (path.parent, stem_of(path).lower()) in packed}
