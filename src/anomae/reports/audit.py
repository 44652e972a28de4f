"""What to know before believing the figures: empty slices, mixed patients, near-duplicates, labels seen."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from anomae.statistics.scored import ScoredSlices


def audit(
    slices: ScoredSlices,
    content: Mapping[str, Any],
    *,
    leaking: int | None,
    duplicates: Mapping[str, Any] | None,
    labels_seen: str,
    not_audited: Sequence[str],
    ill_by_split: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """The audit of a report.

    content: as `assess` gives it.  leaking: patients in several splits, None where the split is not known.  duplicates:
    as the stage counted them.  labels_seen: a sentence.  ill_by_part: share of the normal slices of each split whose
    patient has a lesion elsewhere.
    """
    normal = slices.label == 0
    ill = np.isin(slices.patient, slices.patient[slices.label == 1])
    strata, matched = content["strata"], content["matched"]
    without, position = strata.get("without_empty"), matched.get("position")
    return {
        "empty_share": float(slices.empty.mean()) if len(slices) else 0.0,
        "auroc_without_empty": without["scores"]["score"] if without else None,
        "position_matched_auroc": position["scores"]["score"] if position else None,
        "normals_of_patients_with_lesions": {
            "slices": int(np.count_nonzero(normal & ill)),
            "of": int(np.count_nonzero(normal)),
            "by_split": dict(ill_by_split or {}),
        },
        "patients_in_several_splits": leaking,
        "near_duplicates": dict(duplicates) if duplicates else None,
        "labels_seen": labels_seen,
        "not_audited": list(not_audited),
    }


def duplicates_warning(duplicates: Mapping[str, Any] | None) -> str:
    """What is said at the top where test images have near-duplicates in the training split; empty where none has."""
    if not duplicates or not (duplicates["equal"] or duplicates["near"]):
        return ""
    said = []
    if duplicates["equal"]:
        said.append(f"{duplicates['equal']} of {duplicates['tested']} test images are equal to a training image")
    if duplicates["near"]:
        said.append(f"{duplicates['near']} of {duplicates['compared']} compared look nearly like one")
    return f"{', and '.join(said)}: what was learned may have been remembered."
