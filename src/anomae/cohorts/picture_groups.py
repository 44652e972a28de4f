"""Pictures grouped by what they show: near-duplicates become one patient, exact copies are left out."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy.typing as npt

from anomae.cohorts.case import Case, CaseSlices
from anomae.cohorts.near_duplicates import near_duplicate_clusters, picture_digest, picture_fingerprint
from anomae.errors import UnreadableScan
from anomae.volumes.pictures import SUFFIXES

PICTURES = SUFFIXES


def group_near_duplicates(
    cases: Sequence[Case], read: Callable[[Case], CaseSlices], per_cluster: int = 0
) -> tuple[list[Case], list[str]]:
    """Cases of pictures with their near-duplicate cluster as patient, and what was found, a sentence each.

    read: gives the picture of a case, in one channel or in colour; colours are compared by their mean.
    Of pictures of one class and split with equal pixels the first is kept.  per_cluster: of each class and split of a
    cluster so many are kept, the first ones; 0: all.  A picture that cannot be read, a scan, and a TIFF of several
    pages stay as they are.
    """
    prints, members = [], []
    kept: list[Case] = []
    digests: set[tuple[str, int, str]] = set()
    for case in cases:
        picture = _read_picture(case, read)
        if picture is not None:
            digest = (picture_digest(picture), case.label, case.split)
            if digest in digests:
                continue
            digests.add(digest)
            prints.append(picture_fingerprint(picture[0] if len(picture) == 1 else picture.mean(axis=0)))
            members.append(len(kept))
        kept.append(case)
    clusters = near_duplicate_clusters(prints).tolist()
    for member, cluster in zip(members, clusters, strict=True):
        kept[member] = replace(kept[member], patient=f"cluster_{cluster:05d}")
    notes = [f"{len(members)} pictures fall into {len(set(clusters))} clusters of near-duplicates"]
    if len(kept) < len(cases):
        notes.append(f"{len(cases) - len(kept)} pictures are exact copies of another and were left out")
    if per_cluster:
        chosen = _first_of_each(kept, per_cluster)
        notes.append(f"{len(kept) - len(chosen)} pictures beyond {per_cluster} of a cluster were left out")
        kept = chosen
    return kept, notes


def _read_picture(case: Case, read: Callable[[Case], CaseSlices]) -> npt.NDArray[Any] | None:
    """The picture (c, h, w) of a case, or None where it is not one that can be compared."""
    if case.source.suffix.lower() not in PICTURES:
        return None
    try:
        images = read(replace(case, lesion=None, more_lesions=(), ignored=())).images
    except UnreadableScan:  # it stays a case, and is refused and listed when it is read for good
        return None
    return images[0] if len(images) == 1 else None


def _first_of_each(cases: Sequence[Case], count: int) -> list[Case]:
    seen: Counter[tuple[str, int, str]] = Counter()
    chosen = []
    for case in cases:
        group = (case.patient, case.label, case.split)
        seen[group] += 1
        if seen[group] <= count:
            chosen.append(case)
    return chosen
