"""What a cohort holds, in numbers."""

from collections import Counter
from typing import Any

from anomae.cohorts.case import ABNORMAL, HEALTHY, Cohort

_LABELS = {HEALTHY: "healthy", ABNORMAL: "abnormal"}


def describe_cohort(cohort: Cohort) -> dict[str, Any]:
    """Counts of a cohort from the names of its files alone, nothing is opened; names no patient.

    cases, patients, with_lesion_mask: numbers.  labels ("by slice" where a mask or table tells), splits ("free" where a
    seed decides), sites: name -> number of cases.  notes: what was left out, a sentence each.
    """
    cases = cohort.cases()
    return {
        "cohort": cohort.name,
        "cases": len(cases),
        "patients": len({case.patient for case in cases}),
        "with_lesion_mask": sum(case.lesion is not None for case in cases),
        "labels": _counted(_LABELS.get(case.label, "by slice") for case in cases),
        "splits": _counted(case.split or "free" for case in cases),
        "sites": _counted(case.site for case in cases if case.site),
        "notes": list(cohort.notes()),
    }


def _counted(names: Any) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))
