"""The stage `inspect-data`: what lies in a data set, before anything is made of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from anomae.cohorts.case import Cohort
from anomae.cohorts.describe import describe_cohort
from anomae.cohorts.registry import open_cohort
from anomae.errors import UnreadableScan
from anomae.stages.prepare import with_modality


def inspect_data(
    cohort: str, source: Path | str, *, modality: str | None = None, options: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Counts of cases, patients, labels and splits from the names of the files alone, and facts of the first case.

    Only that one is read.  Nothing is written; no patient is named.  Raises UserError where the source holds no cases.
    """
    opened = open_cohort(cohort, source, **with_modality(cohort, options, modality))
    return describe_cohort(opened) | _first_case(opened)


def _first_case(cohort: Cohort) -> dict[str, Any]:
    case = cohort.cases()[0]
    try:
        read = cohort.read(case)
    except (UnreadableScan, OSError) as error:
        return {"first_case": f"not readable: {error}"}
    images = read.images[np.isfinite(read.images)] if read.images.dtype.kind == "f" else read.images
    counts = {name: int((read.labels == label).sum()) for name, label in (("healthy", 0), ("abnormal", 1))}
    return {
        "first_case": str(case.source),
        "first_shape": list(read.images[:, 0].shape if read.channels == 1 else read.images.shape),
        "first_type": str(read.images.dtype),
        "first_range": [float(images.min()), float(images.max())] if images.size else None,
        "first_pixel_spacing_mm": [round(side, 4) for side in read.spacing_mm],
        "first_labels": counts,
        "first_has_lesion_mask": read.lesions is not None,
        "first_notes": list(read.notes),
    }
