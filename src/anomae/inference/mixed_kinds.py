"""Training scans of several kinds: told, as a model of them takes new scans of each kind for its own."""

from collections import Counter
from typing import Any

import numpy as np

from anomae.files import read_json
from anomae.inference.reference import region_of
from anomae.inference.store_reference import sequence_told
from anomae.slices.store import SliceStore


def mixed_sentence(store: SliceStore) -> str:
    """A sentence with counts where the healthy training scans of a folder are of several kinds; "" elsewhere.

    By modality and body part of DICOM headers, and by the sequence that a header or a file's name tells; what is not
    told counts for nothing.  Other cohorts say of which kind their scans are.
    """
    path = store.folder / "cases.json"
    if store.prepared.get("cohort") != "folder" or not path.exists():
        return ""
    cases: dict[str, dict[str, Any]] = read_json(path)
    names = np.unique(store.index.case[store.rows("train", label=0)])
    known = [cases.get(str(name)) or {} for name in names]
    told = {
        "modality": [str(facts.get("modality", "")) for facts in known],
        "body part": [region_of(str(facts.get("body_part", ""))) for facts in known],
        "sequence": [sequence_told(store, facts) for facts in known],
    }
    several = []
    for what, kinds in told.items():
        counted = Counter(kind for kind in kinds if kind)
        if len(counted) > 1:
            ordered = sorted(counted.items(), key=lambda kind: (-kind[1], kind[0]))
            several.append(f"{what}: {', '.join(f'{count} {kind}' for kind, count in ordered)}")
    if not several:
        return ""
    return (
        f"the {len(known)} training scans are of several kinds ({'; '.join(several)}), and a model of them takes new "
        "scans of each for its own; if one kind is meant, prepare a new store of it: choose by names of files "
        '(--set image_pattern="*_flair*"), or put the scans of one kind into a folder of their own.'
    )
