"""Which of the files that were found are scans to be scored: masks of scans beside them, and second copies, are not."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from anomae.cohorts.brain_files import unused_brains
from anomae.cohorts.file_roles import in_mask_folder, stem_of
from anomae.cohorts.given_twice import require_equal_copy
from anomae.cohorts.mask_pairing import RoleSettings, pair
from anomae.errors import UserError


def without_masks(found: Mapping[Path, Path]) -> tuple[dict[Path, Path], list[str]]:
    """The scans among `found`, and a sentence for each kind of file that was left out, with a count and the first.

    found: file, or folder of a DICOM series, -> the path of the user's that it was found at or below; so is what is
    returned.  What is a mask, and of which scan, is told as the cohort `folder` tells it (anomae.cohorts.mask_pairing);
    files that were named one by one are looked at by the folder they lie in.  A file that is called like a mask but
    belongs to no scan here is kept, and said.

    Raises UserError where nothing was found, or a folder holds nothing but brain masks and segmentations of tissues.
    """
    if not found:
        raise UserError("Name at least one scan, or a folder that holds some.")
    roots: dict[Path, list[Path]] = {}
    for file, below in found.items():
        roots.setdefault(below if _searched(file, below) else file.parent, []).append(file)
    lesions, brains, tissues, twice, doubtful = (set[Path]() for _ in range(5))
    for root, files in roots.items():
        paired = pair(files, root, RoleSettings(classes=False))
        inside = {mask for mask in paired.lonely if in_mask_folder(mask, root) and paired.lesions}
        lesions |= paired.taken | inside
        doubtful |= set(paired.lonely) - inside
        twice |= paired.twice
        if len(paired.brains) + len(paired.tissues) < len(files):
            brains |= set(paired.brains)
            tissues |= set(paired.tissues)
        elif any(_searched(file, found[file]) for file in files):
            what = "segmentation(s) of brains or tissues" if paired.tissues else "brain mask(s)"
            raise UserError(f"{root} holds no scan but {len(files)} {what}, the first: {files[0]}.")
    unused = len(unused_brains(sorted(brains), found))
    notes = [
        *_said(lesions, "lesion mask(s) of scans were left out"),
        *_said(brains, f"brain mask(s) were left out{f' ({unused} of them used for no scan)' if unused else ''}"),
        *_said(tissues, "segmentation(s) of tissues (dseg, probseg, label-GM) were left out"),
        *_said(twice, "scan(s) are given twice, as .nii beside .nii.gz, of which the .nii.gz is scored, once"),
        *_said(doubtful, "file(s) are called like masks but belong to no scan here, and were scored as scans"),
    ]
    copied = {(file.parent, stem_of(file).lower()) for file in twice}
    left_out = lesions | brains | tissues | twice
    # A file named beside its copy stands for both, as one that was found in their folder does.
    return {
        file: file.parent if not _searched(file, below) and (file.parent, stem_of(file).lower()) in copied else below
        for file, below in found.items()
        if file not in left_out
    }, notes


def refuse_unlike_copy(file: Path, below: Path) -> None:
    """Raise UnreadableScan where a .nii of the same name, but of other voxels, lies beside `file`.

    Not where the user named `file` itself: `below`, as of `without_masks`, is then no folder above it.
    """
    if _searched(file, below):
        require_equal_copy(file)


def _searched(file: Path, below: Path) -> bool:
    """Whether `file` was found in a folder, and not named itself."""
    return file != below and below.is_dir()


def _said(files: set[Path], what: str) -> Sequence[str]:
    return [f"{len(files)} {what}, the first: {min(files)}."] if files else []
