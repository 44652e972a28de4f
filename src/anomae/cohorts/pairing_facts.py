"""What is said of the pairing of scans and lesion masks: sentences for the user, and facts for prepare.json."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from anomae.cohorts.brain_files import unused_brains
from anomae.cohorts.case import ABNORMAL, Case
from anomae.cohorts.ignored_regions import HIDDEN, IGNORED
from anomae.cohorts.lesion_masks import (
    BLURRED,
    COLOURED,
    DRAWN,
    NONE_OF_THEM,
    NUMBERED,
    SEVERAL,
    SIGNED,
    UNSURE,
    read_mask,
)
from anomae.cohorts.mask_pairing import Paired
from anomae.cohorts.scan_slices import APART, EMPTY_MASK, FEW_VALUES, LARGE_MASK, NOT_TURNED, UNDER_HEALTHY
from anomae.errors import UnreadableScan

# What a reader notes of a mask or of a scan that looks like one, and is worth a line of its own.
NOTED = (
    *(
        FEW_VALUES,
        UNDER_HEALTHY,
        EMPTY_MASK,
        UNSURE,
        NONE_OF_THEM,
        SEVERAL,
        BLURRED,
        COLOURED,
        DRAWN,
        NUMBERED,
        SIGNED,
        LARGE_MASK,
        APART,
        NOT_TURNED,
        HIDDEN,
        IGNORED,
    ),
)
_LOOKED_AT = 40


def noted_masks(notes: Iterable[Iterable[str]]) -> dict[str, int]:
    """What readers noted of masks -> of how many cases; notes: those of each case."""
    counted = Counter(note for each in notes for note in each)
    return {note: counted[note] for note in NOTED if counted[note]}


def never_ignored(pairing: Mapping[str, Any], noted: Mapping[str, int]) -> list[str]:
    """A sentence where `ignore` names values that no mask held; pairing: of the cohort, noted: `noted_masks`."""
    values = ", ".join(map(str, pairing.get("ignore_values", ())))
    return (
        [f"ignore names values of masks ({values}), but no mask holds them"] if values and IGNORED not in noted else []
    )


def are_of_organs(masks: Sequence[Path]) -> bool:
    """Whether `masks`, those of healthy pictures, are no lesion masks, as most of them are not empty.

    Looks at 40 at most, spread evenly.  One that cannot be read counts for nothing; it is refused with its scan.
    """
    looked = masks[:: max(1, len(masks) // _LOOKED_AT)]
    return len(masks) > 1 and sum(_is_marked(mask) for mask in looked) > len(looked) / 2


def _is_marked(mask: Path) -> bool:
    try:
        return bool((read_mask(mask).voxels > 0).any())
    except UnreadableScan:
        return False


def pairing_notes(found: Paired, cases: Sequence[Case], organs: bool) -> list[str]:
    """A sentence for each thing that the user should look at."""
    merged = [len(case.lesion_files) for case in cases if case.more_lesions]
    masked = sum(case.lesion is not None for case in cases)
    bare = sum(case.lesion is None and case.called == ABNORMAL for case in cases)
    notes = []
    if masked:
        notes.append(f"{masked} of {len(cases)} scans were paired with a lesion mask; prepare.json names each")
    if merged:
        notes.append(f"{len(merged)} scans have several lesion masks ({sum(merged)} files in all), which were merged")
    if found.regions and any(found.regions.values()):
        count = sum(bool(case.ignored) for case in cases)
        notes.append(f"{count} of {len(cases)} scans have a mask of what is not to be judged (ignore)")
    if organs:
        notes.append(
            "most healthy pictures have a mask that is not empty, so the masks were taken for those of an organ and "
            "not of lesions: the folders' classes decide; if they are lesions, name their folder by mask_folder"
        )
    elif masked and bare:
        notes.append(f"{bare} abnormal scans have no lesion mask while others have; all their slices count as abnormal")
    counted = {
        "lesion masks lie beside no scan of their name and were left out": len(found.lonely),
        "scans may each have several lesion masks, or share one; none of these was taken": len(found.unclear),
        "files are given twice, as .nii beside .nii.gz; the .nii.gz was read, once, and is left out "
        "where the two differ": len(found.twice),
        "masks of what is not to be judged lie beside no scan of their name and were left out": len(
            found.lonely_regions
        ),
        "scans share folder and name with another, but for the suffix; each counts as a scan": found.shared,
        "brain masks are used for no scan: none beside them is called so, or another is used for it": len(
            unused_brains(found.brains, found.lesions)
        ),
        "files are segmentations of tissues by their names (dseg, probseg, label-GM) and were left out; if they are of "
        "lesions, name them by mask_pattern": len(found.tissues),
        "files do not match image_pattern and were left out": len(found.not_images),
    }
    return notes + [f"{count} {what}" for what, count in counted.items() if count]


def pairing_facts(found: Paired, cases: Sequence[Case], source: Path) -> dict[str, Any]:
    """Counts, and the pairs: case -> the path of its mask below `source`, or several."""
    pairs: dict[str, str | list[str]] = {}
    for case in cases:
        below = [os.path.relpath(lesion, source) for lesion in case.lesion_files]
        if below:
            pairs[case.case] = below[0] if len(below) == 1 else below
    return {
        "scans": len(cases),
        "with_lesion_mask": len(pairs),
        "abnormal_without_mask": sum(case.lesion is None and case.called == ABNORMAL for case in cases),
        "paired_but_not_taken": sum(map(bool, found.lesions.values())) - len(pairs),
        "masks_of_no_scan": len(found.lonely),
        "scans_with_several_masks": len(found.unclear),
        "scans_with_merged_masks": sum(bool(case.more_lesions) for case in cases),
        "scans_with_ignored_regions": sum(bool(case.ignored) for case in cases),
        "given_twice": len(found.twice),
        "same_name": found.shared,
        "brain_masks": len(found.brains),
        "tissue_segmentations": len(found.tissues),
        "left_out_by_image_pattern": len(found.not_images),
        "pairs": pairs,
    }
