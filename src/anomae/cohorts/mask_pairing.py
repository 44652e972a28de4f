"""Which lesion mask belongs to which scan of a folder tree, by names and folders; doubts are told, not guessed."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch, translate
from pathlib import Path

from anomae.cohorts.brain_files import is_brain_file
from anomae.cohorts.case_folders import are_of_one_case, is_one_of_several, scans_of_case_folder, sort_of_mask
from anomae.cohorts.file_roles import (
    IMAGE_FOLDERS,
    MASK_FOLDERS,
    bases_of,
    bids_name,
    fits,
    given_twice,
    home_of,
    in_mask_folder,
    is_brain_mask_name,
    is_tissue_name,
    mask_base,
    mask_bases,
    stem_of,
    without_number,
)
from anomae.cohorts.scan_index import ScanIndex, Scans


@dataclass(frozen=True, slots=True)
class RoleSettings:
    """What the user says of roles: patterns of file names with * in them, and names of folders; () for the usual.

    masks: the first * stands for the name of the scan.  images: all else is left out.  mask_folders: in small letters.
    regions, region_folders: the same as masks and mask_folders, for masks of what is not to be judged.
    classes: whether the folders of classes lie at the top, as in a data set; not where scans are to be scored.
    """

    masks: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    mask_folders: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    region_folders: tuple[str, ...] = ()
    classes: bool = True

    @property
    def folders(self) -> tuple[str, ...]:
        """The names of folders of masks."""
        return self.mask_folders or MASK_FOLDERS

    @property
    def role_folders(self) -> tuple[str, ...]:
        """The names of folders that hold no scans."""
        return (*self.folders, *self.region_folders)


@dataclass(slots=True)
class Paired:
    """What each file of a tree is.

    lesions: scan -> its masks, several where they are numbered ("x_mask", "x_mask_1"); () where there is none.
    unclear: scans of which one of several masks may be.  taken: masks that belong to a scan, or may.  lonely: masks of
    no scan.  by_subject: scans whose masks are by BIDS of several scans of the subject.  twice: files left out because
    the same lies beside them compressed.  brains: brain masks.  tissues: segmentations of tissues.  not_images: files
    that image_pattern leaves out.  regions: scan -> masks of what is not to be judged.  lonely_regions: of no scan.
    shared: how many scans share folder and stem with another.
    """

    lesions: dict[Path, tuple[Path, ...]] = field(default_factory=dict)
    unclear: set[Path] = field(default_factory=set)
    taken: set[Path] = field(default_factory=set)
    by_subject: set[Path] = field(default_factory=set)
    lonely: list[Path] = field(default_factory=list)
    twice: set[Path] = field(default_factory=set)
    brains: list[Path] = field(default_factory=list)
    tissues: list[Path] = field(default_factory=list)
    not_images: list[Path] = field(default_factory=list)
    regions: dict[Path, tuple[Path, ...]] = field(default_factory=dict)
    lonely_regions: list[Path] = field(default_factory=list)
    shared: int = 0


@dataclass(frozen=True, slots=True)
class _Mask:
    """base: of whom it is by its name.  inside: it lies in a folder of masks.  pattern: of the user's, that it fits.

    by_folder: not its name but its folder says of which scan it is.
    """

    path: Path
    base: str
    inside: bool
    pattern: str = ""
    by_folder: bool = False

    @property
    def kind(self) -> tuple[Path, str]:
        """Masks of one scan and one kind are its lesions; those of two kinds are two opinions of them."""
        return self.path.parent, self.pattern or ("" if self.by_folder else without_number(stem_of(self.path)).lower())


def pair(paths: list[Path], above: Path, told: RoleSettings) -> Paired:
    """What each of `paths` (scans and masks anywhere below `above`) is, and which belong together."""
    found = Paired(twice=given_twice(paths))
    scans: list[Path] = []
    masks: list[_Mask] = []
    regions: list[_Mask] = []
    numbered: dict[Path, list[str]] = {}
    for path in paths:
        if path in found.twice:
            continue
        region = _told(path, in_mask_folder(path, above, told.region_folders), told.regions)
        mask = _told(path, in_mask_folder(path, above, told.folders), told.masks, by_name=not told.masks)
        if region is not None:
            regions.append(region)
        elif is_brain_file(path) or (is_brain_mask_name(path) and not told.masks):
            found.brains.append(path)
        elif (mask is None or not told.masks) and is_tissue_name(path, mask is not None and mask.inside):
            found.tissues.append(path)
        elif mask is not None:
            masks.append(mask)
        elif told.images and not _matches(path, above, told.images):
            found.not_images.append(path)
        else:
            scans.append(path)
            stem = stem_of(path)
            base = mask_base(without_number(stem))
            bases = mask_bases(stem) if base is None else [base]
            if not told.masks and (bases or is_one_of_several(stem)):
                numbered[path] = bases or [""]
    several = _numbered_masks(numbered, scans, above, told.classes)
    masks += several
    gone = {mask.path for mask in several}
    scans = [scan for scan in scans if scan not in gone]
    found.shared = len(scans) - len({(scan.parent, stem_of(scan).lower()) for scan in scans})
    found.lesions, found.lonely, found.unclear, taken = _matched(masks, scans, above, told)
    found.taken = set(taken)
    found.by_subject = {
        scan
        for scan, own in found.lesions.items()
        if any(taken[mask] > 1 for mask in own) and stem_of(scan).lower().startswith("sub-")
    }
    found.regions, found.lonely_regions, more, _ = _matched(regions, scans, above, told)
    found.unclear |= more
    return found


def _told(path: Path, inside: bool, patterns: tuple[str, ...], *, by_name: bool = False) -> _Mask | None:
    """The file as a mask, where its folder, a pattern, or (if that counts) its name says so."""
    for pattern in patterns:
        match = re.match(translate(pattern).replace(".*", "(.*)", 1), path.name, re.IGNORECASE)
        if match:
            return _Mask(path, match[1] if match.groups() else "", inside, pattern)
    base = mask_base(stem_of(path)) if by_name else None
    return _Mask(path, stem_of(path) if base is None else base, inside) if inside or base is not None else None


def _numbered_masks(numbered: dict[Path, list[str]], scans: Sequence[Path], above: Path, classes: bool) -> list[_Mask]:
    """Those files that are a mask ("x_mask_1", "x_mask_final") of a scan beside them ("x"), and no scan themselves.

    numbered: file -> of whom it may be a mask by its name.
    """
    beside: dict[Path, list[Path]] = {}
    for scan in scans:
        if numbered and scan not in numbered:
            beside.setdefault(scan.parent, []).append(scan)
    fitting = {folder: {base for scan in near for base in bases_of(stem_of(scan))} for folder, near in beside.items()}
    found = []
    for path, bases in numbered.items():
        near, known = beside.get(path.parent, ()), fitting.get(path.parent, ())
        base = next((base for base in bases if base.lower() in known), bases[0])
        # "mask_1" names no scan: it is of the one whose folder it lies in.
        alone = not base and are_of_one_case(near, home_of(path, above), classes)
        if alone or (base and base.lower() in known):
            found.append(_Mask(path, base, False, by_folder=alone))
    return found


def _matched(
    masks: Iterable[_Mask], scans: Sequence[Path], above: Path, told: RoleSettings
) -> tuple[dict[Path, tuple[Path, ...]], list[Path], set[Path], dict[Path, int]]:
    """Scan -> its masks; masks of no scan; scans of which it is unclear; mask of some -> of how many."""
    index = ScanIndex(scans, above, told.role_folders)
    of_scan: dict[Path, list[_Mask]] = {scan: [] for scan in scans}
    lonely: list[Path] = []
    unclear: set[Path] = set()
    taken: dict[Path, int] = {}
    for mask in masks:
        of = _scans_of(mask, index, above, told)
        # What has a name of its own, as "liver", may be an organ: only names that count alone are told by folders.
        if not of and mask.inside and not mask.pattern and not sort_of_mask(stem_of(mask.path)):
            home = home_of(mask.path, above, told.role_folders)
            of = scans_of_case_folder(home, index.by_home, index.by_stem, told.classes)
            mask = replace(mask, by_folder=True)
        if of:
            taken[mask.path] = len(of)
        else:
            lonely.append(mask.path)
        for scan in of:
            of_scan[scan].append(mask)
        # Of scans in several folders, or of one name but for the suffix, it could be the mask of any.
        named = {(each.parent, index.stems[each].lower()) for each in of}
        if len({folder for folder, _ in named}) > 1 or len(named) < len(of):
            unclear.update(of)
    for scan, own in of_scan.items():
        if len({mask.kind for mask in own}) > 1 or len({stem_of(mask.path).lower() for mask in own}) < len(own):
            unclear.add(scan)
    found = {scan: () if scan in unclear else tuple(mask.path for mask in own) for scan, own in of_scan.items()}
    return found, lonely, unclear, taken


def _scans_of(mask: _Mask, index: ScanIndex, above: Path, told: RoleSettings) -> list[Path]:
    path, base, inside = mask.path, mask.base, mask.inside
    near = index.around(home_of(path, above, told.role_folders)) if inside else index.in_folder(path.parent)
    home = home_of(path, above)
    beside = near or index.beside_derivatives(home, base)
    near = beside if inside else near
    # In a folder of masks the whole name may be the scan's ("scan_seg" beside "masks/scan_seg").
    names = dict.fromkeys((stem_of(path), base)) if inside else dict.fromkeys((base,))
    of = next((hit for name in names if (hit := index.called(name, near))), [])
    of = of or index.fitting(base, near)
    of = of or _by_bids_name(base, near if inside else beside, index)
    if not of and inside:  # one of several: "masks/x_1", "masks/x_mask_1"
        short = without_number(stem_of(path))
        names = dict.fromkeys((short, mask_base(short) or short))
        of = next((hit for name in names if (hit := index.called(name, near))), [])
    # "mask_1" names no scan, "other_mask" does; and images/ may hold scans of several patients.
    told_by_name = inside or (len(near) > 1 and not base.isdecimal()) or path.parent.name.lower() in IMAGE_FOLDERS
    # In the folder that was given to be scored a name counts, also where one scan lies there alone.
    of_case = (home or base.isdecimal()) and not told_by_name and are_of_one_case([*near], home, told.classes)
    if not of and (not base or of_case):
        of = [*near]
    return of


def _by_bids_name(base: str, near: Scans, index: ScanIndex) -> list[Path]:
    """The scans of a mask by the entities of BIDS, of several spaces those in its own ("sub-1_label-lesion_mask")."""
    name, space = bids_name(base)
    found: dict[str, list[Path]] = {}
    for scan in index.of_subject(name, near):
        scan_name, scan_space = bids_name(index.stems[scan])
        if fits(name, scan_name):
            found.setdefault(scan_space, []).append(scan)
    alone = next(iter(found.values())) if len(found) == 1 else []
    return found.get(space) or found.get("") or alone


def _matches(path: Path, above: Path, patterns: tuple[str, ...]) -> bool:
    below = path.relative_to(above).as_posix().lower()
    return any(fnmatch(path.name.lower(), each.lower()) or fnmatch(below, each.lower()) for each in patterns)
