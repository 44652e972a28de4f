"""Which split each slice of a case belongs to: as its case, its patient, the data set or the released lists say."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anomae.cohorts.case import Case, CaseSlices
from anomae.cohorts.released_lists import ReleasedLists


@dataclass(frozen=True, slots=True)
class SplitRule:
    """What decides: `everything`, one split for all; else `lists`; else `patients` (patient -> split); else the data.

    The data set says it slice by slice (CaseSlices.splits) or by case (Case.split).
    """

    lists: ReleasedLists | None = None
    patients: Mapping[str, str] | None = None
    everything: str = ""

    def of(self, case: Case, read: CaseSlices) -> npt.NDArray[np.str_]:
        """The split of each slice, (n,); "" where it is in none."""
        count = len(read.slices)
        if self.everything:
            return np.full(count, self.everything)
        if self.lists is not None:
            return self.lists.splits_of(case.case, read.slices)[0]
        if self.patients is not None:
            patients = [case.patient] * count if read.patients is None else read.patients.tolist()
            return np.array([self.patients.get(patient, "") for patient in patients], dtype=np.str_)
        return np.full(count, case.split) if read.splits is None else read.splits
