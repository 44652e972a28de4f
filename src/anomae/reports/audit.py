"""What may make the figures better than the detector is: empty slices, mixed patients, near-duplicates, labels seen."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np

from anomae.reports.schema import AcquiredApart, Assessment, Audit, MixedNormals, NearDuplicates
from anomae.statistics.acquisition import SetApart
from anomae.statistics.scored import ScoredSlices


def audit(
    slices: ScoredSlices,
    assessment: Assessment,
    *,
    leaking: int | None,
    acquisition: Sequence[SetApart],
    duplicates: NearDuplicates | None,
    labels_seen: str,
    not_audited: Sequence[str],
    ill_by_split: Mapping[str, float] | None = None,
) -> Audit:
    """The audit of a report.

    leaking: patients in several splits, None where the split is not known.  labels_seen: a sentence.  ill_by_split:
    share of the normal slices of each split whose patient has a lesion elsewhere.
    """
    normal = slices.label == 0
    ill = np.isin(slices.patient, slices.patient[slices.label == 1])
    without, position = assessment.strata.get("without_empty"), assessment.matched.get("position")
    return Audit(
        empty_share=float(slices.empty.mean()) if len(slices) else 0.0,
        auroc_without_empty=without.scores["score"] if without else None,
        position_matched_auroc=position.scores["score"] if position else None,
        normals_of_patients_with_lesions=MixedNormals(
            slices=int(np.count_nonzero(normal & ill)),
            of=int(np.count_nonzero(normal)),
            by_split=dict(ill_by_split or {}),
        ),
        patients_in_several_splits=leaking,
        near_duplicates=duplicates,
        acquisition=[AcquiredApart(**asdict(one)) for one in acquisition],
        labels_seen=labels_seen,
        not_audited=list(not_audited),
    )


def duplicates_warning(duplicates: NearDuplicates | None) -> str:
    """What is said at the top where test images have near-duplicates in the training split; empty where none has."""
    if not duplicates or not (duplicates.equal or duplicates.near):
        return ""
    said = []
    if duplicates.equal:
        said.append(f"{duplicates.equal} of {duplicates.tested} test images are equal to a training image")
    if duplicates.near:
        said.append(
            f"{duplicates.near} of {duplicates.compared} compared test images are near-duplicates of a training image"
        )
    return f"{' and '.join(said)}: the detector may have memorised them."
